"""Initial weights: small and random, but for one circuit that copies.

A model that must repeat a name it has never seen needs an induction circuit (Elhage et al. 2021; Olsson et al. 2022): a
head that tells each position what token stood before it, and a head in a later layer that looks for the position
whose previous token is the current one, and writes down the token found there. With six layers of 128 dimensions random weights
had found none after 1.5 million tokens. So one is put in place, faint enough to be trained away, in the spirit of mimetic
initialisation (Trockman & Kolter 2023): with it such a model copies within its first million.
"""

import math

import torch
from torch import Tensor, nn

from picollm.model.transformer import Attention, Transformer

STD = 0.02
QUICK = 0.15  # rotary frequencies above this, in radians per token, tell neighbouring positions apart
PREVIOUS_SHARPNESS = 44.0  # attention logit of the previous position; about 7 less one position further
MATCH_SHARPNESS = 7.0  # attention logit of a matching position
PREVIOUS_NORM = 0.9  # what a position learns of its previous token, relative to the norm of an embedding


@torch.no_grad()
def initialise(model: Transformer, seed: int) -> None:
    """GPT-2's initialisation (Radford et al. 2019): normal(0, 0.02), residual projections scaled by 1 / sqrt(2 layers);
    then, in a model of at least two layers and heads of at least four dimensions, the copying circuit."""
    generator = torch.Generator().manual_seed(seed)
    residual_std = STD / math.sqrt(2 * model.config.num_hidden_layers)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            nn.init.ones_(parameter)
        else:
            is_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
            nn.init.normal_(parameter, std=residual_std if is_residual else STD, generator=generator)
    if model.config.num_hidden_layers >= 2 and model.config.head_size >= 4:
        _put_copying_circuit(model, generator)


def _put_copying_circuit(model: Transformer, generator: torch.Generator) -> None:
    """Layer 0, head 0: `previous`. Layer 1, one or two heads: `match`.

    Embeddings e of norm n = 0.02 sqrt(d) get the same constant n in dimension 0, which gives attention something that
    does not depend on the token; the logits it adds to a tied head are the same for every token and cancel.
    After RMSNorm the constant is sqrt(d / 2) and the other dimensions have a standard deviation of sqrt(1 / 2).
    """
    d, size = model.config.hidden_size, model.config.head_size
    norm = STD * math.sqrt(d)
    model.model.embed_tokens.weight[:, 0] = norm
    reads, writes = (_rows_without_constant(size, d, generator) for _ in range(2))
    write_scale = PREVIOUS_NORM * norm / math.sqrt(size / 2)
    _previous_token_head(model.model.layers[0].self_attn, model.inverse_frequencies, reads, write_scale * writes)
    # In layer 1 the residual is e, the constant, and the previous token's read-out: their squared norms add up.
    rms = STD * math.sqrt(2 + PREVIOUS_NORM**2)
    query_norm = STD / rms * math.sqrt(size / 2)
    key_norm = PREVIOUS_NORM * norm / math.sqrt(2) / rms
    match_scale = math.sqrt(MATCH_SHARPNESS * math.sqrt(size) / (query_norm * key_norm))
    copy_scale = norm / (STD / rms * math.sqrt(size))
    second = model.model.layers[1].self_attn
    group = model.config.num_attention_heads // model.config.num_key_value_heads
    for number in range(min(2, model.config.num_key_value_heads)):
        half = slice(number * (size // 4 * 2), (number + 1) * (size // 4 * 2))
        copied = _rows_without_constant(size, d, generator)
        _match_head(second, number, group, match_scale * reads[half], match_scale * writes[half])
        second.v_proj.weight[number * size : (number + 1) * size] = copied
        head = number * group
        second.o_proj.weight[:, head * size : (head + 1) * size] = copy_scale * copied.T


def _previous_token_head(attention: Attention, frequencies: Tensor, reads: Tensor, writes: Tensor) -> None:
    """Head 0 attends to the position before, whatever its token, and writes `reads` of it along `writes`.

    The query is the constant in the first dimension of the quick rotary pairs, the key the same turned by one position: the
    dot product is a sum of cos((distance - 1) * frequency), largest at distance 1.
    """
    size, d = reads.shape
    quick = frequencies[frequencies > QUICK]
    amplitude = math.sqrt(PREVIOUS_SHARPNESS / len(quick) * math.sqrt(size) / (d / 2))
    query, key = torch.zeros(size, d), torch.zeros(size, d)
    query[: len(quick), 0] = amplitude
    key[: len(quick), 0] = amplitude * quick.cos()
    key[size // 2 : size // 2 + len(quick), 0] = amplitude * quick.sin()
    attention.q_proj.weight[:size], attention.k_proj.weight[:size] = query, key
    attention.v_proj.weight[:size], attention.o_proj.weight[:, :size] = reads, writes.T


def _match_head(attention: Attention, number: int, group: int, query_rows: Tensor, key_rows: Tensor) -> None:
    """A head that attends where `key_rows` of a position equal `query_rows` of the current one.

    They go into the slow rotary pairs, whose angle hardly changes over the length of a story.
    """
    size = attention.head_size
    slow = [*range(size // 2 - len(query_rows) // 2, size // 2), *range(size - len(query_rows) // 2, size)]
    query, key = (torch.zeros(size, rows.shape[1]) for rows in (query_rows, key_rows))
    query[slow], key[slow] = query_rows, key_rows
    head = number * group
    attention.q_proj.weight[head * size : (head + 1) * size] = query
    attention.k_proj.weight[number * size : (number + 1) * size] = key


def _rows_without_constant(count: int, size: int, generator: torch.Generator) -> Tensor:
    """[count, size] orthonormal rows that leave dimension 0 alone."""
    basis, _ = torch.linalg.qr(torch.randn(size - 1, count, generator=generator))
    return torch.cat([torch.zeros(count, 1), basis.T], dim=1)
