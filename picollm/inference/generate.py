"""Batched sampling with a key-value cache."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from picollm.model.layout import Layout
from picollm.model.transformer import Transformer

# This many of the most likely tokens nearly always reach top_p; sorting the whole vocabulary can take longer than the forward pass.
CANDIDATES = 64


@dataclass
class Completion:
    """Token ids without the prompt, and the token at which the completion ended, or none: `end` is [id] or []."""

    ids: list[int]
    end: list[int]

    @property
    def ended(self) -> bool:
        return bool(self.end)


@torch.inference_mode()
def generate(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[Sequence[int]],
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    stop_ids: Sequence[int],
    batch_size: int,
) -> list[list[Completion]]:
    """Completions of each prompt, one for each of its seeds: greedy at temperature 0, otherwise nucleus sampling (Holtzman et al. 2020).

    Each completion has its own generator, seeded with its seed, so it does not depend on the others of its batch. Completions of the
    same prompt and of prompts of similar length share a batch of at most `batch_size`.
    """
    by_length = sorted(range(len(prompts)), key=lambda prompt: -len(prompts[prompt]))
    rows = [(prompt, seed) for prompt in by_length for seed in seeds[prompt]]
    completions: list[list[Completion]] = [[] for _ in prompts]
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        uniforms = torch.stack(
            [torch.rand(max_new_tokens, generator=torch.Generator().manual_seed(int(seed))) for _, seed in batch]
        )
        own = list(dict.fromkeys(prompt for prompt, _ in batch))
        prompt_of_row = np.array([own.index(prompt) for prompt, _ in batch])
        completed = _complete(
            model, [prompts[p] for p in own], prompt_of_row, uniforms, max_new_tokens, temperature, top_p, stop_ids
        )
        for (prompt, _), completion in zip(batch, completed, strict=True):
            completions[prompt].append(completion)
    return completions


def _complete(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    prompt_of_row: np.ndarray,
    uniforms: Tensor,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    stop_ids: Sequence[int],
) -> list[Completion]:
    """Completions of one batch, row r of the prompt `prompt_of_row[r]`: `uniforms` [rows, max_new_tokens]."""
    device = next(model.parameters()).device
    lengths = np.array([len(prompt) for prompt in prompts])
    layout, ends = Layout.from_lengths(lengths).to(device), torch.from_numpy(lengths.cumsum() - 1).to(device)
    cache = model.make_cache(lengths, prompt_of_row, max_new_tokens)
    last = model.hidden(torch.tensor(np.concatenate(prompts), device=device), layout, ends, cache)
    last = last[torch.from_numpy(prompt_of_row).to(device)]
    # The completion of each row of the cache, and the position of its next token; kept on the CPU, so that a step copies only the
    # new tokens from the device.
    rows, positions = np.arange(len(prompt_of_row)), lengths[prompt_of_row]
    uniforms = uniforms.to(device)
    completions = [Completion([], []) for _ in rows]
    for step in range(max_new_tokens):
        drawn = uniforms[torch.from_numpy(rows).to(device), step]
        sampled = sample_tokens(model.lm_head(last).float(), drawn, temperature, top_p)
        tokens = sampled.cpu().numpy()
        for row, token in zip(rows, tokens.tolist(), strict=True):
            completion = completions[row]
            (completion.end if token in stop_ids else completion.ids).append(token)
        active = ~np.isin(tokens, stop_ids)
        if not active.any() or step + 1 == max_new_tokens:
            break
        if not active.all():
            order = cache.keep(active)
            rows, positions, sampled = rows[order], positions[order], sampled[torch.from_numpy(order).to(device)]
        last = model.next_hidden(sampled, torch.from_numpy(positions).to(device), step, cache)
        positions = positions + 1
    return completions


def sample_tokens(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """Next tokens: logits [B, V], uniforms in [0, 1) [B] -> [B].

    The nucleus is the smallest set of most likely tokens whose probability reaches `top_p`, with all tokens that tie with its
    least likely one. Sampling inverts the cumulative distribution of the nucleus at the uniforms.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = (logits / temperature).softmax(dim=-1)
    if top_p < 1:
        probabilities = probabilities * (probabilities >= _threshold(probabilities, top_p))
    cumulative = probabilities.cumsum(dim=-1)
    mass = cumulative[:, -1:].contiguous()
    token = torch.searchsorted(cumulative, uniforms[:, None] * mass, right=True)
    last = torch.searchsorted(cumulative, mass)  # the product may round up to `mass`, which is past the last token
    return torch.minimum(token, last)[:, 0]


def _threshold(probabilities: Tensor, top_p: float) -> Tensor:
    """Probability of the nucleus's least likely token: [B, V] -> [B, 1]."""
    vocabulary = probabilities.shape[-1]
    threshold, complete = _threshold_of(probabilities.topk(min(CANDIDATES, vocabulary)).values, top_p)
    incomplete = (~complete).nonzero()[:, 0]
    if len(incomplete):
        threshold[incomplete] = _threshold_of(probabilities[incomplete].topk(vocabulary).values, top_p)[0]
    return threshold


def _threshold_of(candidates: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """From the K largest probabilities, descending [B, K]: that of the nucleus's last token [B, 1], and whether K suffice [B]."""
    cumulative = candidates.cumsum(dim=-1)
    before = cumulative - candidates
    return candidates.gather(1, (before < top_p).sum(dim=-1, keepdim=True) - 1), cumulative[:, -1] >= top_p
