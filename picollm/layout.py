"""Tokens laid end to end without padding, and the rectangles [B, T] of rows that attention sees of them.

Everything but attention works on single tokens, so it is computed once per token: not for padding, and not twice for a prompt that
two rows share. Only attention needs rows; `attend` spreads its inputs over them and gathers its outputs again. Rows of similar
length share a rectangle, so that little of it is padding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from picollm.attention import causal_attention

# Attention of N new tokens: q [N, H, D], k and v [N, H_kv, D] -> [N, H * D].
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]

SHORTEST = 7 / 8  # what share of a rectangle's length a row in it must have; less would mean more padding


@dataclass(frozen=True)
class Layout:
    """Where each of N tokens stands in the P places of all rectangles; a token may stand in several rows, at the same position."""

    positions: Tensor  # [N] int64, place of the token in its rows
    rows: Tensor  # [N] int64, a row that each token stands in: its only one, or the longest
    tokens: Tensor  # [P] int64, the token at each place; 0 where the row has ended
    first: Tensor  # [N] int64, the place where each token stands first
    is_first: Tensor  # [P, 1] float32, 1 at those places and 0 elsewhere
    again: Tensor  # [S] int64, the other places
    repeated: Tensor  # [S] int64, the token at each of those
    shapes: tuple[tuple[int, int], ...]  # B and T of each rectangle

    @staticmethod
    def of(rows: Sequence[np.ndarray]) -> "Layout":
        """From the tokens of each row, in their order: numbers from 0 to N - 1, each in at least one row."""
        lengths = np.array([len(row) for row in rows])
        order = np.argsort(-lengths, kind="stable")
        groups = _groups(lengths[order])
        shapes = [(end - start, int(lengths[order[start]])) for start, end in groups]
        filled = [
            np.arange(length) < lengths[order[start:end], None]
            for (start, end), (_, length) in zip(groups, shapes, strict=True)
        ]
        columns = np.concatenate([np.nonzero(inside)[1] for inside in filled])
        where = np.flatnonzero(np.concatenate([inside.ravel() for inside in filled]))
        flat = np.concatenate([rows[row] for row in order]).astype(np.int64)
        _, at = np.unique(flat, return_index=True)
        others = np.delete(np.arange(len(flat)), at)
        places = sum(count * length for count, length in shapes)
        tokens = np.zeros(places, dtype=np.int64)
        tokens[where] = flat
        is_first = np.zeros((places, 1), dtype=np.float32)
        is_first[where[at]] = 1
        arrays = (
            columns[at],
            np.repeat(order, lengths[order])[at],
            tokens,
            where[at],
            is_first,
            where[others],
            flat[others],
        )
        return Layout(*map(torch.from_numpy, arrays), tuple(shapes))

    @staticmethod
    def end_to_end(lengths: Sequence[int]) -> "Layout":
        """Rows that share no token, one behind the other."""
        return Layout.of(np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1]))

    def to(self, device: torch.device) -> "Layout":
        tensors = (getattr(self, field.name) for field in fields(self) if field.name != "shapes")
        return Layout(*(moved(tensor, device) for tensor in tensors), self.shapes)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal attention within each row: q [N, H, D], k and v [N, H_kv, D] -> [N, H * D]."""
        sizes = [count * length for count, length in self.shapes]
        attended = []
        for shape, *parts in zip(self.shapes, *(_Spread.apply(x, self).split(sizes) for x in (q, k, v)), strict=True):
            rows = (part.unflatten(0, shape).transpose(1, 2) for part in parts)
            attended.append(causal_attention(*rows).transpose(1, 2).flatten(2).flatten(0, 1))
        return _Gather.apply(attended[0] if len(attended) == 1 else torch.cat(attended), self)


def _groups(lengths: np.ndarray) -> list[tuple[int, int]]:
    """Start and end of each run of similar lengths, which descend."""
    starts = [0]
    for place, length in enumerate(lengths):
        if length < SHORTEST * lengths[starts[-1]]:
            starts.append(place)
    return list(pairwise([*starts, len(lengths)]))


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; to a GPU without waiting for the work that is queued there."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class _Spread(torch.autograd.Function):
    """x [N, H, D] -> [P, H, D]. By hand, for the gradient of indexing is a slow scattered sum where this is a gather."""

    @staticmethod
    def forward(ctx, x: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return x.index_select(0, layout.tokens)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.index_select(0, ctx.layout.first)
        if len(ctx.layout.again):
            total.index_add_(0, ctx.layout.repeated, gradient.index_select(0, ctx.layout.again))
        return total, None


class _Gather(torch.autograd.Function):
    """y [P, E] -> [N, E], each token's output where it stands first."""

    @staticmethod
    def forward(ctx, y: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return y.index_select(0, layout.first)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.index_select(0, ctx.layout.tokens) * ctx.layout.is_first, None
