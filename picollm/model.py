"""The Transformer: a Llama decoder whose weights are named and laid out as in Hugging Face transformers.

RMSNorm (Zhang & Sennrich 2019), rotary positions (Su et al. 2021) in the half-split order, grouped-query attention
(Ainslie et al. 2023), SwiGLU (Shazeer 2020), no biases, no dropout. No loss inside.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from picollm.layout import Layout


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the model; the names are those of a transformers Llama config.json."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    rope_theta: float
    rms_norm_eps: float
    tie_word_embeddings: bool

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def problem(self) -> str | None:
        """What makes this shape impossible, in words, or None."""
        if self.hidden_size % self.num_attention_heads:
            return f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
        if self.num_attention_heads % self.num_key_value_heads:
            return (
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        if self.head_size % 2:
            return f"hidden_size / num_attention_heads is {self.head_size}; rotary positions need an even number"
        return None


class KeyValueCache:
    """Keys and values of the positions computed so far, one row a sequence: [B, H_kv, capacity, head_size] per layer."""

    def __init__(self, config: ModelConfig, batch: int, capacity: int, dtype: torch.dtype, device: torch.device):
        shape = (batch, config.num_key_value_heads, capacity, config.head_size)
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(config.num_hidden_layers)]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(config.num_hidden_layers)]

    def write(self, layer: int, positions: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put [B, H_kv, T, head_size] at `positions` [B, T] of each row; return the whole layer's keys and values."""
        index = positions[:, None, :, None].expand_as(keys)
        self.keys[layer].scatter_(2, index, keys)
        self.values[layer].scatter_(2, index, values)
        return self.keys[layer], self.values[layer]

    def select(self, rows: Tensor) -> None:
        """Keep only these rows, in this order."""
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, half-split order: x [.., H, D], cos and sin [.., 1, D / 2]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


@dataclass(frozen=True)
class CacheView:
    """One forward pass's view of the cache: where its tokens go and what each of them may see."""

    cache: KeyValueCache
    positions: Tensor  # [B, T]
    mask: Tensor  # [B, 1, T, length], true where a query may look
    length: int

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [B, T, H, D], k and v [B, T, H_kv, D] of the new tokens -> [B, T, H * D]."""
        grouped = q.shape[2] != k.shape[2]
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        k, v = self.cache.write(layer, self.positions, k, v)
        k, v = k[:, :, : self.length], v[:, :, : self.length]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask, enable_gqa=grouped)
        return y.transpose(1, 2).flatten(2)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer, self.head_size = layer, config.head_size
        kv_size = config.num_key_value_heads * config.head_size
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], context: Layout | CacheView) -> Tensor:
        q, k, v = (
            projection(x).unflatten(-1, (-1, self.head_size)) for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, *rotary), rotate(k, *rotary)
        if isinstance(context, Layout):
            return self.o_proj(context.attend(q, k, v))
        return self.o_proj(context.attend(self.layer, q, k, v))


class MLP(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], context: Layout | CacheView) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rotary, context)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Everything but the head, under the name `model` that transformers gives it."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Transformer(nn.Module):
    """ids [B, T] -> logits [B, T, V]."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        half = torch.arange(0, config.head_size, 2, dtype=torch.float32) / config.head_size
        self.register_buffer("inverse_frequencies", config.rope_theta**-half, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        layout = Layout.rectangle(*ids.shape).to(ids.device)
        return self.lm_head(self.hidden(ids.flatten(), layout)).unflatten(0, ids.shape)

    def hidden(self, ids: Tensor, layout: Layout) -> Tensor:
        """ids [N] -> normed hidden states [N, hidden_size]; `lm_head` makes logits of those that are needed."""
        return self._decode(ids, layout.positions, layout)

    def hidden_cached(self, ids: Tensor, positions: Tensor, cache: KeyValueCache, length: int) -> Tensor:
        """The same for tokens at `positions` [B, T] that also see what `cache` holds of their row's earlier positions.

        `length` bounds the positions looked at: one more than the largest of them.
        """
        seen = torch.arange(length, device=ids.device)
        mask = seen <= positions[:, None, :, None]
        return self._decode(ids, positions, CacheView(cache, positions, mask, length))

    def _decode(self, ids: Tensor, positions: Tensor, context: Layout | CacheView) -> Tensor:
        x = self.model.embed_tokens(ids)
        angles = positions[..., None, None].float() * self.inverse_frequencies  # [.., 1, head_size / 2]
        rotary = (angles.cos().to(x.dtype), angles.sin().to(x.dtype))
        for block in self.model.layers:
            x = block(x, rotary, context)
        return self.model.norm(x)
