"""Stories from the user's .txt, .jsonl and .parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from picollm.core.config import Text
from picollm.core.errors import DataError, shown
from picollm.core.files import END_OF_TEXT, has_lone_surrogate, read_jsonl, read_lines
from picollm.datagen.sources.own_files import RAW, find_files, in_raw, is_held_out, named_splits
from picollm.records.parquet import read_corpus

if TYPE_CHECKING:
    from picollm.datagen.settings import Corpus
    from picollm.datagen.sources.templates import Specifications

BATCH_ROWS = 1000
EXPECTED = "stories (.txt, .jsonl with the key text, or .parquet with the column text)"
HELD_OUT = 0.02  # share of the stories that is for validation, if the names of the files give no splits


def _expect_relative(pattern: str) -> str:
    if Path(pattern).is_absolute() or not in_raw(str(RAW / pattern)):
        raise ValueError(f"expected a pattern of files relative to {RAW}/, such as *.txt")
    return pattern


Pattern = Annotated[Text, AfterValidator(_expect_relative)]


def stories(settings: Corpus, specs: Specifications, split: str) -> Iterator[str]:
    """The stories of one split: of the files with that split in their name, or a share of all if no name gives a split.

    The share is chosen by a hash of the text, so that equal stories share a split; if there are too few stories for that,
    the first one is for validation. Files of a test split are not read. Raises DataError if only some names give a split.
    """
    paths = find_files("corpus.files", RAW / settings.files, EXPECTED)
    for path in paths:
        if path.suffix not in READERS:
            raise DataError(f"{path}: expected one of {', '.join(READERS)}")
    splits = named_splits("corpus.files", paths)
    for path in paths:
        if splits[path] == split:
            yield from read_stories(path)

    unnamed = [path for path in paths if splits[path] is None]
    by_hash = any(is_held_out(text, HELD_OUT) for path in unnamed for text in read_stories(path))
    for number, text in enumerate(text for path in unnamed for text in read_stories(path)):
        held_out = is_held_out(text, HELD_OUT) if by_hash else number == 0
        if held_out == (split == "validation"):
            yield text


def read_stories(path: Path) -> Iterator[str]:
    """The stories of one file that are not blank, streaming. Raises DataError naming file and line.

    .txt: divided at `<|endoftext|>` if the file has any, else one story a line. .jsonl: the key `text`. .parquet: the
    column `text`.
    """
    return (text for text in READERS[path.suffix](path) if text.strip())


def _read_txt(path: Path) -> Iterator[str]:
    lines = (line for _, line in read_lines(path))
    if not any(END_OF_TEXT in line for _, line in read_lines(path)):
        yield from (line.strip() for line in lines)
        return
    story: list[str] = []
    for line in lines:
        *ends, rest = line.split(END_OF_TEXT)
        for end in ends:
            yield "\n".join([*story, end]).strip()
            story = []
        story.append(rest)
    yield "\n".join(story).strip()


def _read_jsonl(path: Path) -> Iterator[str]:
    for number, row in read_jsonl(path):
        text = row.get("text")
        if not isinstance(text, str):
            raise DataError(f"{path}:{number}: text: expected a story, found {shown(text)}")
        if has_lone_surrogate(text):
            raise DataError(f"{path}:{number}: text: holds a lone surrogate, which UTF-8 cannot encode")
        yield text


def _read_parquet(path: Path) -> Iterator[str]:
    return (text for batch in read_corpus(path, BATCH_ROWS) for text in batch)


READERS = {".txt": _read_txt, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
