"""Weights kept along a DPO run, in models/snapshots/STEP/ once it has ended."""

import shutil
from pathlib import Path

from picollm.core import files
from picollm.model.directory import save_model
from picollm.text.tokenizer import Tokenizer
from picollm.training import distributed
from picollm.training.resume import State
from picollm.training.run import Run, full_model


def snapshot_steps(steps: int, validate_every: int, count: int) -> set[int]:
    """The steps of `count` snapshots, evenly spaced over the validations after step 0; all of these if there are no more."""
    validations = [*range(validate_every, steps, validate_every), steps]
    count = min(count, len(validations))
    return {validations[len(validations) * number // count - 1] for number in range(1, count + 1)}


class Snapshots:
    """Snapshots of a run. Until it ends they lie beside its saved state, which survives a kill; outputs of DVC do not."""

    def __init__(self, run: Run, state: State, tokenizer: Tokenizer, count: int):
        self.run, self.tokenizer, self.folder = run, tokenizer, state.folder / "snapshots"
        self.steps = snapshot_steps(run.steps, run.settings.validate_every, count)

    def keep(self, step: int) -> None:
        """Keep the weights if `step` is one of the steps; a collective call."""
        if step in self.steps:
            full = full_model(self.run.model)
            if distributed.is_main():
                save_model(self.folder / f"{step:06d}", full, self.tokenizer)

    def write(self, folder: Path, steps: int) -> None:
        """Copy the snapshots of a run that ended after `steps` steps into `folder`, and their steps into steps.json, on rank 0."""
        if distributed.is_main():
            shutil.rmtree(folder, ignore_errors=True)
            names = {step: f"{step:06d}" for step in sorted(self.steps) if step <= steps}
            for name in names.values():
                shutil.copytree(self.folder / name, folder / name)
            files.write_json(folder / "steps.json", list(names))
