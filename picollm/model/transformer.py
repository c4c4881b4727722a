"""A Llama decoder with the parameter names and shapes of Hugging Face transformers; also Mistral, Qwen2 and Qwen3.

RMSNorm (Zhang & Sennrich 2019), rotary position embeddings (Su et al. 2021) in the half-split order, grouped-query attention
(Ainslie et al. 2023), SwiGLU (Shazeer 2020), no dropout; biases and normalised queries and keys (Qwen3) where the ModelConfig has
them. The loss is not part of the model.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from picollm.model.cache import KeyValueCache
from picollm.model.layout import Attend, Layout
from picollm.model.shape import ModelConfig


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        # Queries and keys are bfloat16 under autocast.
        return F.rms_norm(x.to(self.weight.dtype), self.weight.shape, self.weight, self.eps)


class Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        """Does nothing: weights are loaded, or drawn by `initialise`. Drawing them on the meta device, like any arithmetic there,
        imports PyTorch's compiler, which takes a second."""


class Linear(nn.Linear):
    """[.., in_features] -> [.., out_features]."""

    def __init__(self, in_features: int, out_features: int, bias: bool = False):
        super().__init__(in_features, out_features, bias)

    def reset_parameters(self) -> None:
        """Does nothing, as that of Embedding."""

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2 and len(x) == 1 and x.device.type == "cpu" and not torch.is_grad_enabled():
            # With one row, reading the weights takes all the time. PyTorch does that in one thread; a batched product uses all.
            threads = math.gcd(self.out_features, torch.get_num_threads())
            slices = self.weight.unflatten(0, (threads, -1)).transpose(1, 2)
            product = torch.bmm(x.expand(threads, 1, -1), slices).view(1, -1)
            return product if self.bias is None else product + self.bias
        return super().forward(x)


def inverse_frequencies(config: ModelConfig) -> Tensor:
    """Radians per position of each rotary pair: [head_dim / 2]; computed on the CPU, also within `torch.device("meta")`."""
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device="cpu") / config.head_dim
    frequencies = config.rope_theta**-exponents
    scaling = config.rope_scaling
    if scaling is None:
        return frequencies
    if scaling.rope_type == "linear":
        return frequencies / scaling.factor
    # How much of the original frequency is kept: 0 for long wavelengths, 1 for short ones.
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    turns = scaling.original_max_position_embeddings * frequencies / (2 * math.pi)  # in the original context
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return (1 - kept) * frequencies / scaling.factor + kept * frequencies


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, half-split order: x [.., H, D]; cos and sin [.., 1, D], the first half of sin negated."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.head_dim = config.head_dim
        size = config.hidden_size
        q_size = config.num_attention_heads * config.head_dim
        kv_size = config.num_key_value_heads * config.head_dim
        self.q_proj = Linear(size, q_size, config.attention_bias)
        self.k_proj = Linear(size, kv_size, config.attention_bias)
        self.v_proj = Linear(size, kv_size, config.attention_bias)
        self.o_proj = Linear(q_size, size, config.output_bias)
        self.q_norm, self.k_norm = (
            RMSNorm(config.head_dim, config.rms_norm_eps) if config.qk_norm else nn.Identity() for _ in range(2)
        )

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        q, k, v = (
            projection(x).unflatten(-1, (-1, self.head_dim)) for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = (apply_rotary(x, *rotary) for x in (self.q_norm(q), self.k_norm(k)))
        return self.o_proj(attend(q, k, v))


class MLP(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = Linear(config.hidden_size, config.intermediate_size, config.mlp_bias)
        self.up_proj = Linear(config.hidden_size, config.intermediate_size, config.mlp_bias)
        self.down_proj = Linear(config.intermediate_size, config.hidden_size, config.mlp_bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], attend: Attend, selected: Tensor | None) -> Tensor:
        """x [N, hidden_size] -> [N, hidden_size], or [M, hidden_size] of the tokens `selected` [M]."""
        x = x + self.self_attn(self.input_layernorm(x), rotary, attend)
        if selected is not None:
            x = x.index_select(0, selected)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """The parameters of everything but the head; transformers' LlamaModel."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Transformer(nn.Module):
    """ids [B, T] -> logits [B, T, V]."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        self.attend = Layout.attend  # replaced by a wrapper when the blocks are compiled
        self.register_buffer("inverse_frequencies", inverse_frequencies(config), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        layout = Layout.from_lengths([ids.shape[1]] * len(ids)).to(ids.device)
        return self.lm_head(self.hidden(ids.flatten(), layout)).unflatten(0, ids.shape)

    def hidden(
        self, ids: Tensor, layout: Layout, selected: Tensor | None = None, cache: KeyValueCache | None = None
    ) -> Tensor:
        """Final hidden states, after the norm: ids [N] -> [N, hidden_size], or [M, hidden_size] of the tokens `selected` [M], which
        may repeat. `cache`, if given, is filled for `next_hidden`.
        """
        attend = partial(self.attend, layout)
        attends = [attend] * len(self.model.layers) if cache is None else cache.prefill(layout, attend)
        return self._run(ids, layout.positions, attends, selected)

    def next_hidden(self, ids: Tensor, positions: Tensor, step: int, cache: KeyValueCache) -> Tensor:
        """Final hidden states of one new token per row of `cache`, the `step`-th generated one (from 0): ids and `positions` [rows] ->
        [rows, hidden_size]."""
        return self._run(ids, positions, cache.decode(step), None)

    def make_cache(self, prompt_lengths: Sequence[int], prompt_of_row: np.ndarray, new_tokens: int) -> KeyValueCache:
        """An empty cache for rows that continue the prompts `prompt_of_row` [rows] with at most `new_tokens` tokens."""
        weight = self.model.embed_tokens.weight
        return KeyValueCache(self.config, prompt_lengths, prompt_of_row, new_tokens, weight.dtype, weight.device)

    def _run(self, ids: Tensor, positions: Tensor, attends: Sequence[Attend], selected: Tensor | None) -> Tensor:
        x = self.model.embed_tokens(ids)
        angles = positions[:, None, None].float() * self.inverse_frequencies  # [N, 1, head_dim / 2]
        cos, sin = angles.cos(), angles.sin()
        rotary = (torch.cat((cos, cos), dim=-1).to(x.dtype), torch.cat((-sin, sin), dim=-1).to(x.dtype))
        last = len(attends) - 1
        for number, (block, attend) in enumerate(zip(self.model.layers, attends, strict=True)):
            # After the last layer's attention no token needs the others' hidden states.
            x = block(x, rotary, attend, selected if number == last else None)
        return self.model.norm(x)
