"""The user's files in data/raw/: which of them a pattern matches, and to which split each belongs."""

import hashlib
import os
import re
from glob import glob
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from picollm.core.config import Text
from picollm.core.errors import DataError

RAW = Path("data/raw")
# The keywords and separators of `datasets` (SPLIT_KEYWORDS and NON_WORDS_CHARS in datasets/data_files.py).
KEYWORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
SEPARATORS = re.compile("[-._ 0-9]+")
WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # camelCase is two words
LOOKS_LIKE_SPLIT = re.compile(f"({'|'.join(KEYWORDS)})(?:set|data|split)?", re.IGNORECASE)


def in_raw(path: str) -> bool:
    """Whether a path lies in data/raw/, where DVC sees its content."""
    return Path(os.path.abspath(path)).is_relative_to(RAW.absolute())


def _expect_in_raw(pattern: str) -> str:
    if not in_raw(pattern) or os.path.isabs(pattern):
        raise ValueError(f"expected a pattern of files in {RAW}/, such as {RAW}/*.jsonl")
    return pattern


RawPattern = Annotated[Text, AfterValidator(_expect_in_raw)]


def find_files(key: str, pattern: str | Path, expected: str) -> list[Path]:
    """The files that `pattern` matches, sorted by name; hidden ones are ignored.

    Raises DataError, naming the parameter `key` and what is `expected`, if there are none.
    """
    paths = sorted(path for path in map(Path, glob(os.path.normpath(pattern), recursive=True)) if path.is_file())
    if not paths:
        raise DataError(
            f"{key}: no file matches {pattern}; expected {expected}. Put your files there; `dvc exp run --temp` and "
            "`--queue` see them only after `dvc add` and `git add` of the .dvc files"
        )
    return paths


def named_split(path: Path) -> str | None:
    """The split that the names of a file in data/raw/ and of its folders give, or None.

    As in `datasets`, a keyword counts if the name begins with it or a separator precedes it, and a separator follows it (a
    folder's name may also end with it). Raises DataError for two splits, and for a word that looks like a split although
    `datasets` does not read it as one (`myTest`, `VAL`, `trainset`).
    """
    *folders, name = path.relative_to(RAW).parts
    parts = [part for folder in folders for part in SEPARATORS.split(folder)] + SEPARATORS.split(name)[:-1]
    used = {KEYWORDS[part] for part in parts if part in KEYWORDS}
    matches = map(LOOKS_LIKE_SPLIT.fullmatch, WORD.findall("/".join((*folders, name))))
    suspects = {match[0]: KEYWORDS[match[1].lower()] for match in matches if match}
    if len(used) > 1:
        raise DataError(f"{path}: the name stands for two splits, {' and '.join(sorted(used))}; rename the file")
    for word, split in suspects.items():
        if split not in used:
            raise DataError(
                f"{path}: {word} looks like the {split} split, but is not read as one: rename the file or folder to "
                f"{split}, or to a name with _{split} before the extension, or avoid the word"
            )
    return used.pop() if used else None


def is_held_out(text: str, share: float) -> bool:
    """Whether a text falls into the `share` of all texts whose SHA-256 is lowest: stable, and equal for equal texts."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64
