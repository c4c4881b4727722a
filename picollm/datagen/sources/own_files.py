"""The user's files in data/raw/: which of them a pattern matches, and to which split each belongs."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
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
ENDING = "s|v|data|stories|(?:set|split|file|row|pair|prompt|example|sample)s?"
WORD = re.compile(f"[A-Z]+(?:{ENDING})?(?![a-z])|[A-Z]?[a-z]+")  # camelCase is two words
HELD_OUT = re.compile(f"h[eo]ld[-._ ]*out(?:{ENDING})?(?![a-z])", re.IGNORECASE)
# A word that ends with a keyword, as sfttest and mytestset do; ORDINARY_WORDS are not meant as a split.
LOOKS_LIKE_SPLIT = re.compile(
    f"(?P<stem>(?P<before>[a-z]*?)(?P<keyword>{'|'.join(KEYWORDS)}))(?:{ENDING})?", re.IGNORECASE
)
ORDINARY_WORDS = frozenset(
    """
    pretrain pretraining retrain retraining strain straining constrain constraining restrain restraining quatrain
    contest contesting protest protesting attest attesting detest detesting latest greatest fastest shortest lightest
    brightest tightest slightest sweetest smartest neatest cutest softest hottest wettest flattest fittest fattest whitest
    quietest politest strictest straightest faintest remotest stoutest bluntest
    medieval primeval coeval retrieval interval carnival festival approval disapproval removal arrival survival revival
    archival rival oval naval larval serval upheaval invalid invalidation devaluation
    """.split()
)


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

    Raises DataError, naming the parameter `key` and what is `expected`, if there are none, and for a file in a linked folder.
    """
    paths = sorted(path for path in map(Path, glob(os.path.normpath(pattern), recursive=True)) if path.is_file())
    if not paths:
        raise DataError(
            f"{key}: no file matches {pattern}; expected {expected}. Put your files there; `dvc exp run --temp` and "
            "`--queue` see them only after `dvc add` and `git add` of the .dvc files"
        )
    for path in paths:
        if is_linked(path.parent):
            raise DataError(
                f"{key}: {path}: a folder of this path is a link, which DVC does not follow: copy the folder to {RAW}/"
            )
    return paths


def is_linked(folder: str | Path) -> bool:
    """Whether a folder in data/raw/, or one between the two, is a symbolic link: DVC does not see changes behind it."""
    return Path(folder).resolve() != RAW.resolve() / os.path.relpath(folder, RAW)


def named_splits(key: str, paths: Sequence[Path]) -> dict[Path, str | None]:
    """`named_split` of each file. Raises DataError, naming the parameter `key`, if only some of the names give a split.

    Files without a split are divided by a hash, which would put copies of a named test file's rows into train.
    """
    splits = {path: named_split(path) for path in paths}
    named = [path for path in paths if splits[path]]
    others = [path for path in paths if not splits[path]]
    if named and others:
        raise DataError(
            f"{key}: the name of {named[0]} gives a split, that of {others[0]} does not; name all files that the pattern "
            "matches by split, or none"
        )
    return splits


def named_split(path: Path) -> str | None:
    """The split that the names of a file in data/raw/ and of its folders give, or None.

    As in `datasets`, a keyword counts if the name begins with it or a separator precedes it, and a separator follows it (a
    folder's name may also end with it). Raises DataError for two splits, and for a word that looks like a split although
    `datasets` does not read it as one (`myTest`, `VAL`, `trainset`, `tests`, `sfttest`, `held_out`).
    """
    *folders, name = path.relative_to(RAW).parts
    parts = [part for folder in folders for part in SEPARATORS.split(folder)] + SEPARATORS.split(name)[:-1]
    used = {KEYWORDS[part] for part in parts if part in KEYWORDS}
    if len(used) > 1:
        raise DataError(f"{path}: the name stands for two splits, {' and '.join(sorted(used))}; rename the file")
    for word, splits in _look_alikes("/".join((*folders, name))):
        if not used & set(splits):
            raise DataError(
                f"{path}: {word} looks like the {' or '.join(splits)} split, but is not read as one: rename the file or "
                f"folder to {splits[0]}, or to a name with _{splits[0]} before the extension, or avoid the word"
            )
    return used.pop() if used else None


def _look_alikes(name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each word of a name that looks like a split, and the splits that it may stand for."""
    for match in HELD_OUT.finditer(name):
        yield match[0], ("test", "validation")
    for word in WORD.findall(name):
        rest = word
        # `trainval` is two splits.
        while (match := LOOKS_LIKE_SPLIT.fullmatch(rest)) and match["stem"].lower() not in ORDINARY_WORDS:
            yield word, (KEYWORDS[match["keyword"].lower()],)
            rest = match["before"]


def is_held_out(text: str, share: float) -> bool:
    """Whether a text falls into the `share` of all texts whose SHA-256 is lowest: stable, and equal for equal texts."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64
