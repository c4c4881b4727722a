"""Key-value cache for generation: after the prompts, a forward pass computes one new token per row."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from picollm.model.layout import Attend, Layout
from picollm.model.shape import ModelConfig


class KeyValueCache:
    """The keys and values of G prompts, each stored once for all rows that continue it, and of the tokens generated in each row.

    `prompts` [layers, 2, G, H_kv, P, D] and `generated` [layers, 2, rows, H_kv, new_tokens, D], keys before values; only the first
    `len(prompt_of_row)` rows are in use. Attention to a prompt is one matrix product for all its rows (Juravsky et al. 2024,
    "Hydragen"), which reads the prompt's keys once and not once per row.
    """

    def __init__(
        self,
        config: ModelConfig,
        prompt_lengths: Sequence[int],
        prompt_of_row: np.ndarray,
        new_tokens: int,
        dtype: torch.dtype,
        device: torch.device,
    ):
        self.layers, heads = config.num_hidden_layers, config.num_key_value_heads
        longest = max(prompt_lengths)
        lead, tail = (self.layers, 2), (heads, longest, config.head_dim)
        self.prompts = torch.zeros((*lead, len(prompt_lengths), *tail), dtype=dtype, device=device)
        self.generated = torch.zeros(
            (*lead, len(prompt_of_row), heads, new_tokens, config.head_dim), dtype=dtype, device=device
        )
        lengths = torch.tensor(prompt_lengths, device=device)
        padding = torch.arange(longest, device=device) >= lengths[:, None]
        self.mask = torch.zeros(padding.shape, dtype=dtype, device=device).masked_fill_(padding, -torch.inf)[
            :, None, None
        ]
        self._set_rows(prompt_of_row)

    def prefill(self, layout: Layout, attend: Attend) -> list[Attend]:
        """For each layer, `attend` that also stores the keys and values of the prompts, one prompt per row of `layout`."""

        def store_and_attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self.prompts[layer, :, layout.rows, :, layout.positions] = torch.stack((k, v), dim=1)
            return attend(q, k, v)

        return [partial(store_and_attend, layer) for layer in range(self.layers)]

    def decode(self, step: int) -> list[Attend]:
        """For each layer, attention of one new token per row, the `step`-th generated one (from 0), to itself and all before it."""
        rows = len(self.prompt_of_row)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            generated, (prompt_keys, prompt_values) = self.generated[layer, :, :rows], self.prompts[layer]
            generated[0, :, :, step], generated[1, :, :, step] = k, v
            keys, values = generated[:, :, :, : step + 1]
            q = (q * q.shape[-1] ** -0.5).unflatten(1, (k.shape[1], -1))  # [rows, H_kv, queries of a key head, D]
            to_prompt = self._by_row(self._by_prompt(q) @ prompt_keys.transpose(2, 3) + self.mask)
            weights = torch.cat((to_prompt, q @ keys.transpose(2, 3)), dim=-1).softmax(dim=-1)
            of_prompt, of_generated = weights.split((to_prompt.shape[-1], step + 1), dim=-1)
            mixed = of_generated @ values + self._by_row(self._by_prompt(of_prompt) @ prompt_values)
            return mixed.flatten(1)

        return [partial(attend, layer) for layer in range(self.layers)]

    def keep(self, active: np.ndarray) -> np.ndarray:
        """Drop the rows that are not `active` [rows]: the last active rows move into their places, nothing else is copied.

        Returns the old index of each remaining row: [remaining rows].
        """
        remaining = int(active.sum())
        order = np.arange(remaining)
        free = np.flatnonzero(~active[:remaining])
        order[free] = remaining + np.flatnonzero(active[remaining:])
        self.generated[:, :, free] = self.generated[:, :, order[free]]
        self._set_rows(self.prompt_of_row[order])
        return order

    def _set_rows(self, prompt_of_row: np.ndarray) -> None:
        """Place the rows in a table of prompts and the rows of each: [G, most rows of a prompt]."""
        self.prompt_of_row = prompt_of_row
        groups, rows = self.prompts.shape[2], len(prompt_of_row)
        counts = np.bincount(prompt_of_row, minlength=groups)
        rank = np.empty(rows, dtype=np.int64)
        rank[np.argsort(prompt_of_row, kind="stable")] = np.concatenate([np.arange(count) for count in counts])
        self.width = int(counts.max(initial=0))
        place = prompt_of_row * self.width + rank
        full = rows == groups * self.width and (place == np.arange(rows)).all()
        self.place = None if full else torch.from_numpy(place).to(self.prompts.device)

    def _by_prompt(self, x: Tensor) -> Tensor:
        """[rows, H_kv, Q, X] -> [G, H_kv, width * Q, X], places without a row 0."""
        if self.place is not None:
            x = x.new_zeros((self.prompts.shape[2] * self.width, *x.shape[1:])).index_copy_(0, self.place, x)
        return x.unflatten(0, (-1, self.width)).transpose(1, 2).flatten(2, 3)

    def _by_row(self, x: Tensor) -> Tensor:
        """The inverse of `_by_prompt`."""
        x = x.unflatten(2, (self.width, -1)).transpose(1, 2).flatten(0, 1)
        return x if self.place is None else x.index_select(0, self.place)
