"""Weight initialisation: random, plus a weak induction circuit.

To copy a name that it has never seen a model needs induction heads (Elhage et al. 2021; Olsson et al. 2022): a head that
writes each position's previous token into the residual stream, and a head in a later layer that attends to the positions
whose previous token equals the current one and copies the token found there. A model of six layers and 128 dimensions had
not learned them after 1.5 million tokens. Initialised with a weak circuit, which training can overwrite (in the spirit of
mimetic initialisation, Trockman & Kolter 2023), it copies within its first million.
"""

import math

import torch
from torch import Tensor, nn

from picollm.model.transformer import Attention, Transformer

STD = 0.02
# Norm of an embedding, without the constant of the circuit. Training brings those of frequent tokens to 1 and more, and leaves those of
# rare tokens about where they began: from GPT-2's 0.02 sqrt(d) they were copied less well (docs/stories.md).
EMBEDDING_NORM = 0.5
MIN_FREQUENCY = 0.15  # radians per token; rotary pairs above this distinguish neighbouring positions
PREVIOUS_LOGIT = 44.0  # attention logit of the previous position; that of the one before is about 7 lower
MATCH_LOGIT = 7.0  # attention logit of a matching position
PREVIOUS_NORM = 0.9  # norm of the previous token's output in the residual stream, relative to the norm of an embedding


@torch.no_grad()
def initialise(model: Transformer, seed: int) -> None:
    """GPT-2's initialisation (Radford et al. 2019), with larger embeddings: normal(0, 0.02), residual projections scaled by
    1 / sqrt(2 layers), embeddings normal(0, EMBEDDING_NORM / sqrt(d)); then, if there are two layers and heads of at least four dimensions,
    the induction circuit."""
    generator = torch.Generator().manual_seed(seed)
    residual_std = STD / math.sqrt(2 * model.config.num_hidden_layers)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            nn.init.ones_(parameter)
        else:
            is_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
            nn.init.normal_(parameter, std=residual_std if is_residual else STD, generator=generator)
    embedding = model.model.embed_tokens.weight
    nn.init.normal_(embedding, std=EMBEDDING_NORM / math.sqrt(embedding.shape[1]), generator=generator)
    if model.config.num_hidden_layers >= 2 and model.config.head_dim >= 4:
        _add_induction_circuit(model, generator)


def _add_induction_circuit(model: Transformer, generator: torch.Generator) -> None:
    """Layer 0, head 0 becomes the previous-token head; layer 1 gets one or two induction heads.

    Dimension 0 of every embedding is set to EMBEDDING_NORM, the norm of the rest: a constant from which attention can
    compute scores that do not depend on the token. With tied weights it adds the same number to every logit, which cancels.
    After RMSNorm the constant is sqrt(d / 2) and the other dimensions have a standard deviation of sqrt(1 / 2).
    """
    d, size = model.config.hidden_size, model.config.head_dim
    norm, std = EMBEDDING_NORM, EMBEDDING_NORM / math.sqrt(d)
    model.model.embed_tokens.weight[:, 0] = norm
    reads, writes = (_rows_without_constant(size, d, generator) for _ in range(2))
    write_scale = PREVIOUS_NORM * norm / math.sqrt(size / 2)
    _previous_token_head(model.model.layers[0].self_attn, model.inverse_frequencies, reads, write_scale * writes)
    # The residual stream of layer 1 is embedding + constant + previous token: their squared norms add up.
    rms = std * math.sqrt(2 + PREVIOUS_NORM**2)
    query_norm = std / rms * math.sqrt(size / 2)
    key_norm = PREVIOUS_NORM * norm / math.sqrt(2) / rms
    match_scale = math.sqrt(MATCH_LOGIT * math.sqrt(size) / (query_norm * key_norm))
    copy_scale = norm / (std / rms * math.sqrt(size))
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
    """Head 0 attends to the previous position, whatever its token: value projection `reads`, output projection `writes`.

    The query is the constant in the first dimension of the fast rotary pairs, the key is the same rotated by one position:
    their dot product is a sum of cos((distance - 1) * frequency), largest at distance 1.
    """
    size, d = reads.shape
    fast = frequencies[frequencies > MIN_FREQUENCY]
    amplitude = math.sqrt(PREVIOUS_LOGIT / len(fast) * math.sqrt(size) / (d / 2))
    query, key = torch.zeros(size, d), torch.zeros(size, d)
    query[: len(fast), 0] = amplitude
    key[: len(fast), 0] = amplitude * fast.cos()
    key[size // 2 : size // 2 + len(fast), 0] = amplitude * fast.sin()
    attention.q_proj.weight[:size], attention.k_proj.weight[:size] = query, key
    attention.v_proj.weight[:size], attention.o_proj.weight[:, :size] = reads, writes.T


def _match_head(attention: Attention, number: int, group: int, query_rows: Tensor, key_rows: Tensor) -> None:
    """Key-value head `number` attends to positions whose `key_rows` projection matches the current one's `query_rows`.

    The projections fill the slow rotary pairs, whose angle hardly changes over the length of a story.
    """
    size = attention.head_dim
    slow = [*range(size // 2 - len(query_rows) // 2, size // 2), *range(size - len(query_rows) // 2, size)]
    query, key = (torch.zeros(size, rows.shape[1]) for rows in (query_rows, key_rows))
    query[slow], key[slow] = query_rows, key_rows
    head = number * group
    attention.q_proj.weight[head * size : (head + 1) * size] = query
    attention.k_proj.weight[number * size : (number + 1) * size] = key


def _rows_without_constant(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Orthonormal rows [count, size] whose dimension 0 is zero."""
    basis, _ = torch.linalg.qr(torch.randn(size - 1, count, generator=generator))
    return torch.cat([torch.zeros(count, 1), basis.T], dim=1)
