"""Exclusive locks that the kernel releases when the process that holds them ends, however it ends."""

import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picollm.core.errors import LockedError


def hold(path: str | Path, wait: bool) -> None:
    """Lock the file `path` (made where it is missing) until this process ends.

    Where another process holds it: say which and wait for it, or, without `wait`, raise LockedError.
    """
    path = Path(path)
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never closed: the lock lives as long as the descriptor. Children that are executed do not inherit it.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(path)
            if not wait:
                os.close(handle)
                raise LockedError(
                    f"{path}: {owner} is at this very stage; wait until it ends, or end it (a process outlives the "
                    "`dvc` that started it where that one alone is killed)"
                ) from None
            print(f"{path}: waiting for {owner}, which trains the same elsewhere", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_file_of(handle, path):
            break
        os.close(handle)  # its holder removed the file in the meantime: what is locked is no longer at `path`
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)


@contextmanager
def attempt(path: str | Path) -> Iterator[str | None]:
    """Who holds the lock, in words; or None, and then nobody else can take it inside the block."""
    try:
        with open(path, "rb+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield _owner(Path(path))
            else:
                yield None
    except FileNotFoundError:
        yield None


def _owner(path: Path) -> str:
    """What the holder wrote; between its lock and its writing the file is empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace") or "another process"
    except FileNotFoundError:
        return "another process"


def _is_file_of(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
