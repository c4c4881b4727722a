"""config.json of Hugging Face: what of it a ModelConfig holds, and back."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from picollm.core import files
from picollm.core.config import Positive, Size
from picollm.core.errors import CheckpointError, DataError, shown
from picollm.model.settings import Layers
from picollm.model.shape import Architecture, ModelConfig, RopeScaling, default_head_dim
from picollm.text.tokenizer import Tokenizer

CONFIG = "config.json"
CLASSES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
QWEN = ("qwen2", "qwen3")
# Of keys that a file may lack; those of transformers. Without key-value heads a Llama has as many as heads of queries.
DEFAULTS = {
    "mistral": {"num_key_value_heads": 8, "sliding_window": 4096},
    "qwen2": {"num_key_value_heads": 32, "sliding_window": 4096},
    "qwen3": {"num_key_value_heads": 32, "sliding_window": 4096, "head_dim": 128},
}


class RopeParameters(BaseModel):
    """rope_parameters of transformers 5, and rope_scaling of earlier versions, which keep rope_theta beside it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rope_type: Literal["default", "linear", "llama3"] = "default"
    rope_theta: Positive | None = None
    factor: Positive | None = None
    low_freq_factor: Positive | None = None
    high_freq_factor: Positive | None = None
    original_max_position_embeddings: Size | None = None
    partial_rotary_factor: Literal[1.0] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _old_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and "type" in value:
            return {"rope_type": value["type"]} | {name: item for name, item in value.items() if name != "type"}
        return value

    @model_validator(mode="after")
    def _complete(self):
        needed = {
            "linear": ("factor",),
            "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
        }
        missing = [name for name in needed.get(self.rope_type, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{missing[0]} is missing; expected with rope_type {self.rope_type}")
        if self.rope_type == "llama3" and self.low_freq_factor >= self.high_freq_factor:
            raise ValueError(f"low_freq_factor {self.low_freq_factor}; expected less than high_freq_factor")
        return self

    def scaling(self) -> RopeScaling | None:
        if self.rope_type == "default":
            return None
        if self.rope_type == "linear":
            return RopeScaling("linear", self.factor)
        return RopeScaling(**self.model_dump(exclude={"rope_theta", "partial_rotary_factor"}))


class ConfigFile(BaseModel):
    """The keys of a config.json that change what the model computes; other keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, protected_namespaces=())

    model_type: Architecture
    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Layers
    num_attention_heads: Size
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    max_position_embeddings: Size
    rope_theta: Positive | None = None
    rope_parameters: RopeParameters | None = None
    rope_scaling: RopeParameters | None = None
    partial_rotary_factor: Literal[1.0] | None = None
    rms_norm_eps: Positive = 1e-6
    tie_word_embeddings: bool = False
    hidden_act: Literal["silu"] = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    use_sliding_window: bool = False
    sliding_window: Size | None = None
    quantization_config: None = None

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        name = value.get("model_type") if isinstance(value, dict) else None
        if not isinstance(name, str):
            return value
        if name not in CLASSES:
            raise ValueError(f"model_type {shown(name)} is not supported; expected one of {', '.join(CLASSES)}")
        return DEFAULTS.get(name, {}) | value

    def config(self) -> ModelConfig:
        """Raises ValueError for inconsistent sizes. Sliding-window attention is full attention as far as the window, so the context
        ends there."""
        rope = self.rope_scaling or self.rope_parameters or RopeParameters()  # in transformers' order
        head_dim = None
        if self.head_dim is None or self.model_type == "llama":  # transformers demands it of every Llama
            head_dim = default_head_dim(self.hidden_size, self.num_attention_heads)
        context = self.max_position_embeddings
        if self.sliding_window and (self.model_type == "mistral" or self.use_sliding_window):
            context = min(context, self.sliding_window)
        config = ModelConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            num_key_value_heads=self.num_key_value_heads or self.num_attention_heads,
            head_dim=self.head_dim or head_dim,
            max_position_embeddings=context,
            rope_theta=rope.rope_theta or self.rope_theta or 10000.0,
            rms_norm_eps=self.rms_norm_eps,
            tie_word_embeddings=self.tie_word_embeddings,
            model_type=self.model_type,
            rope_scaling=rope.scaling(),
            attention_bias=self.model_type == "qwen2" or (self.attention_bias and self.model_type != "mistral"),
            mlp_bias=self.mlp_bias and self.model_type == "llama",
        )
        if problem := config.problem():
            raise ValueError(problem)
        return config


def read_config(folder: Path) -> ModelConfig:
    """The ModelConfig of a directory's config.json. Raises CheckpointError for a model of another architecture."""
    path = folder / CONFIG
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such file; expected a Hugging Face model directory")
    try:
        return ConfigFile.model_validate(files.read_json(path)).config()
    except DataError as error:
        raise CheckpointError(str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ": ".join([str(path), *map(str, first["loc"])])
        found = "" if first["type"] == "value_error" else f" (found {shown(first['input'])})"
        raise CheckpointError(f"{where}: {first['msg'].removeprefix('Value error, ')}{found}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def config_json(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of config.json, with a rope_theta and rope_scaling that transformers 4 and 5 read."""
    return {
        "architectures": [CLASSES[config.model_type]],
        "model_type": config.model_type,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_position_embeddings,
        "rope_theta": config.rope_theta,
        **_rope_scaling(config.rope_scaling),
        "rms_norm_eps": config.rms_norm_eps,
        "tie_word_embeddings": config.tie_word_embeddings,
        "hidden_act": "silu",
        **({"attention_bias": config.attention_bias} if config.model_type in ("llama", "qwen3") else {}),
        **({"mlp_bias": config.mlp_bias} if config.model_type == "llama" else {}),
        **({"sliding_window": None} if config.model_type == "mistral" else {}),
        **({"use_sliding_window": False} if config.model_type in QWEN else {}),
        "bos_token_id": tokenizer.bos_id,
        "eos_token_id": _one_or_all(tokenizer.stop_ids),
        "pad_token_id": tokenizer.pad_id,
        "torch_dtype": "float32",
    }


def _rope_scaling(scaling: RopeScaling | None) -> dict[str, Any]:
    if scaling is None:
        return {}
    return {"rope_scaling": {name: value for name, value in vars(scaling).items() if value is not None}}


def _one_or_all(ids: list[int]) -> int | list[int]:
    return ids if len(ids) > 1 else ids[0]


def generation_json(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "bos_token_id": tokenizer.bos_id,
        "eos_token_id": _one_or_all(tokenizer.stop_ids),
        "pad_token_id": tokenizer.pad_id,
        "max_length": config.max_position_embeddings,
    }
