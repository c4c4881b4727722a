"""Exclusive file locks, which the kernel releases when their process ends, even if it is killed."""

import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picollm.core.errors import LockedError


def acquire(path: str | Path, blocking: bool) -> None:
    """Lock the file `path`, created if missing, until this process ends.

    If another process holds the lock, print which one and wait for it, or raise LockedError if not `blocking`.
    """
    path = Path(path)
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Kept open: closing the descriptor, which is not inherited across exec, would release the lock.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(path)
            if not blocking:
                os.close(handle)
                raise LockedError(
                    f"{path}: already running in {holder}; wait for it or stop it (it survives if only the `dvc` that "
                    "started it was killed)"
                ) from None
            print(f"{path}: waiting for {holder}, which is training the same model", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _refers_to(handle, path):
            break
        os.close(handle)  # the holder has removed the file meanwhile; lock the one that is at `path` now
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)


@contextmanager
def try_acquire(path: str | Path) -> Iterator[str | None]:
    """Lock the existing file `path` inside the block and yield None; if another process holds it, yield that holder."""
    try:
        with open(path, "rb+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield _holder(Path(path))
            else:
                yield None
    except FileNotFoundError:
        yield None


def _holder(path: Path) -> str:
    """The holder as it wrote itself into the file, which is empty until just after it took the lock."""
    try:
        return path.read_text(encoding="utf-8", errors="replace") or "another process"
    except FileNotFoundError:
        return "another process"


def _refers_to(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
