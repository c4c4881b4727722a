"""ModelConfig: the architecture and sizes of a model, their consistency, and the number of parameters."""

from dataclasses import dataclass
from typing import Literal

Architecture = Literal["llama", "mistral", "qwen2", "qwen3"]


@dataclass(frozen=True)
class RopeScaling:
    """Rotary frequencies stretched by `factor`, for contexts longer than the pretrained one; named as in transformers.

    `linear` (Chen et al. 2023) divides all of them; `llama3` (Dubey et al. 2024) divides those of wavelengths above
    original_max_position_embeddings / low_freq_factor, leaves those below original_max_position_embeddings / high_freq_factor, and
    interpolates between.
    """

    rope_type: Literal["linear", "llama3"]
    factor: float
    low_freq_factor: float | None = None
    high_freq_factor: float | None = None
    original_max_position_embeddings: int | None = None


@dataclass(frozen=True)
class ModelConfig:
    """Architecture and sizes of a model, named as in transformers' LlamaConfig."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rope_theta: float
    rms_norm_eps: float
    tie_word_embeddings: bool
    model_type: Architecture = "llama"
    rope_scaling: RopeScaling | None = None
    attention_bias: bool = False  # of the projections of queries, keys and values, and of the output, except in qwen2
    mlp_bias: bool = False

    @property
    def output_bias(self) -> bool:
        """Whether the output projection of attention has a bias."""
        return self.attention_bias and self.model_type != "qwen2"

    @property
    def qk_norm(self) -> bool:
        """Whether the queries and keys of each head are normalised."""
        return self.model_type == "qwen3"

    def problem(self) -> str | None:
        """Why these sizes are inconsistent, or None."""
        if self.num_attention_heads % self.num_key_value_heads:
            return (
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        if self.head_dim % 2:
            return (
                f"head_dim, by default hidden_size / num_attention_heads, is {self.head_dim}; expected an even number"
            )
        return None

    def parameter_count(self) -> int:
        """Number of parameters; tied embeddings count once."""
        embedding = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        queries, keys = (heads * self.head_dim for heads in (self.num_attention_heads, self.num_key_value_heads))
        attention = 2 * self.hidden_size * (queries + keys)
        attention += self.attention_bias * (queries + 2 * keys) + self.output_bias * self.hidden_size
        attention += self.qk_norm * 2 * self.head_dim
        mlp = 3 * self.hidden_size * self.intermediate_size
        mlp += self.mlp_bias * (2 * self.intermediate_size + self.hidden_size)
        return embedding + self.num_hidden_layers * (attention + mlp + 2 * self.hidden_size) + self.hidden_size


def default_head_dim(hidden_size: int, num_attention_heads: int) -> int:
    """hidden_size / num_attention_heads. Raises ValueError if that is no integer."""
    if hidden_size % num_attention_heads:
        raise ValueError(f"hidden_size {hidden_size} is not a multiple of num_attention_heads {num_attention_heads}")
    return hidden_size // num_attention_heads
