"""Batched sampling with a key-value cache; stops at end of text and returns the completion only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from picollm.model.layout import Layout
from picollm.model.transformer import Transformer

# The most likely tokens nearly always reach top_p; to sort a whole vocabulary may take longer than the model.
CANDIDATES = 64


@dataclass
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
        some = [prompts[row] for row in rows]
        done = _complete(model, some, uniforms, max_new_tokens, temperature, top_p, eos_id)
        for row, completion in zip(rows, done, strict=True):
            completions[row] = completion
    return completions


def _complete(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    uniforms: Tensor,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    eos_id: int,
) -> list[Completion]:
    """Rows that are completed together, each at its own position; `uniforms` [rows, max_new_tokens]."""
    device = next(model.parameters()).device
    lengths = np.array([len(prompt) for prompt in prompts])
    layout = Layout.end_to_end(lengths, wanted=np.cumsum(lengths) - 1).to(device)
    cache = model.make_cache(len(prompts), int(lengths.max()) + max_new_tokens)
    last = model.hidden(torch.tensor(np.concatenate(prompts), device=device), layout, cache)
    # Which row stands at each place, and where its next token goes; kept beside the CPU's other books, so that a step waits for
    # its tokens alone.
    rows, positions = np.arange(len(prompts)), lengths
    uniforms = uniforms.to(device)
    completions = [Completion([], False) for _ in prompts]
    for step in range(max_new_tokens):
        chosen = pick(
            model.lm_head(last).float(), uniforms[torch.from_numpy(rows).to(device), step], temperature, top_p
        )
        tokens = np.array(chosen.tolist())
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if token == eos_id:
                completions[row].ended = True
            else:
                completions[row].ids.append(token)
        going = tokens != eos_id
        if not going.any() or step + 1 == max_new_tokens:
            break
        if not going.all():
            order = cache.keep(going)
            rows, positions, chosen = rows[order], positions[order], chosen[torch.from_numpy(order).to(device)]
        last = model.next_hidden(chosen, torch.from_numpy(positions).to(device), int(positions.max()) + 1, cache)
        positions = positions + 1
    return completions


def pick(logits: Tensor, uniforms: Tensor, temperature: float, top_p: float) -> Tensor:
    """Next tokens: logits [B, V], one uniform in [0, 1) per row -> [B].

    The smallest set of most likely tokens whose probability reaches `top_p` is kept, with all that are as likely as the least
    likely of them, and the uniform picks from its cumulative distribution.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = (logits / temperature).softmax(dim=-1)
    if top_p < 1:
        probabilities = probabilities * (probabilities >= _least_kept(probabilities, top_p))
    cumulative = probabilities.cumsum(dim=-1)
    mass = cumulative[:, -1:].contiguous()
    place = torch.searchsorted(cumulative, uniforms[:, None] * mass, right=True)
    last = torch.searchsorted(cumulative, mass)  # for a product that rounds up to the whole mass
    return torch.minimum(place, last)[:, 0]


def _least_kept(probabilities: Tensor, top_p: float) -> Tensor:
    """The probability of the least likely token that is kept: [B, V] -> [B, 1]."""
    vocabulary = probabilities.shape[-1]
    least, reached = _least_of(probabilities.topk(min(CANDIDATES, vocabulary)).values, top_p)
    wide = (~reached).nonzero()[:, 0]
    if len(wide):
        least[wide] = _least_of(probabilities[wide].topk(vocabulary).values, top_p)[0]
    return least


def _least_of(likely: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Of descending probabilities [B, K]: the last that is kept [B, 1], and whether all K together reach `top_p` [B]."""
    cumulative = likely.cumsum(dim=-1)
    before = cumulative - likely
    return likely.gather(1, (before < top_p).sum(dim=-1, keepdim=True) - 1), cumulative[:, -1] >= top_p
