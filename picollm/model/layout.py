"""Tokens laid end to end without padding, and the rectangles [B, T] of rows that attention sees of them.

Everything but attention works on single tokens, so it is computed once per token: not for padding, and not twice for a prompt that
two rows share. Only attention needs rows; `attend` spreads its inputs over them and gathers its outputs again. Rows of similar
length share a rectangle, so that little of it is padding. Where a rectangle begins with tokens that have their output from another
one, or from nowhere because nobody wants it, such as a prompt's of the last block, no query is made of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from picollm.model.attention import causal_attention

# Attention of M queries to N new tokens: q [M, H, D], k and v [N, H_kv, D] -> [M, H * D].
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]

SHORTEST = 7 / 8  # what share of a rectangle's length a row in it must have; less would mean more padding


@dataclass(frozen=True)
class Queries:
    """M of the N tokens of a layout, those that attend, and where each stands in the Q places of its rectangles' last columns."""

    tokens: Tensor  # [M] int64, ascending
    places: Tensor  # [Q] int64, which of the M stands at each place; 0 where none of them does
    first: Tensor  # [M] int64, the place where each stands first
    is_first: Tensor  # [Q, 1] float32, 1 at those places and 0 elsewhere
    columns: tuple[
        int, ...
    ]  # how many of the last columns of each rectangle; in those before none of the M stands first

    @staticmethod
    def of(wanted: np.ndarray, tokens: np.ndarray, first: np.ndarray, shapes: Sequence[tuple[int, int]]) -> "Queries":
        """`wanted` [M] of the tokens that stand at the P places of all rectangles, `tokens` [P], and there first at `first` [N]."""
        is_first = np.zeros((len(tokens), 1), dtype=np.float32)
        is_first[first[wanted]] = 1
        starts = np.cumsum([0, *(count * length for count, length in shapes)])
        columns, places = [], []
        for start, (count, length) in zip(starts[:-1], shapes, strict=True):
            rectangle = np.arange(start, start + count * length).reshape(count, length)
            asked = is_first[start : start + count * length].reshape(count, length).any(axis=0)
            before = int(asked.argmax()) if asked.any() else length
            columns.append(length - before)
            places.append(rectangle[:, before:].ravel())
        places = np.concatenate(places)
        number = np.zeros(len(first), dtype=np.int64)
        number[wanted] = np.arange(len(wanted))
        arrays = (wanted, number[tokens[places]], np.searchsorted(places, first[wanted]), is_first[places])
        return Queries(*map(torch.from_numpy, arrays), tuple(columns))

    def to(self, device: torch.device) -> "Queries":
        tensors = (moved(tensor, device) for tensor in (self.tokens, self.places, self.first, self.is_first))
        return Queries(*tensors, self.columns)


@dataclass(frozen=True)
class Layout:
    """Where each of N tokens stands in the P places of all rectangles; a token may stand in several rows, at the same position."""

    positions: Tensor  # [N] int64, place of the token in its rows
    rows: Tensor  # [N] int64, a row that each token stands in: its only one, or the longest
    tokens: Tensor  # [P] int64, the token at each place; 0 where the row has ended
    first: Tensor  # [N] int64, the place where each token stands first
    again: Tensor  # [S] int64, the other places
    repeated: Tensor  # [S] int64, the token at each of those
    shapes: tuple[tuple[int, int], ...]  # B and T of each rectangle
    every: Queries  # all tokens
    wanted: Queries  # those whose outputs are wanted

    @staticmethod
    def of(rows: Sequence[np.ndarray], wanted: np.ndarray | None = None) -> "Layout":
        """From the tokens of each row, in their order: numbers from 0 to N - 1, each in at least one row.

        `wanted` [M] are the tokens whose outputs are wanted, in ascending order; None: all.
        """
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
        tokens = np.zeros(sum(count * length for count, length in shapes), dtype=np.int64)
        tokens[where] = flat
        first = where[at]
        every = Queries.of(np.arange(len(first)), tokens, first, shapes)
        queries = (every, every if wanted is None else Queries.of(wanted, tokens, first, shapes))
        arrays = (columns[at], np.repeat(order, lengths[order])[at], tokens, first, where[others], flat[others])
        return Layout(*map(torch.from_numpy, arrays), tuple(shapes), *queries)

    @staticmethod
    def end_to_end(lengths: Sequence[int], wanted: np.ndarray | None = None) -> "Layout":
        """Rows that share no token, one behind the other."""
        return Layout.of(np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1]), wanted)

    def to(self, device: torch.device) -> "Layout":
        tensors = (self.positions, self.rows, self.tokens, self.first, self.again, self.repeated)
        queries = (self.every.to(device), self.wanted.to(device))
        return Layout(*(moved(tensor, device) for tensor in tensors), self.shapes, *queries)

    def attend(self, queries: Queries, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal attention of `queries` within each row: q [M, H, D], k and v [N, H_kv, D] -> [M, H * D]."""
        last = [(count, columns) for (count, _), columns in zip(self.shapes, queries.columns, strict=True)]
        asking = _rectangles(_SpreadQueries.apply(q, queries), last)
        asked = (_rectangles(_Spread.apply(x, self), self.shapes) for x in (k, v))
        attended = [
            causal_attention(*rows).transpose(1, 2).flatten(2).flatten(0, 1)
            for rows in zip(asking, *asked, strict=True)
        ]
        return _Gather.apply(attended[0] if len(attended) == 1 else torch.cat(attended), queries)


def _rectangles(x: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """x [P, H, D] -> [B, H, T, D] of each rectangle."""
    parts = x.split([count * length for count, length in shapes])
    return [part.unflatten(0, shape).transpose(1, 2) for part, shape in zip(parts, shapes, strict=True)]


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


class _SpreadQueries(torch.autograd.Function):
    """q [M, H, D] -> [Q, H, D]. Where a query does not stand first its output is not taken, so no gradient comes from there."""

    @staticmethod
    def forward(ctx, q: Tensor, queries: Queries) -> Tensor:
        ctx.queries = queries
        return q.index_select(0, queries.places)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.index_select(0, ctx.queries.first), None


class _Gather(torch.autograd.Function):
    """y [Q, E] -> [M, E], each query's output where it stands first."""

    @staticmethod
    def forward(ctx, y: Tensor, queries: Queries) -> Tensor:
        ctx.queries = queries
        return y.index_select(0, queries.first)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.index_select(0, ctx.queries.places) * ctx.queries.is_first, None
