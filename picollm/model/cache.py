"""Key-value cache for generation: after the prompts, a forward pass computes one new token per row."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from picollm.model.layout import Attend, Layout
from picollm.model.shape import ModelConfig


class KeyValueCache:
    """`data` [layers, 2, rows, H_kv, capacity, D], keys before values; only the first `rows` rows are in use."""

    def __init__(self, config: ModelConfig, rows: int, capacity: int, dtype: torch.dtype, device: torch.device):
        shape = (config.num_hidden_layers, 2, rows, config.num_key_value_heads, capacity, config.head_dim)
        self.data = torch.zeros(shape, dtype=dtype, device=device)
        self.rows = rows

    def prefill(self, layout: Layout, attend: Attend) -> list[Attend]:
        """For each layer, `attend` that also stores the keys and values of the prompts, one prompt per row of `layout`."""

        def store_and_attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self._store(layer, layout.rows, layout.positions, k, v)
            return attend(q, k, v)

        return [partial(store_and_attend, layer) for layer in range(len(self.data))]

    def decode(self, positions: Tensor, length: int) -> list[Attend]:
        """For each layer, attention of one new token per row, at `positions` [rows], to itself and the tokens before it;
        `length` is the largest position + 1."""
        # A single row needs no mask, and integers index faster than tensors.
        if self.rows == 1:
            rows, columns, mask = 0, length - 1, None
        else:
            rows, columns = torch.arange(self.rows, device=positions.device), positions
            unused = torch.arange(length, device=positions.device) > positions[:, None]
            mask = torch.zeros(unused.shape, dtype=self.data.dtype, device=unused.device)
            mask = mask.masked_fill_(unused, -torch.inf)[:, None, None]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self._store(layer, rows, columns, k, v)
            keys, values = self.data[layer, :, : self.rows, :, :length]
            # One product for all query heads that share a key; with one query per row no attention kernel is faster on a CPU.
            scores = q.unflatten(1, (k.shape[1], -1)) @ keys.transpose(2, 3) * q.shape[-1] ** -0.5
            weights = (scores if mask is None else scores + mask).softmax(dim=-1)
            return (weights @ values).flatten(1)

        return [partial(attend, layer) for layer in range(len(self.data))]

    def _store(self, layer: int, rows: Tensor | int, positions: Tensor | int, k: Tensor, v: Tensor) -> None:
        """Store k and v [N, H_kv, D] of N tokens at `rows` and `positions`: [N] each, or two integers for a single token."""
        self.data[layer, :, rows, :, positions] = torch.stack((k, v), dim=1)

    def keep(self, active: np.ndarray) -> np.ndarray:
        """Drop the rows that are not `active` [rows]: the last active rows move into their places, nothing else is copied.

        Returns the old index of each remaining row: [remaining rows].
        """
        self.rows = int(active.sum())
        order = np.arange(self.rows)
        free = np.flatnonzero(~active[: self.rows])
        order[free] = self.rows + np.flatnonzero(active[self.rows :])
        self.data[:, :, free] = self.data[:, :, order[free]]
        return order
