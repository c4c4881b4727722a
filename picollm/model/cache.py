"""Key-value cache for generation: after the prompts, a forward pass computes one new token per row."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from picollm.model.layout import Attend, Layout
from picollm.model.shape import ModelConfig


class KeyValueCache:
    """The keys and values of the tokens of each row, `rows` [layers, 2, rows, H_kv, tokens, D], keys before values.

    If several rows continue the same prompt, those of the prompts are stored apart, once for all of a prompt's rows:
    `prompts` [layers, 2, G, H_kv, P, D]. Attention to a prompt is then one matrix product for all its rows (Juravsky et al. 2024,
    "Hydragen"), which reads the prompt's keys once and not once per row. Prompts are padded on the left, so that a step of generation
    is the same column in every row.
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
        self.layers, count, longest = config.num_hidden_layers, len(prompt_lengths), max(prompt_lengths)
        self.shared = not np.array_equal(prompt_of_row, np.arange(count))
        self.start = 0 if self.shared else longest  # the column of the first generated token

        def empty(rows: int, columns: int) -> Tensor:
            shape = (self.layers, 2, rows, config.num_key_value_heads, columns, config.head_dim)
            return torch.zeros(shape, dtype=dtype, device=device)

        self.rows = empty(len(prompt_of_row), self.start + new_tokens)
        self.prompts = empty(count, longest) if self.shared else self.rows
        self.padding = longest - torch.tensor(prompt_lengths, device=device)
        mask = torch.zeros((count, 1, 1, longest if self.shared else self.rows.shape[4]), dtype=dtype, device=device)
        columns = torch.arange(mask.shape[3], device=device)
        self.mask = (
            mask.masked_fill_(columns < self.padding[:, None, None, None], -torch.inf) if self.padding.any() else None
        )
        self._set_rows(prompt_of_row)

    def prefill(self, layout: Layout, attend: Attend) -> list[Attend]:
        """For each layer, `attend` that also stores the keys and values of the prompts, one prompt per row of `layout`."""
        columns = layout.positions + self.padding[layout.rows]

        def store_and_attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self.prompts[layer, :, layout.rows, :, columns] = torch.stack((k, v), dim=1)
            return attend(q, k, v)

        return [partial(store_and_attend, layer) for layer in range(self.layers)]

    def decode(self, step: int) -> list[Attend]:
        """For each layer, attention of one new token per row, the `step`-th generated one (from 0), to itself and all before it."""
        count, end = len(self.prompt_of_row), self.start + step + 1
        mask = self.mask if self.shared or self.mask is None else self.mask[..., :end]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            stored = self.rows[layer, :, :count]
            stored[0, :, :, end - 1], stored[1, :, :, end - 1] = k, v
            keys, values = stored[:, :, :, :end]
            q = (q * q.shape[-1] ** -0.5).unflatten(1, (k.shape[1], -1))  # [rows, H_kv, queries of a key head, D]
            scores = q @ keys.transpose(2, 3)
            if not self.shared:
                return (_masked(scores, mask).softmax(dim=-1) @ values).flatten(1)
            prompt_keys, prompt_values = self.prompts[layer]
            to_prompt = self._by_row(_masked(self._by_prompt(q) @ prompt_keys.transpose(2, 3), mask))
            weights = torch.cat((to_prompt, scores), dim=-1).softmax(dim=-1)
            of_prompt, of_row = weights.split((to_prompt.shape[-1], end), dim=-1)
            return (of_row @ values + self._by_row(self._by_prompt(of_prompt) @ prompt_values)).flatten(1)

        return [partial(attend, layer) for layer in range(self.layers)]

    def keep(self, active: np.ndarray) -> np.ndarray:
        """Drop the rows that are not `active` [rows]: the last active rows move into their places, nothing else is copied.

        Returns the old index of each remaining row: [remaining rows].
        """
        remaining = int(active.sum())
        order = np.arange(remaining)
        free = np.flatnonzero(~active[:remaining])
        order[free] = remaining + np.flatnonzero(active[remaining:])
        self.rows[:, :, free] = self.rows[:, :, order[free]]
        if not self.shared and self.mask is not None:
            self.mask = self.mask[torch.from_numpy(order).to(self.mask.device)]
        self._set_rows(self.prompt_of_row[order])
        return order

    def _set_rows(self, prompt_of_row: np.ndarray) -> None:
        """The place of each row in a table of prompts and the rows of each: [G, most rows of a prompt]."""
        self.prompt_of_row = prompt_of_row
        if not self.shared:
            return
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


def _masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    return scores if mask is None else scores + mask
