"""Where texts come from: the user's files, the hub; and how sources are mixed and a corpus is written."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from picollm.core.errors import DataError, shown
from picollm.core.files import MAX_LINE, has_half_characters, read_jsonl, write_atomic
from picollm.records.parquet import COLUMN, read_corpus

END_OF_TEXT_LINE = "<|endoftext|>"
BATCH_ROWS = 1000
# The words that `datasets` reads in a file's name.
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


def read_text_stories(folder: str | Path, pattern: str) -> Iterator[str]:
    """The stories of the files in `folder` that match `pattern`, in the order of their names; streaming.

    .txt: divided by lines that are `<|endoftext|>` where the file has any, else one story a line.
    .jsonl: the key `text`. .parquet: the column `text`. Blank stories do not count. DataError names file and line.
    """
    paths = _matches(Path(folder), pattern)
    if not paths:
        raise DataError(f"{folder}: no file matches corpus.files: {pattern}; put your stories there")
    readers = {".txt": _read_txt, ".jsonl": _read_story_rows, ".parquet": _read_parquet}
    for path in paths:
        if path.suffix not in readers:
            raise DataError(f"{path}: expected one of {', '.join(readers)}")
    for path in paths:
        yield from (text for text in readers[path.suffix](path) if text.strip())


def _matches(folder: Path, pattern: str) -> list[Path]:
    """The files of `folder` that match, in the order of their names."""
    parts = Path(pattern).parts
    if not parts or Path(pattern).is_absolute() or ".." in parts:
        raise DataError(f"{pattern}: expected a relative pattern of files, without a leading / and without ..")
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file())
    except OSError as error:
        raise DataError(f"{pattern}: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{pattern}: not a file pattern: {error}") from None


def _read_txt(path: Path) -> Iterator[str]:
    divided = any(line.strip() == END_OF_TEXT_LINE for line in _lines(path))
    if not divided:
        yield from (line.strip() for line in _lines(path))
        return
    story: list[str] = []
    for line in _lines(path):
        if line.strip() == END_OF_TEXT_LINE:
            yield "".join(story).strip()
            story = []
        else:
            story.append(line)
    yield "".join(story).strip()


def _lines(path: Path) -> Iterator[str]:
    """The lines of a text file, each with its line end as "\\n"; a byte order mark in front is passed over."""
    try:
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise DataError(f"{path}:{number}: a line of more than {MAX_LINE >> 20} MB")
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(f"{path}:{number}: not UTF-8 at byte {error.start} of the line") from None
                if text.endswith("\r\n"):
                    text = text[:-2] + "\n"
                yield text.removeprefix("\ufeff") if number == 1 else text
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def _read_story_rows(path: Path) -> Iterator[str]:
    for number, row in read_jsonl(path):
        if not isinstance(row.get("text"), str):
            raise DataError(f"{path}:{number}: text: expected a story, found {shown(row.get('text'))}")
        if has_half_characters(row["text"]):
            raise DataError(f"{path}:{number}: text: holds half of a surrogate pair, which is no text")
        yield row["text"]


def _read_parquet(path: Path) -> Iterator[str]:
    return (text for batch in read_corpus(path, BATCH_ROWS) for text in batch)


def is_held_out(text: str, share: float) -> bool:
    """Whether a text belongs to the `share` of texts that validation takes: stable, equal texts on the same side."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64


def load_tinystories(path: str, revision: str, split: str) -> Iterator[str]:
    """The stories of one split through `datasets`: a hub id at `revision`, or a local folder of the same layout.

    Raises DataError, with what to do, where the data set cannot be had.
    """
    import datasets  # seconds to import, and only this source needs it
    from huggingface_hub.errors import HfHubHTTPError
    from yaml import YAMLError  # of the head of a data set's README.md

    failures = (OSError, ValueError, RuntimeError, HfHubHTTPError, datasets.exceptions.DatasetsError, YAMLError)
    failures += (TypeError, LookupError, AttributeError)  # a README.md whose head is YAML of an unexpected form
    pinned = {} if os.path.isdir(path) else {"revision": revision}
    try:
        rows = datasets.load_dataset(path, split=split, **pinned)
    except failures as error:
        raise DataError(
            f"corpus.tinystories.path: {path}: split {split} cannot be loaded ({type(error).__name__}: {error!s:.500}). "
            "It needs the network, or a local folder with train-*.parquet and validation-*.parquet, column text"
        ) from None
    if COLUMN not in rows.column_names:
        raise DataError(f"{path}: expected a column {COLUMN}, found {', '.join(rows.column_names)}")
    if getattr(rows.features[COLUMN], "dtype", None) not in ("string", "large_string"):
        raise DataError(f"{path}: column {COLUMN}: expected text, found {shown(rows.features[COLUMN])}")
    return (row[COLUMN] for row in rows if row[COLUMN] and row[COLUMN].strip())


def mix(
    sources: dict[str, Callable[[], Iterator[str]]], weights: dict[str, float], count: int, rng: Random
) -> Iterator[tuple[str, str]]:
    """`count` texts as (source, text), each from a source drawn by weight: weights are shares of texts.

    Sources are functions that open an iterator; one that runs out is opened again, so its texts come once more (what
    `write_corpus` counts as duplicates). DataError for a source without any text.
    """
    names = sorted(sources)
    chances = [weights[name] for name in names]
    open_sources: dict[str, Iterator[str]] = {}
    for _ in range(count):
        name = rng.choices(names, chances)[0]
        text = next(open_sources[name], None) if name in open_sources else None
        if text is None:
            open_sources[name] = iter(sources[name]())
            text = next(open_sources[name], None)
        if text is None:
            raise DataError(f"corpus source {name}: holds no text for this split; expected two stories or more")
        yield name, text


def write_corpus(path: str | Path, texts: Iterator[tuple[str, str]]) -> dict[str, Any]:
    """Write (source, text) as a parquet file of one column `text`; return counts.

    `duplicates` are texts that occurred before (by the first 64 bits of their SHA-256).
    """
    counts: dict[str, Any] = {"documents": 0, "duplicates": 0, "words": 0, "bytes": 0}
    seen: set[bytes] = set()
    schema = pa.schema([(COLUMN, pa.string())])
    with write_atomic(path, "wb") as file, pq.ParquetWriter(file, schema) as writer:
        for batch in _batches(texts):
            writer.write_table(pa.table({COLUMN: [text for _, text in batch]}, schema=schema))
            for source, text in batch:
                raw = text.encode()
                digest = hashlib.sha256(raw).digest()[:8]
                counts["documents"] += 1
                counts["duplicates"] += digest in seen
                counts["words"] += len(text.split())
                counts["bytes"] += len(raw)
                counts[f"from_{source}"] = counts.get(f"from_{source}", 0) + 1
                seen.add(digest)
    return counts


def _batches(texts: Iterator) -> Iterator[list]:
    batch = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def read_own_rows(pattern: str, parse: Callable[[dict, str, str], Any], splits: tuple[str, ...]) -> dict[str, list]:
    """The user's rows by split, from the files that match `pattern` (such as data/raw/sft*.jsonl).

    A file whose name holds a word of SPLIT_WORDS gives that split. The rows of any other file are divided 80 : 10 : 10
    by a stable hash of their prompt, so that equal prompts share a split; where only one split is asked for, they are
    all of it. Rows of a split that is not asked for are checked and left out.

    `parse` takes (row, where, id). DataError where no file matches, a name holds two splits, a row is bad, an id occurs
    twice, or one of `splits` stays empty.
    """
    paths = _matches(Path(), pattern)
    if not paths:
        raise DataError(f"{pattern}: no such file; put your rows there, one JSON object a line")
    found: dict[str, list] = {split: [] for split in splits}
    ids: dict[str, str] = {}
    for path in paths:
        named = _named_split(path) or (splits[0] if len(splits) == 1 else None)
        for number, row in read_jsonl(path):
            where = f"{path}:{number}"
            record = parse(row, where, f"{path.stem}-{number}")
            if record.id in ids:
                raise DataError(f"{where}: id {shown(record.id)} stands at {ids[record.id]} too")
            ids[record.id] = where
            split = named or _split_of(record.prompt)
            if split in found:
                found[split].append(record)
    for split, records in found.items():
        if not records:
            raise DataError(
                f"{pattern}: no rows for the {split} split; add a file with _{split} in its name, or more rows to "
                "divide"
            )
    return found


def _named_split(path: Path) -> str | None:
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    named = sorted({SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS})
    if len(named) > 1:
        raise DataError(f"{path}: the name holds two splits, {' and '.join(named)}; rename the file")
    return named[0] if named else None


def _split_of(prompt: str) -> str:
    if is_held_out(f"test {prompt}", 0.1):
        return "test"
    return "validation" if is_held_out(f"validation {prompt}", 1 / 9) else "train"
