"""Batches of packed sequences, and the data order as a function of (seed, step)."""

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
    """B sequences, packed into N tokens; the two sequences of a pair share the tokens of their prompt.

    Token `predictors[k]` predicts `targets[k]`, which belongs to sequence `sequence_ids[k]`; the first token of a sequence is never
    a target. In a batch of P pairs the P chosen sequences come before the P rejected ones, and `reference_logps` [2P] holds the
    reference model's summed response log-probs in the same order.
    """

    input_ids: Tensor  # [N] int64
    layout: Layout  # of B rows
    predictors: Tensor  # [K] int64; the last token of a pair's prompt occurs twice
    targets: Tensor  # [K] int64
    sequence_ids: Tensor  # [K] int64, ascending
    size: int  # B
    chosen_targets: (
        int  # the number of targets in the first B // 2 sequences, in a batch of pairs those of chosen responses
    )
    reference_logps: Tensor | None = None  # [2P] float32

    def to(self, device: torch.device) -> "Batch":
        tensors = (to_device(tensor, device) for tensor in (self.predictors, self.targets, self.sequence_ids))
        reference = None if self.reference_logps is None else to_device(self.reference_logps, device)
        return Batch(
            to_device(self.input_ids, device),
            self.layout.to(device),
            *tensors,
            self.size,
            self.chosen_targets,
            reference,
        )


def pack(sequences: Sequence[np.ndarray], prompt_lengths: Sequence[int]) -> Batch:
    """A Batch of sequences; the first `prompt_lengths[b]` >= 1 tokens of sequence b are not targets."""
    starts = np.cumsum([0, *map(len, sequences)])
    rows = [np.arange(start, end) for start, end in pairwise(starts)]
    return _batch(np.concatenate(sequences), rows, prompt_lengths, None)


def pack_pairs(
    prompts: Sequence[np.ndarray],
    chosen: Sequence[np.ndarray],
    rejected: Sequence[np.ndarray],
    reference_logps: np.ndarray | None,
) -> Batch:
    """A Batch of P pairs: the chosen sequences, then the rejected ones; `reference_logps` [2P] in the same order."""
    segments = [segment for pair in zip(prompts, chosen, rejected, strict=True) for segment in pair]
    starts = np.cumsum([0, *map(len, segments)])
    spans = [np.arange(start, end) for start, end in pairwise(starts)]
    rows = [np.concatenate((spans[i], spans[i + side])) for side in (1, 2) for i in range(0, len(spans), 3)]
    return _batch(np.concatenate(segments), rows, [*map(len, prompts)] * 2, reference_logps)


def _batch(
    ids: np.ndarray, rows: list[np.ndarray], prompt_lengths: Sequence[int], reference_logps: np.ndarray | None
) -> Batch:
    """`rows`: the indices into `ids` of each sequence's tokens."""
    ids = ids.astype(np.int64)
    predictors = np.concatenate([row[start - 1 : -1] for row, start in zip(rows, prompt_lengths, strict=True)])
    targets = ids[np.concatenate([row[start:] for row, start in zip(rows, prompt_lengths, strict=True)])]
    target_counts = [len(row) - start for row, start in zip(rows, prompt_lengths, strict=True)]
    sequence_ids = np.repeat(np.arange(len(rows)), target_counts)
    reference = None if reference_logps is None else torch.tensor(reference_logps, dtype=torch.float32)
    tensors = [torch.from_numpy(array) for array in (predictors, targets, sequence_ids)]
    chosen_targets = sum(target_counts[: len(rows) // 2])
    return Batch(torch.from_numpy(ids), Layout.from_rows(rows), *tensors, len(rows), chosen_targets, reference)


def step_rows(row_count: int, batch_size: int, seed: tuple[int, ...], step: int) -> np.ndarray:
    """The rows of optimizer step `step`: [batch_size], consecutive slices of an endless sequence of shuffled epochs.

    Depends only on its arguments, so that a resumed run needs no loader state.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs = positions // row_count
    rows = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        mask = epochs == epoch
        rows[mask] = _epoch_order(row_count, seed, int(epoch))[positions[mask] % row_count]
    return rows


@lru_cache(maxsize=2)
def _epoch_order(row_count: int, seed: tuple[int, ...], epoch: int) -> np.ndarray:
    return np.random.default_rng((*seed, epoch)).permutation(row_count)


def micro_batches(rows: np.ndarray, lengths: np.ndarray, size: int) -> list[np.ndarray]:
    """Split `rows` into groups of at most `size`, longest first, so that rows of similar length are in one group."""
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def micro_batches_of_rank(
    rows: np.ndarray, lengths: np.ndarray, size: int, rank: int, world_size: int
) -> list[tuple[np.ndarray, bool]]:
    """The micro-batches of one process, each with whether it counts; False marks a dummy.

    Rows are dealt out longest first, so that all processes have about the same work. Collectives need the same number of
    micro-batches in every process: one that has too few rows gets a dummy, whose result is to be ignored.
    """
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    own = micro_batches(ordered[rank::world_size], lengths, size)
    count = -(-len(ordered[::world_size]) // size)
    return [(micro, True) for micro in own] + [(ordered[:1], False)] * (count - len(own))
