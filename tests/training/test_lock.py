import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from picollm.core.errors import LockedError
from picollm.training import lock

ROOT = Path(__file__).parents[2]


def other(path: Path, blocking: bool = False, then: str = "sys.stdin.read()") -> subprocess.Popen:
    """Another process that takes the lock, says so, and holds it until its standard input ends."""
    code = f"import sys; from picollm.training import lock; lock.acquire({str(path)!r}, {blocking}); print('held', flush=True); {then}"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def holder(path: Path) -> str | None:
    with lock.try_acquire(path) as found:
        return found


def test_a_lock_that_another_process_holds_names_it_and_is_free_once_that_one_is_killed(tmp_path):
    path = tmp_path / "a/lock"
    with other(path) as first:
        assert first.stdout.readline() == "held\n"
        assert holder(path).startswith(f"process {first.pid} on ")
        with pytest.raises(LockedError, match=f"already running in process {first.pid} on "):
            lock.acquire(path, blocking=False)
        first.kill()
        first.wait()
        assert holder(path) is None
    with other(path, then="pass") as second:
        assert second.stdout.readline() == "held\n"


def test_a_blocking_acquire_says_whom_it_waits_for_and_locks_a_new_file_if_the_holder_removed_the_folder(tmp_path):
    path = tmp_path / "a/lock"
    with other(path) as first:
        assert first.stdout.readline() == "held\n"
        with other(path, blocking=True) as second:
            assert f"waiting for process {first.pid} on" in second.stderr.readline()
            shutil.rmtree(path.parent)
            first.stdin.close()
            assert second.stdout.readline() == "held\n"
            assert holder(path).startswith(f"process {second.pid} on ")
            second.stdin.close()


def test_a_missing_file_has_no_holder(tmp_path):
    assert holder(tmp_path / "lock") is None
