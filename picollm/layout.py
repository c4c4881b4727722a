"""Tokens laid end to end without padding, and the rows [B, T] that attention sees of them.

Everything but attention works on single tokens, so it is computed once per token: not for padding, and not twice for a prompt that
two rows share. Only attention needs rows; `attend` spreads its inputs over them and gathers its outputs again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Attention of N new tokens: q [N, H, D], k and v [N, H_kv, D] -> [N, H * D].
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Layout:
    """Where each of N tokens stands in B rows of at most T; a token may stand in several rows, at the same position."""

    positions: Tensor  # [N] int64, place of the token in its rows
    tokens: Tensor  # [B, T] int64, the token at each place; 0 where the row has ended
    first: Tensor  # [N] int64, the place (in B * T) where each token stands first
    is_first: Tensor  # [B, T, 1] float32, 1 at those places and 0 elsewhere
    again: Tensor  # [S] int64, the other places (in B * T)
    repeated: Tensor  # [S] int64, the token at each of those

    @staticmethod
    def of(rows: Sequence[np.ndarray]) -> "Layout":
        """From the tokens of each row, in their order: numbers from 0 to N - 1, each in at least one row."""
        lengths = np.array([len(row) for row in rows])
        places = np.arange(lengths.max())
        filled = places < lengths[:, None]
        flat = np.concatenate(rows)
        tokens = np.zeros(filled.shape, dtype=np.int64)
        tokens[filled] = flat
        where = np.flatnonzero(filled)
        _, at = np.unique(flat, return_index=True)
        others = np.delete(np.arange(len(flat)), at)
        is_first = np.zeros(filled.size, dtype=np.float32)
        is_first[where[at]] = 1
        return Layout(
            torch.from_numpy(where[at] % len(places)),
            torch.from_numpy(tokens),
            torch.from_numpy(where[at]),
            torch.from_numpy(is_first.reshape(*filled.shape, 1)),
            torch.from_numpy(where[others]),
            torch.from_numpy(flat[others].astype(np.int64)),
        )

    @staticmethod
    def rectangle(batch: int, length: int) -> "Layout":
        """B rows of exactly T tokens that share none."""
        return Layout.of(list(np.arange(batch * length).reshape(batch, length)))

    def to(self, device: torch.device) -> "Layout":
        return Layout(*(moved(getattr(self, field.name), device) for field in fields(self)))

    def spread(self, x: Tensor) -> Tensor:
        """x [N, H, D] over the rows: [B, H, T, D]."""
        return _Spread.apply(x, self).transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal attention within each row: q [N, H, D], k and v [N, H_kv, D] -> [N, H * D]."""
        grouped = q.shape[1] != k.shape[1]
        q, k, v = (self.spread(x) for x in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
        return _Gather.apply(y.transpose(1, 2).flatten(2), self)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; to a GPU without waiting for the work that is queued there."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class _Spread(torch.autograd.Function):
    """x [N, H, D] -> [B, T, H, D]. By hand, for the gradient of indexing is a slow scattered sum where this is a gather."""

    @staticmethod
    def forward(ctx, x: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return x.index_select(0, layout.tokens.flatten()).unflatten(0, layout.tokens.shape)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        flat = gradient.flatten(0, 1)
        total = flat.index_select(0, ctx.layout.first)
        if len(ctx.layout.again):
            total.index_add_(0, ctx.layout.repeated, flat.index_select(0, ctx.layout.again))
        return total, None


class _Gather(torch.autograd.Function):
    """y [B, T, E] -> [N, E], each token's output where it stands first."""

    @staticmethod
    def forward(ctx, y: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return y.flatten(0, 1).index_select(0, layout.first)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        layout = ctx.layout
        rows = gradient.index_select(0, layout.tokens.flatten()).unflatten(0, layout.tokens.shape)
        return rows * layout.is_first, None
