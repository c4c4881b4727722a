"""Keys and values of rows that are being completed, so that each new token costs one pass of its own."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from picollm.model.layout import Attend, Layout
from picollm.model.shape import ModelConfig


class KeyValueCache:
    """[layers, 2, rows, H_kv, capacity, D], keys before values; the first `rows` rows are those still going on."""

    def __init__(self, shape: ModelConfig, rows: int, capacity: int, dtype: torch.dtype, device: torch.device):
        sizes = (shape.num_hidden_layers, 2, rows, shape.num_key_value_heads, capacity, shape.head_size)
        self.data = torch.zeros(sizes, dtype=dtype, device=device)
        self.rows = rows

    def read(self, layout: Layout, attends: Sequence[Attend]) -> list[Attend]:
        """Attention of whole prompts, one a row of `layout`, by `attends` of each layer; it leaves their keys and values here."""

        def read(layer: int, attend: Attend, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self._write(layer, layout.rows, layout.positions, k, v)
            return attend(q, k, v)

        return [partial(read, layer, attend) for layer, attend in enumerate(attends)]

    def extend(self, positions: Tensor, length: int) -> list[Attend]:
        """Attention of one more token a row, at `positions` [rows], the largest of which is `length` - 1, to itself and all before
        it, for each layer."""
        # Nothing is hidden from a single row, and its place is one slice: quicker than the general way.
        if self.rows == 1:
            rows, places, mask = 0, length - 1, None
        else:
            rows, places = torch.arange(self.rows, device=positions.device), positions
            hidden = torch.arange(length, device=positions.device) > positions[:, None]
            mask = torch.zeros(hidden.shape, dtype=self.data.dtype, device=hidden.device)
            mask = mask.masked_fill_(hidden, -torch.inf)[:, None, None]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self._write(layer, rows, places, k, v)
            keys, values = self.data[layer, :, : self.rows, :, :length]
            # By hand: with one query, the heads that share a key are the rows of one product, and no kernel is faster on CPU.
            scores = q.unflatten(1, (k.shape[1], -1)) @ keys.transpose(2, 3) * q.shape[-1] ** -0.5
            weights = (scores if mask is None else scores + mask).softmax(dim=-1)
            return (weights @ values).flatten(1)

        return [partial(attend, layer) for layer in range(len(self.data))]

    def _write(self, layer: int, rows: Tensor | int, positions: Tensor | int, k: Tensor, v: Tensor) -> None:
        """Put keys and values [N, H_kv, D] of N tokens at their rows and positions: [N], or the numbers of a single token."""
        self.data[layer, :, rows, :, positions] = torch.stack((k, v), dim=1)

    def keep(self, going: np.ndarray) -> np.ndarray:
        """Let the rows that are not `going` [rows] leave: the last ones take their places, and nothing else is copied.

        Returns which row now stands at each place: [rows that go on].
        """
        self.rows = int(going.sum())
        order = np.arange(self.rows)
        free = np.flatnonzero(~going[: self.rows])
        order[free] = self.rows + np.flatnonzero(going[self.rows :])
        self.data[:, :, free] = self.data[:, :, order[free]]
        return order
