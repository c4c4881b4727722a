"""ModelConfig: the sizes of a model, their consistency, and the number of parameters."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a model, named as in transformers' LlamaConfig."""

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
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def problem(self) -> str | None:
        """Why these sizes are inconsistent, or None."""
        if self.hidden_size % self.num_attention_heads:
            return f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
        if self.num_attention_heads % self.num_key_value_heads:
            return (
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        if self.head_dim % 2:
            return f"hidden_size / num_attention_heads is {self.head_dim}; expected an even number"
        return None

    def parameter_count(self) -> int:
        """Number of parameters; tied embeddings count once."""
        embedding = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        attention = 2 * self.hidden_size * (self.hidden_size + self.num_key_value_heads * self.head_dim)
        mlp = 3 * self.hidden_size * self.intermediate_size
        return embedding + self.num_hidden_layers * (attention + mlp + 2 * self.hidden_size) + self.hidden_size
