"""Saved state of unfinished training stages: a killed run resumes from it, bit for bit.

It lies in ${DVC_ROOT:-.}/.resume/STAGE/FINGERPRINT/: outside DVC's outputs, which are deleted before a stage runs, and in the
parent repository even for a queued experiment. A file STEP-SHA256.safetensors is written atomically, and the one before it is
kept, so that a damaged file costs no more than the steps between the two.
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
    """SHA-256 over what determines a stage's result: its loaded parameters, its deps in dvc.yaml (data and code), PyTorch's version.

    tests/test_pipeline.py checks that a stage declares everything that it reads and imports.
    """
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
    """The saved state of this run, locked until the process ends; call it before any work.

    Raises LockedError if this stage is already running in this workspace; waits for a process that trains the same model in
    another workspace (a queued experiment), since both would write the same state.
    """
    state = State(states_folder() / stage / fingerprint(stage, parameters)[:32])
    if distributed.is_main():
        lock.acquire(Path(".resume") / f"{stage}.{LOCK}", blocking=False)
        lock.acquire(state.folder / LOCK, blocking=True)
        for draft in state.folder.glob("*.tmp"):
            draft.unlink()
    return state


class State:
    """The saved state of one run, in `folder`. Every process of a run calls each method; only the main one writes."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, step: int, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Write the state after `step` steps, then delete all files but this one and the one before.

        Raises ResumeError if it cannot be written (a full disk); earlier files stay usable.
        """
        if not distributed.is_main():
            return
        draft = self.folder / f"{step:08d}.tmp"
        metadata = {"progress": json.dumps(progress, allow_nan=False)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, draft, metadata)
            with open(draft, "rb") as file:
                os.fsync(file.fileno())
            saved = self.folder / f"{step:08d}-{files.fingerprint(draft)}{SUFFIX}"
            os.replace(draft, saved)
            files.sync_folder(self.folder)
        except (SafetensorError, OSError) as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise ResumeError(
                f"{draft}: the state of step {step} could not be written: {error}. Free some space and run the same command "
                "again; it resumes from the last complete state"
            ) from None
        before = [path for path in self._saved() if _step(path) < step]
        for other in set(self._saved()) - {saved, *before[-1:]}:
            other.unlink()  # too old, or damaged: of a later step than the one that was resumed from

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors (on the CPU) and progress of the newest complete file, or None. A damaged file is reported and skipped."""
        step = -1
        if distributed.is_main():
            step = next((_step(path) for path in reversed(self._saved()) if _is_complete(path)), -1)
        step = distributed.broadcast(step)
        if step < 0:
            return None
        (path,) = self.folder.glob(f"{step:08d}-*{SUFFIX}")
        with safe_open(path, framework="pt") as reader:
            tensors = {name: reader.get_tensor(name) for name in sorted(reader.keys())}
            return tensors, json.loads(reader.metadata()["progress"])

    def remove(self) -> None:
        """Delete the state, once the run's results are written."""
        if distributed.is_main():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _saved(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"))


@dataclass(frozen=True)
class SavedRun:
    """The saved state of an unfinished run: folder, last saved step, bytes, and the process that is training it, if any."""

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
            found.append(SavedRun(folder, max(steps, default=None), sum(map(_size, folder.iterdir())), holder))
    return found


def remove_unused(saved: SavedRun) -> bool:
    """Remove a saved state unless a process is using it by now; return whether it was removed."""
    with lock.try_acquire(saved.folder / LOCK) as holder:
        if holder is None:
            shutil.rmtree(saved.folder)
    return holder is None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # replaced by a running process
        return 0


def _step(path: Path) -> int:
    return int(path.name.split("-")[0])


def _is_complete(path: Path) -> bool:
    """Whether a file has the SHA-256 in its name; prints a message if not."""
    complete = path.name.endswith(f"-{files.fingerprint(path)}{SUFFIX}")
    if not complete:
        print(f"{path}: damaged (its SHA-256 is not the one in its name); using the state before it", file=sys.stderr)
    return complete
