"""Batch, packing, and data order as a function of (seed, step)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from picollm.model.layout import Layout, moved


@dataclass(frozen=True)
class Batch:
    """B sequences whose N tokens lie end to end, without padding; the prompt of a pair is there once.

    What the layout wants are the tokens that come before a target; number `predictors[k]` of those predicts `targets[k]`, a target of
    sequence `owners[k]`. The first token of a sequence is never a target. In a batch of P pairs the P chosen sequences come
    before the P rejected ones; `reference_logps` [2P] then holds the reference model's summed response log-probs, in the same
    order.
    """

    input_ids: Tensor  # [N] int64
    layout: Layout  # of B rows
    predictors: Tensor  # [K] int64, in ascending order of `owners`; of a pair's prompt the last token is there twice
    targets: Tensor  # [K] int64
    owners: Tensor  # [K] int64
    size: int  # B
    reference_logps: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        tensors = (moved(tensor, device) for tensor in (self.predictors, self.targets, self.owners))
        reference = None if self.reference_logps is None else moved(self.reference_logps, device)
        return Batch(moved(self.input_ids, device), self.layout.to(device), *tensors, self.size, reference)


def pack(sequences: Sequence[np.ndarray], prompt_lengths: Sequence[int]) -> Batch:
    """Id arrays as one Batch; the first `prompt_lengths[b]` tokens of sequence b (at least one) bear no loss."""
    starts = np.cumsum([0, *map(len, sequences)])
    rows = [np.arange(start, end) for start, end in pairwise(starts)]
    return _batch(np.concatenate(sequences), rows, prompt_lengths, None)


def pack_pairs(
    prompts: Sequence[np.ndarray],
    chosen: Sequence[np.ndarray],
    rejected: Sequence[np.ndarray],
    reference_logps: np.ndarray | None,
) -> Batch:
    """Pairs as one Batch, chosen above rejected, each prompt's tokens there once."""
    pieces = [piece for pair in zip(prompts, chosen, rejected, strict=True) for piece in pair]
    starts = np.cumsum([0, *map(len, pieces)])
    places = [np.arange(start, end) for start, end in pairwise(starts)]
    rows = [np.concatenate((places[i], places[i + tail])) for tail in (1, 2) for i in range(0, len(places), 3)]
    return _batch(np.concatenate(pieces), rows, [*map(len, prompts)] * 2, reference_logps)


def _batch(ids: np.ndarray, rows: list[np.ndarray], prompt_lengths: Sequence[int], reference_logps) -> Batch:
    ids = ids.astype(np.int64)
    starts = np.maximum(np.asarray(prompt_lengths), 1)
    predictors = np.concatenate([row[start - 1 : -1] for row, start in zip(rows, starts, strict=True)])
    targets = ids[np.concatenate([row[start:] for row, start in zip(rows, starts, strict=True)])]
    owners = np.repeat(np.arange(len(rows)), [len(row) - start for row, start in zip(rows, starts, strict=True)])
    reference = None if reference_logps is None else torch.tensor(reference_logps, dtype=torch.float32)
    wanted, predictors = np.unique(predictors, return_inverse=True)
    arrays = [torch.from_numpy(array) for array in (predictors, targets, owners)]
    return Batch(torch.from_numpy(ids), Layout.of(rows, wanted), *arrays, len(rows), reference)


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
    """Split one step's rows into groups of at most `size`, longest first, so that equal lengths share attention's padding."""
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
