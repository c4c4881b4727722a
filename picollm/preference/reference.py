"""The precomputed reference log-probs, shared by all DPO runs on the same pairs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from picollm.core import files
from picollm.core.errors import DataError


def read_reference(path: str | Path, ids: Sequence[str]) -> np.ndarray:
    """Reference log-probs of the pairs `ids`, in their order: [pairs, 2] of (chosen, rejected), in nats. Raises DataError if the
    file is of other pairs."""
    rows = [row for _, row in files.read_jsonl(path)]
    if [row["id"] for row in rows] != list(ids):
        raise DataError(f"{path}: not the log-probs of these {len(ids)} pairs; run the reference stage again")
    return np.array([[row["chosen_logps"], row["rejected_logps"]] for row in rows])
