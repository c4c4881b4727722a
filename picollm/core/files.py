"""Files: atomic writes, JSON, JSONL, CSV and fingerprints."""

import csv
import hashlib
import json
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pathspec import GitIgnoreSpec

from picollm.core.errors import DataError, shown

MAX_JSON = 256 * 2**20  # bytes
# Separates the documents of a text file; the special token of tokenizers trained by picollm.
END_OF_TEXT = "<|endoftext|>"
CHUNK = 2**20  # bytes


@contextmanager
def write_atomic(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file next to `path` ("w": UTF-8 text, "wb": bytes) and rename it to `path` if the block succeeds.

    On an error the temporary file is removed and `path` is unchanged. Missing parent folders are created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    options = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with os.fdopen(handle, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """fsync a folder, so that a rename in it survives a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: str | Path) -> Any:
    """The content of a JSON file. Raises DataError if it is missing, not a regular file, too large, not UTF-8 or not JSON."""
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a device, to which a downloaded model may link, might never end
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
    """Write indented JSON, keys in the given order. Raises DataError for a number that is not finite."""
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    with write_atomic(path) as file:
        file.write(text + "\n")


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Stream (line number, line without its line ending) of a UTF-8 file. Raises DataError naming file and line."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield number, line.decode("utf-8").rstrip("\r\n").removeprefix("\ufeff")
                except UnicodeDecodeError as error:
                    raise DataError(f"{path}:{number}: not UTF-8 at byte {error.start} of the line") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Stream (line number, object) of every line that is not blank. Raises DataError naming file and line."""
    for number, line in read_lines(path):
        if line.strip():
            row = _parse(line, f"{path}:{number}")
            if not isinstance(row, dict):
                raise DataError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
            yield number, row


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line, keys in the given order. Raises DataError for a number that is not finite."""
    with write_atomic(path) as file:
        for row in rows:
            try:
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            except ValueError as error:
                raise DataError(f"{path}: {error}") from None


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a header and one line per row. Raises DataError for a missing value, because DVC plots a blank cell as 0."""
    with write_atomic(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            missing = [column for column in columns if row.get(column) is None]
            if missing:
                raise DataError(f"{path}: a row has no {missing[0]}: {row}")
            writer.writerow([row[column] for column in columns])


def has_lone_surrogate(text: str) -> bool:
    """Whether text contains a lone surrogate, which JSON can escape but UTF-8 cannot encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def fingerprint(path: str | Path) -> str:
    """SHA-256, in hexadecimal, of a file's bytes or of a folder's relative paths and contents.

    Files in a folder that match the .dvcignore of the current directory are ignored, as in DVC.
    """
    path = Path(path)
    if not path.is_dir():
        return _sha256(path)
    ignore = Path(".dvcignore")
    ignored = GitIgnoreSpec.from_lines(ignore.read_text(encoding="utf-8").splitlines() if ignore.exists() else [])
    digest = hashlib.sha256()
    for member in sorted(member for member in path.rglob("*") if member.is_file()):
        if not ignored.match_file(os.path.relpath(member)):
            digest.update(os.fsencode(f"{member.relative_to(path).as_posix()}\0{_sha256(member)}\n"))
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    return digest.hexdigest()


def _parse(text: str, where: str) -> Any:
    """Parse JSON. Raises DataError also for NaN, Infinity and duplicate keys, which Python's parser accepts."""

    def refuse_constant(name: str):
        raise DataError(f"{where}: {name} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) != len(pairs):
            key = Counter(name for name, _ in pairs).most_common(1)[0][0]
            raise DataError(f"{where}: duplicate key {shown(key)} in an object")
        return content

    try:
        return json.loads(text.removeprefix("\ufeff"), parse_constant=refuse_constant, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text else ""
        raise DataError(f"{where}: not JSON: {error.msg} at {line}column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # an integer of more than 4300 digits, or nesting too deep
        raise DataError(f"{where}: not JSON that Python can read: {error}") from None
