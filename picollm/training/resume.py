"""Saved state of unfinished training stages, from which a killed run resumes bit for bit.

The states are in ${DVC_ROOT:-.}/.resume/STAGE/FINGERPRINT/: not among DVC's outputs, which are deleted before a stage runs, and
in the parent repository even for a queued experiment. Each file STEP-SHA256.safetensors is written atomically. The one before
it is kept, in case the newest is damaged.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import yaml
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from picollm.core import files
from picollm.core.errors import ResumeError
from picollm.training import distributed, lock

LOCK, SUFFIX = "lock", ".safetensors"


def states_folder() -> Path:
    return Path(os.environ.get("DVC_ROOT", ".")) / ".resume"


def fingerprint(stage: str, parameters: SimpleNamespace) -> str:
    """SHA-256 of everything that determines a stage's result: its parameters, its deps in dvc.yaml (data and code), and the
    version of PyTorch. tests/test_pipeline.py checks that a stage declares everything that it reads and imports."""
    deps = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]["deps"]
    values = {
        name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in vars(parameters).items()
    }
    content = {
        "parameters": values,
        "deps": {path: files.fingerprint(path) for path in deps},
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def acquire(stage: str, parameters: SimpleNamespace) -> "State":
    """The saved state of this run, locked until the process ends; to be called before any work.

    Raises LockedError if the stage is already running in this workspace. Waits for a process that trains the same model in
    another workspace (a queued experiment), because both would write the same state.
    """
    state = State(states_folder() / stage / fingerprint(stage, parameters)[:32])
    if distributed.is_main():
        lock.acquire(Path(".resume") / f"{stage}.{LOCK}", blocking=False)
        lock.acquire(state.folder / LOCK, blocking=True)
        for temporary in state.folder.glob("*.tmp"):
            temporary.unlink()
    return state


class State:
    """The saved state of one run, in `folder`. All processes call its methods together; only rank 0 writes."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, step: int, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Write the state after `step` steps, then delete all files but this one and the one before it.

        Raises ResumeError if it cannot be written (disk full); earlier files stay usable.
        """
        if not distributed.is_main():
            return
        temporary = self.folder / f"{step:08d}.tmp"
        metadata = {"progress": json.dumps(progress, allow_nan=False)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            saved = self.folder / f"{step:08d}-{files.fingerprint(temporary)}{SUFFIX}"
            os.replace(temporary, saved)
            files.sync_folder(self.folder)
        except (SafetensorError, OSError) as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise ResumeError(
                f"{temporary}: the state of step {step} could not be written: {error}. Free disk space and run the same "
                "command again; it resumes from the last complete state"
            ) from None
        before = [path for path in self._saved() if _step(path) < step]
        for other in set(self._saved()) - {saved, *before[-1:]}:
            other.unlink()  # too old, or of a later step, which was damaged if this run resumed before it

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors (on the CPU) and progress of the newest intact file, or None. A damaged file is reported and skipped."""
        step = -1
        if distributed.is_main():
            step = next((_step(path) for path in reversed(self._saved()) if _is_intact(path)), -1)
        step = distributed.broadcast(step)
        if step < 0:
            return None
        (path,) = self.folder.glob(f"{step:08d}-*{SUFFIX}")
        with safe_open(path, framework="pt") as reader:
            tensors = {name: reader.get_tensor(name) for name in sorted(reader.keys())}
            return tensors, json.loads(reader.metadata()["progress"])

    def remove(self) -> None:
        """Delete the state; to be called once the run's results are written."""
        if distributed.is_main():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _saved(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"))


@dataclass(frozen=True)
class SavedRun:
    """A saved state: folder, last saved step, size in bytes, and the process that is using it, if any."""

    folder: Path
    step: int | None
    size: int
    holder: str | None


def saved_runs() -> list[SavedRun]:
    """All saved states, sorted by path."""
    found = []
    for folder in sorted(path for path in states_folder().glob("*/*") if path.is_dir()):
        steps = [_step(path) for path in folder.glob(f"*{SUFFIX}")]
        with lock.try_acquire(folder / LOCK) as holder:
            found.append(SavedRun(folder, max(steps, default=None), sum(map(_size, folder.rglob("*"))), holder))
    return found


def remove_unused(saved: SavedRun) -> bool:
    """Remove a saved state unless a process is using it; return whether it was removed."""
    with lock.try_acquire(saved.folder / LOCK) as holder:
        if holder is None:
            shutil.rmtree(saved.folder)
    return holder is None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a running process has just replaced it
        return 0


def _step(path: Path) -> int:
    return int(path.name.split("-")[0])


def _is_intact(path: Path) -> bool:
    """Whether a file has the SHA-256 in its name; prints a message if not."""
    intact = path.name.endswith(f"-{files.fingerprint(path)}{SUFFIX}")
    if not intact:
        print(f"{path}: damaged (its SHA-256 is not the one in its name); using the state before it", file=sys.stderr)
    return intact
