"""Batch, packing, and data order as a function of (seed, step)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from picollm.model.layout import Layout, to_device


@dataclass(frozen=True)
class Batch:
    """B sequences of N packed tokens in all; the two sequences of a pair share the tokens of the prompt.

    Token `predictors[k]` predicts `targets[k]`, a target of sequence `owners[k]`; the first token of a sequence is never a target.
    In a batch of P pairs the P chosen sequences come before the P rejected ones, and `reference_logps` [2P] holds the reference
    model's summed response log-probs in the same order.
    """

    input_ids: Tensor  # [N] int64
    layout: Layout  # of B rows
    predictors: Tensor  # [K] int64, in order of `owners`; the last token of a pair's prompt occurs twice
    targets: Tensor  # [K] int64
    owners: Tensor  # [K] int64
    size: int  # B
    reference_logps: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        tensors = (to_device(tensor, device) for tensor in (self.predictors, self.targets, self.owners))
        reference = None if self.reference_logps is None else to_device(self.reference_logps, device)
        return Batch(to_device(self.input_ids, device), self.layout.to(device), *tensors, self.size, reference)


def pack(sequences: Sequence[np.ndarray], prompt_lengths: Sequence[int]) -> Batch:
    """A Batch of sequences; the first `prompt_lengths[b]` tokens of sequence b, at least one, are no targets."""
    starts = np.cumsum([0, *map(len, sequences)])
    rows = [np.arange(start, end) for start, end in pairwise(starts)]
    return _batch(np.concatenate(sequences), rows, prompt_lengths, None)


def pack_pairs(
    prompts: Sequence[np.ndarray],
    chosen: Sequence[np.ndarray],
    rejected: Sequence[np.ndarray],
    reference_logps: np.ndarray | None,
) -> Batch:
    """A Batch of pairs: the chosen sequences, then the rejected ones; `reference_logps` [2P] in that order."""
    pieces = [piece for pair in zip(prompts, chosen, rejected, strict=True) for piece in pair]
    starts = np.cumsum([0, *map(len, pieces)])
    spans = [np.arange(start, end) for start, end in pairwise(starts)]
    rows = [np.concatenate((spans[i], spans[i + side])) for side in (1, 2) for i in range(0, len(spans), 3)]
    return _batch(np.concatenate(pieces), rows, [*map(len, prompts)] * 2, reference_logps)


def _batch(ids: np.ndarray, rows: list[np.ndarray], prompt_lengths: Sequence[int], reference_logps) -> Batch:
    ids = ids.astype(np.int64)
    parts = list(zip(rows, prompt_lengths, strict=True))
    predictors = np.concatenate([row[prompt - 1 : -1] for row, prompt in parts])
    targets = ids[np.concatenate([row[prompt:] for row, prompt in parts])]
    owners = np.repeat(np.arange(len(rows)), [len(row) - prompt for row, prompt in parts])
    reference = None if reference_logps is None else torch.tensor(reference_logps, dtype=torch.float32)
    arrays = [torch.from_numpy(array) for array in (predictors, targets, owners)]
    return Batch(torch.from_numpy(ids), Layout.from_rows(rows), *arrays, len(rows), reference)


def step_rows(row_count: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """The rows of optimiser step `step`: [batch_size], consecutive slices of an endless sequence of shuffled epochs.

    A function of its arguments alone, so a resumed run needs no loader state.
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
    """Split one step's rows into groups of at most `size`, longest first, so that similar lengths share one."""
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def share(
    rows: np.ndarray, lengths: np.ndarray, size: int, rank: int, world_size: int
) -> list[tuple[np.ndarray, bool]]:
    """One process's micro-batches of a step, each with whether it counts.

    Rows are dealt out longest first, so that all processes have about the same work. Every process gets the same number of
    micro-batches, because collectives pair them up: a process without rows left takes one that does not count.
    """
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    mine = micro_batches(ordered[rank::world_size], lengths, size)
    places = -(-len(ordered[::world_size]) // size)
    return [(micro, True) for micro in mine] + [(ordered[:1], False)] * (places - len(mine))
