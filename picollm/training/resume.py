"""Rolling state of the training stages: what a killed run goes on from, to the bit.

It stands in ${DVC_ROOT:-.}/.resume/STAGE/FINGERPRINT/, outside DVC's outputs (which are deleted before a stage runs) and in the
parent repository even for a queued experiment. A file is named STEP-SHA256.safetensors and appears whole; the one before it is
kept, so that a damaged file costs the steps between the two and nothing else.
"""

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
from pydantic import BaseModel
from ruamel.yaml import YAML
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from picollm.core import files
from picollm.core.errors import DataError, ResumeError
from picollm.training import distributed, lock

LOCK, SUFFIX = "lock", ".safetensors"


def states_folder() -> Path:
    return Path(os.environ.get("DVC_ROOT", ".")) / ".resume"


def fingerprint(stage: str, parameters: SimpleNamespace) -> str:
    """SHA-256 over what decides a stage's result: its loaded parameters, its deps of dvc.yaml (data and code), PyTorch's version.

    tests/test_pipeline.py shows that the declared deps are all that the stage reads and imports.
    """
    deps = YAML(typ="safe").load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]["deps"]
    values = {
        name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in vars(parameters).items()
    }
    content = {
        "parameters": values,
        "deps": {path: files.fingerprint(path) for path in deps},
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def claim(stage: str, parameters: SimpleNamespace) -> "State":
    """The state folder of this run, locked until the process ends; call before any work.

    Raises LockedError where another process is at this stage in this workspace; waits for one that does the same work in
    another workspace (a queued experiment), since both would write the same state.
    """
    state = State(states_folder() / stage / fingerprint(stage, parameters)[:32])
    if distributed.is_main():
        lock.hold(Path(".resume") / f"{stage}.{LOCK}", wait=False)
        lock.hold(state.folder / LOCK, wait=True)
        for draft in state.folder.glob("*.tmp"):
            draft.unlink()
    return state


class State:
    """The rolling state of one run, in `folder`. Every process of a run calls each method; the main one alone writes."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, step: int, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Write the state of a run that has taken `step` steps, then drop all but it and the one before.

        Raises ResumeError where it cannot be written (a full disk); what was saved earlier stays usable.
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
            if self.folder.is_dir():
                draft.unlink(missing_ok=True)
            raise ResumeError(
                f"{draft}: the state of step {step} could not be written: {error}. Make room and run the same command again; "
                "it goes on from the last whole state"
            ) from None
        before = [path for path in self._saved() if _step(path) < step]
        for other in set(self._saved()) - {saved, *before[-1:]}:
            other.unlink()  # older than the one before, or damaged and passed over

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors (on the CPU) and progress of the newest whole file, or None. A damaged file is named and passed over."""
        step = -1
        if distributed.is_main():
            step = next((_step(path) for path in reversed(self._saved()) if _is_whole(path)), -1)
        step = distributed.from_main(step)
        if step < 0:
            return None
        (path,) = self.folder.glob(f"{step:08d}-*{SUFFIX}")
        with safe_open(path, framework="pt") as reader:
            tensors = {name: reader.get_tensor(name) for name in sorted(reader.keys())}
            return tensors, json.loads(reader.metadata()["progress"])

    def remove(self) -> None:
        """Forget the state: the run's results are written."""
        if distributed.is_main():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _saved(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SUFFIX}"))


@dataclass(frozen=True)
class Leftover:
    """State of a run that did not end: where, at which step, how large, and who trains on it now, if anyone."""

    folder: Path
    step: int | None
    size: int  # bytes
    holder: str | None


def leftovers() -> list[Leftover]:
    """Every state folder there is, in the order of their names."""
    found = []
    for folder in sorted(path for path in states_folder().glob("*/*") if path.is_dir()):
        steps = [_step(path) for path in folder.glob(f"*{SUFFIX}")]
        with lock.attempt(folder / LOCK) as holder:
            found.append(Leftover(folder, max(steps, default=None), sum(map(_size, folder.iterdir())), holder))
    return found


def discard(left: Leftover) -> bool:
    """Remove a state folder unless a process uses it (by now); whether it is gone."""
    with lock.attempt(left.folder / LOCK) as holder:
        if holder is None:
            shutil.rmtree(left.folder)
    return holder is None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a living run replaces its files
        return 0


def _step(path: Path) -> int:
    return int(path.name.split("-")[0])


def _is_whole(path: Path) -> bool:
    """Whether a file's bytes are those that its name promises; says so where they are not."""
    try:
        if path.name.endswith(f"-{files.fingerprint(path)}{SUFFIX}"):
            return True
    except DataError as error:
        print(error, file=sys.stderr)
    print(f"{path}: damaged (its SHA-256 is not the one in its name); going back to the state before", file=sys.stderr)
    return False
