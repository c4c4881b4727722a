"""The Transformer: a Llama decoder whose weights are named and laid out as in Hugging Face transformers.

RMSNorm (Zhang & Sennrich 2019), rotary positions (Su et al. 2021) in the half-split order, grouped-query attention
(Ainslie et al. 2023), SwiGLU (Shazeer 2020), no biases, no dropout. No loss inside.
"""

import math
from collections.abc import Sequence
from functools import partial

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
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Linear(nn.Linear):
    """Without bias: [.., in_features] -> [.., out_features]."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2 and len(x) == 1 and x.device.type == "cpu" and not torch.is_grad_enabled():
            # All that one row costs is to read the weights. PyTorch has one thread do it, but shares out a batch of products.
            threads = math.gcd(self.out_features, torch.get_num_threads())
            parts = self.weight.unflatten(0, (threads, -1)).transpose(1, 2)
            return torch.bmm(x.expand(threads, 1, -1), parts).view(1, -1)
        return super().forward(x)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, half-split order: x [.., H, D]; cos and sin [.., 1, D], the sine of the first half negative."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


class Attention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.head_size = config.head_size
        kv_size = config.num_key_value_heads * config.head_size
        self.q_proj = Linear(config.hidden_size, config.hidden_size)
        self.k_proj = Linear(config.hidden_size, kv_size)
        self.v_proj = Linear(config.hidden_size, kv_size)
        self.o_proj = Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], attend: Attend, wanted: Tensor | None) -> Tensor:
        asking, *of_asking = (x, *rotary) if wanted is None else (y.index_select(0, wanted) for y in (x, *rotary))
        q, k, v = (
            projection(y).unflatten(-1, (-1, self.head_size))
            for projection, y in ((self.q_proj, asking), (self.k_proj, x), (self.v_proj, x))
        )
        return self.o_proj(attend(rotate(q, *of_asking), rotate(k, *rotary), v))


class MLP(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = Linear(config.hidden_size, config.intermediate_size)
        self.up_proj = Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], attend: Attend, wanted: Tensor | None = None) -> Tensor:
        """x [N, hidden_size] -> the same, or of the tokens `wanted` [M] alone: [M, hidden_size]."""
        attended = self.self_attn(self.input_layernorm(x), rotary, attend, wanted)
        x = attended + (x if wanted is None else x.index_select(0, wanted))
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Everything but the head, under the name `model` that transformers gives it."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
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
        half = torch.arange(0, config.head_size, 2, dtype=torch.float32) / config.head_size
        self.attend = Layout.attend  # how the tokens of a layout attend; what compiles the blocks puts a wrapper here
        self.register_buffer("inverse_frequencies", config.rope_theta**-half, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        layout = Layout.end_to_end([ids.shape[1]] * len(ids)).to(ids.device)
        return self.lm_head(self.hidden(ids.flatten(), layout)).unflatten(0, ids.shape)

    def hidden(self, ids: Tensor, layout: Layout, cache: KeyValueCache | None = None) -> Tensor:
        """ids [N] -> normed hidden states of the layout's M wanted tokens [M, hidden_size]; `lm_head` makes logits of them.

        `cache` keeps what `next_hidden` needs to read on.
        """
        every, wanted = (partial(self.attend, layout, queries) for queries in (layout.every, layout.wanted))
        attends = [every] * (len(self.model.layers) - 1) + [wanted]
        if cache is not None:
            attends = cache.read(layout, attends)
        return self._decode(ids, layout.positions, attends, layout.wanted.tokens)

    def next_hidden(self, ids: Tensor, positions: Tensor, length: int, cache: KeyValueCache) -> Tensor:
        """Normed hidden states of one more token of every row of `cache`, at `positions` [rows], the largest of which is `length` - 1:
        ids [rows] -> [rows, hidden_size]."""
        return self._decode(ids, positions, cache.extend(positions, length), None)

    def make_cache(self, rows: int, capacity: int) -> KeyValueCache:
        """An empty cache for so many rows of at most `capacity` tokens."""
        weight = self.model.embed_tokens.weight
        return KeyValueCache(self.config, rows, capacity, weight.dtype, weight.device)

    def _decode(self, ids: Tensor, positions: Tensor, attends: Sequence[Attend], wanted: Tensor | None) -> Tensor:
        x = self.model.embed_tokens(ids)
        angles = positions[:, None, None].float() * self.inverse_frequencies  # [N, 1, head_size / 2]
        cos, sin = angles.cos(), angles.sin()
        rotary = (torch.cat((cos, cos), dim=-1).to(x.dtype), torch.cat((-sin, sin), dim=-1).to(x.dtype))
        *earlier, (last, attend_last) = zip(self.model.layers, attends, strict=True)
        for block, attend in earlier:
            x = block(x, rotary, attend)
        return self.model.norm(last(x, rotary, attend_last, wanted))
