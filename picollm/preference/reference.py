"""The precomputed reference log-probs, shared by all DPO runs on the same pairs with one temporal_decay, and the check that they are
the policy's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from picollm.batching.batch import step_rows
from picollm.core import files
from picollm.core.errors import DataError, TrainingError
from picollm.training.loop import evaluate
from picollm.training.run import Run

# Mean difference of a response's log-probs from the reference's, in nats: rounding, which depends on the shape of the batch.
TOLERANCE = {"float32": 1e-3, "tf32": 0.2, "bfloat16": 0.2}


def read_reference(path: str | Path, ids: Sequence[str]) -> np.ndarray:
    """Reference log-probs of the pairs `ids`, in their order: [pairs, 2] of (chosen, rejected), in nats. Raises DataError if the
    file is of other pairs."""
    rows = [row for _, row in files.read_jsonl(path)]
    if [row["id"] for row in rows] != list(ids):
        raise DataError(f"{path}: not the log-probs of these {len(ids)} pairs; run the reference stage again")
    return np.array([[row["chosen_logps"], row["rejected_logps"]] for row in rows])


def check_reference(run: Run) -> None:
    """Raise TrainingError unless the rewards of the first training batch are 0, as they are if policy == reference.

    Any other reward means that the reference log-probs belong to another model, other pairs or another precision.
    """
    rows = step_rows(len(run.train.lengths), run.settings.batch_size, run.seed, 0)
    total = evaluate(run, run.train, rows)
    for side in ("chosen", "rejected"):
        found = (total.metrics[f"rewards/{side}"] / total.count).item() / run.settings.beta
        if not abs(found) <= TOLERANCE[run.precision]:
            raise TrainingError(
                f"{run.name}: policy and reference differ by {found:.6f} nats on the {side} responses of the first batch; expected "
                "equal models. The reference log-probs are those of another model or of other pairs: run the reference stage again"
            )
