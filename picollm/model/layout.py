"""Packed tokens [N], and the padded buckets [B, T] on which attention is computed.

Everything but attention works on single tokens, so it runs on packed tokens [N, ..]: without padding, and only once for a prompt
that the two rows of a pair share. Attention needs whole rows; rows of similar length form one bucket, which needs little padding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from picollm.model.attention import causal_attention

# Attention of N packed tokens: q [N, H, D], k and v [N, H_kv, D] -> [N, H * D].
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]

# Shortest row of a bucket, as a fraction of its longest; a smaller value means fewer buckets and more padding.
MIN_FILL = 7 / 8


@dataclass(frozen=True)
class Layout:
    """Index maps between N packed tokens and the P slots of all buckets. A token may be in several rows, at the same position."""

    positions: Tensor  # [N] int64, position of each token in its rows
    rows: Tensor  # [N] int64, the row of each token; the longest, if it is in several
    to_padded: Tensor  # [P] int64, the token in each slot; padding repeats the last token of the row
    to_packed: Tensor  # [N] int64, the slot that holds each token's output
    shapes: tuple[tuple[int, int], ...]  # (B, T) of each bucket

    @staticmethod
    def from_rows(rows: Sequence[np.ndarray]) -> "Layout":
        """From the token indices of each row, in order of position; each of 0 to N - 1 is in at least one row."""
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        shapes = _bucket_shapes([len(rows[row]) for row in order])
        padded_lengths = [length for count, length in shapes for _ in range(count)]
        positions = [np.arange(length) for length in padded_lengths]
        tokens = np.concatenate(
            [rows[row][np.minimum(slots, len(rows[row]) - 1)] for row, slots in zip(order, positions, strict=True)]
        )
        _, to_packed = np.unique(tokens, return_index=True)  # the first slot of each token, which is never padding
        row_of_slot = np.repeat(order, padded_lengths)
        arrays = (np.concatenate(positions)[to_packed], row_of_slot[to_packed], tokens, to_packed)
        return Layout(*map(torch.from_numpy, arrays), tuple(shapes))

    @staticmethod
    def from_lengths(lengths: Sequence[int]) -> "Layout":
        """Layout of consecutive rows that share no tokens."""
        return Layout.from_rows(np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1]))

    def to(self, device: torch.device) -> "Layout":
        tensors = (self.positions, self.rows, self.to_padded, self.to_packed)
        return Layout(*(to_device(tensor, device) for tensor in tensors), self.shapes)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal attention within each row: q [N, H, D], k and v [N, H_kv, D] -> [N, H * D]."""
        buckets = zip(*(self._pad(x) for x in (q, k, v)), strict=True)
        outputs = [causal_attention(*bucket).transpose(1, 2).flatten(2).flatten(0, 1) for bucket in buckets]
        return torch.cat(outputs).index_select(0, self.to_packed)

    def _pad(self, x: Tensor) -> list[Tensor]:
        """x [N, H, D] -> [B, H, T, D] for each bucket."""
        buckets = x.index_select(0, self.to_padded).split([count * length for count, length in self.shapes])
        return [bucket.unflatten(0, shape).transpose(1, 2) for bucket, shape in zip(buckets, self.shapes, strict=True)]


def _bucket_shapes(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """(B, T) of each bucket, for lengths in descending order."""
    shapes: list[tuple[int, int]] = []
    for length in lengths:
        if shapes and length >= MIN_FILL * shapes[-1][1]:
            shapes[-1] = (shapes[-1][0] + 1, shapes[-1][1])
        else:
            shapes.append((1, length))
    return shapes


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`; the copy to a GPU is asynchronous."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
