"""Batched sampling with a key-value cache; stops at end of text and returns the completion only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from picollm.model import KeyValueCache, Transformer


@dataclass(frozen=True)
class Completion:
    """Token ids without the end-of-text token, and whether it was reached."""

    ids: list[int]
    ended: bool


@torch.inference_mode()
def generate(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    eos_id: int,
    batch_size: int,
) -> list[Completion]:
    """One completion per prompt. Temperature 0 is greedy; else nucleus sampling (Holtzman et al. 2020).

    Row i draws its uniforms from a generator of seed `seeds[i]` alone, so that a sample depends on its own seed and not on
    the batch that it happens to be in. Prompts of similar length share a batch.
    """
    order = np.argsort([-len(prompt) for prompt in prompts], kind="stable")
    completions: list[Completion | None] = [None] * len(prompts)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        uniforms = torch.stack(
            [torch.rand(max_new_tokens, generator=torch.Generator().manual_seed(int(seeds[row]))) for row in rows]
        )
        batch = _Batch(model, [prompts[row] for row in rows], max_new_tokens)
        for row, completion in zip(rows, batch.complete(uniforms, temperature, top_p, eos_id), strict=True):
            completions[row] = completion
    return completions


class _Batch:
    """Rows that are completed together, each at its own position: the cache needs no padding on the left."""

    def __init__(self, model: Transformer, prompts: Sequence[Sequence[int]], max_new_tokens: int):
        self.model, self.max_new_tokens = model, max_new_tokens
        self.device = next(model.parameters()).device
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        width = int(lengths.max())
        ids = torch.zeros(len(prompts), width, dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt)
        self.ids, self.lengths = ids.to(self.device), lengths.to(self.device)
        dtype = next(model.parameters()).dtype
        self.cache = KeyValueCache(model.config, len(prompts), width + max_new_tokens, dtype, self.device)

    def complete(self, uniforms: Tensor, temperature: float, top_p: float, eos_id: int) -> list[Completion]:
        rows = torch.arange(len(self.ids), device=self.device)
        uniforms = uniforms.to(self.device)
        tokens = [[] for _ in range(len(rows))]
        ended = [False] * len(rows)
        width = self.ids.shape[1]
        places = torch.arange(width, device=self.device).expand_as(self.ids)
        hidden = self.model.hidden_cached(self.ids, places, self.cache, width)
        last = hidden[rows, self.lengths - 1]
        positions = self.lengths
        for step in range(self.max_new_tokens):
            chosen = pick(self.model.lm_head(last).float(), uniforms[rows, step], temperature, top_p)
            going = chosen != eos_id
            for row, token in zip(rows.tolist(), chosen.tolist(), strict=True):
                if token == eos_id:
                    ended[row] = True
                else:
                    tokens[row].append(token)
            if not going.all():  # finished rows leave the batch
                rows, chosen, positions = rows[going], chosen[going], positions[going]
                self.cache.select(going)
            if len(rows) == 0 or step + 1 == self.max_new_tokens:
                break
            length = int(positions.max()) + 1
            last = self.model.hidden_cached(chosen[:, None], positions[:, None], self.cache, length)[:, 0]
            positions = positions + 1
        return [Completion(ids, end) for ids, end in zip(tokens, ended, strict=True)]


def pick(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """Next tokens: logits [B, V], one uniform in [0, 1) per row -> [B].

    The smallest set of most likely tokens whose probability reaches `top_p` is kept, and the uniform picks from its
    cumulative distribution.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities, tokens = (logits / temperature).softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    cumulative = probabilities.cumsum(dim=-1)
    kept = cumulative - probabilities < top_p
    mass = (probabilities * kept).sum(dim=-1)
    place = torch.searchsorted(cumulative, (uniforms * mass)[:, None], right=True)
    place = torch.minimum(place, kept.sum(dim=-1, keepdim=True) - 1)
    return tokens.gather(1, place)[:, 0]
