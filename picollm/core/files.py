"""Atomic writes, JSON, JSONL and CSV, and fingerprints: whatever the project writes is whole or absent."""

import csv
import hashlib
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pathspec import GitIgnoreSpec

from picollm.core.errors import DataError, shown

MAX_LINE = 16 * 2**20
MAX_JSON = 256 * 2**20
MAX_DEPTH = 100  # objects and arrays within each other: what can be read can be written and shown again
CHUNK = 2**20


@contextmanager
def write_atomic(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file beside `path` ("w": UTF-8 text, "wb": bytes) that takes its place when the block ends well.

    On an error nothing is left, and what stood at `path` stays. Missing folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with os.fdopen(handle, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder last: after a loss of power a renamed file may else stand under its old name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: str | Path) -> Any:
    """The content of a JSON file. DataError for a file that is missing, too large, not UTF-8 or not JSON."""
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
            raise DataError(f"{path}: not a regular file")
        if status.st_size > MAX_JSON:
            raise DataError(f"{path}: larger than {MAX_JSON >> 20} MB")
        return _parse(path.read_bytes().decode("utf-8"), str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}") from None


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON with an indent of two, keys in their order; a number that is not finite is a DataError."""
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    with write_atomic(path) as file:
        file.write(text + "\n")


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of every line that is not blank, streaming; DataError names file and line."""
    try:
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                where = f"{path}:{number}"
                if len(line) > MAX_LINE:
                    raise DataError(f"{where}: a line of more than {MAX_LINE >> 20} MB")
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(f"{where}: not UTF-8 at byte {error.start} of the line") from None
                if not text.strip():
                    continue
                row = _parse(text, where)
                if not isinstance(row, dict):
                    raise DataError(f"{where}: expected a JSON object, found {type(row).__name__}")
                yield number, row
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line, keys in their order; a number that is not finite is a DataError."""
    with write_atomic(path) as file:
        for row in rows:
            try:
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            except ValueError as error:
                raise DataError(f"{path}: {error}") from None


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A header and one line per row; a row without one of the columns is a DataError, for a blank cell draws as 0."""
    with write_atomic(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            missing = [column for column in columns if row.get(column) is None]
            if missing:
                raise DataError(f"{path}: a row has no {missing[0]}: {row}")
            writer.writerow([row[column] for column in columns])


def has_half_characters(text: str) -> bool:
    """Whether text holds half of a surrogate pair, which JSON's escapes allow and UTF-8 cannot write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def fingerprint(path: str | Path) -> str:
    """SHA-256, in hexadecimal, of a file's bytes or of a folder's relative names and contents.

    As in DVC, files in a folder that match a pattern of the .dvcignore in the current directory do not count.
    """
    path = Path(path)
    if not path.is_dir():
        return _digest(path)
    ignore = Path(".dvcignore")
    ignored = GitIgnoreSpec.from_lines(ignore.read_text(encoding="utf-8").splitlines() if ignore.exists() else [])
    total = hashlib.sha256()
    for member in sorted(member for member in path.rglob("*") if member.is_file()):
        if not ignored.match_file(os.path.relpath(member)):
            total.update(os.fsencode(f"{member.relative_to(path).as_posix()}\0{_digest(member)}\n"))
    return total.hexdigest()


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(CHUNK):
                total.update(block)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    return total.hexdigest()


def _parse(text: str, where: str) -> Any:
    """JSON in the strict sense: numbers finite, no key twice in an object; a byte order mark in front is accepted."""

    def refuse_constant(name: str):
        raise DataError(f"{where}: {name} is not JSON")

    def finite(literal: str) -> float:
        number = float(literal)
        if math.isinf(number):
            raise DataError(f"{where}: {literal:.40} is too large a number")
        return number

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) != len(pairs):
            seen: set[str] = set()
            twice = next(name for name, _ in pairs if name in seen or seen.add(name))
            raise DataError(f"{where}: key {shown(twice)} stands twice in one object")
        return content

    try:
        content = json.loads(
            text.removeprefix("\ufeff"),
            parse_constant=refuse_constant,
            parse_float=finite,
            object_pairs_hook=unique,
        )
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON: {error.msg} at column {error.colno}") from None
    except ValueError:  # Python reads whole numbers of up to 4300 digits
        raise DataError(f"{where}: a whole number of thousands of digits") from None
    except RecursionError:
        raise DataError(f"{where}: not JSON: nested too deeply") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(content):
        raise DataError(f"{where}: nested too deeply: more than {MAX_DEPTH} objects and arrays within each other")
    return content


def _is_deep(content: Any) -> bool:
    """Whether more than MAX_DEPTH objects and arrays stand within each other; without recursion."""
    level = [content]
    for _ in range(MAX_DEPTH):
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [member for members in inner for member in members if isinstance(member, dict | list)]
    return bool(level)
