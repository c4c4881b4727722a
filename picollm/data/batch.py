"""Batch, collation, and data order as a function of (seed, step)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Rows padded on the right. `loss_mask[b, t]` is true where token t of row b is a target (never at t = 0).

    In a batch of P pairs the P chosen rows stand above the P rejected rows; `reference_logps` [2P] then holds the
    reference model's summed response log-probs, in the same order.
    """

    input_ids: Tensor  # [B, T] int64
    loss_mask: Tensor  # [B, T] bool
    reference_logps: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        reference = None if self.reference_logps is None else self.reference_logps.to(device, non_blocking=True)
        return Batch(
            self.input_ids.to(device, non_blocking=True), self.loss_mask.to(device, non_blocking=True), reference
        )


def collate(sequences: Sequence[np.ndarray], prompt_lengths: Sequence[int], pad_id: int, reference_logps=None) -> Batch:
    """Stack id arrays into one Batch; the first `prompt_lengths[b]` tokens of row b (at least one) bear no loss."""
    lengths = np.array([len(sequence) for sequence in sequences])
    positions = np.arange(lengths.max())
    ids = np.full((len(sequences), len(positions)), pad_id, dtype=np.int64)
    filled = positions < lengths[:, None]
    ids[filled] = np.concatenate(sequences)
    mask = filled & (positions >= np.maximum(np.asarray(prompt_lengths), 1)[:, None])
    reference = None if reference_logps is None else torch.tensor(reference_logps, dtype=torch.float32)
    return Batch(torch.from_numpy(ids), torch.from_numpy(mask), reference)


def step_rows(row_count: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """The rows of optimiser step `step`: consecutive slices of one endless stream of shuffled epochs.

    Depends on nothing but its arguments, so that a resumed run needs no loader state.
    """
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = places // row_count
    rows = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        rows[here] = _epoch_order(row_count, seed, int(epoch))[places[here] % row_count]
    return rows


@lru_cache(maxsize=2)
def _epoch_order(row_count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(row_count)


def micro_batches(rows: np.ndarray, lengths: np.ndarray, size: int) -> list[np.ndarray]:
    """Split one step's rows into groups of at most `size`, longest first, so that equal lengths share their padding."""
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def share(
    rows: np.ndarray, lengths: np.ndarray, size: int, rank: int, world_size: int
) -> list[tuple[np.ndarray, bool]]:
    """One process's micro-batches of a step, each with whether it counts.

    Rows are dealt out longest first, so that all processes have about the same work, and every process gets the same number
    of micro-batches (communication pairs them up): where rows run out, a row that does not count fills the place.
    """
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    mine = micro_batches(ordered[rank::world_size], lengths, size)
    places = -(-len(ordered[::world_size]) // size)
    return [(micro, True) for micro in mine] + [(ordered[:1], False)] * (places - len(mine))
