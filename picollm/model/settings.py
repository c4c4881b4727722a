"""Settings of the model: its shape, the checkpoints to start from, and how it computes."""

import os
import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from picollm.core.config import Positive, Settings, Size, Text
from picollm.model.shape import ModelConfig, default_head_dim

RAW = Path("data/raw")
HUB_ID = re.compile(r"(?!.*\.\.)([\w.-]+/[\w.-]+)@([\w.-]+(?:/[\w.-]+)*)", re.ASCII)  # of the hub: ORG/NAME@REVISION
Layers = Annotated[int, Field(ge=1, le=1024)]
TRAINING_BYTES = 16  # per parameter: weight, gradient and Adam's two moments, four bytes each
MAX_PARAMETERS = 2**40 // TRAINING_BYTES


class ModelShape(Settings):
    """Sizes of the Llama decoder, under transformers' names."""

    section: ClassVar[str] = "model"
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Layers
    num_attention_heads: Size
    num_key_value_heads: Size
    max_position_embeddings: Annotated[int, Field(ge=16, le=2**24)]
    rope_theta: Positive
    rms_norm_eps: Positive
    tie_word_embeddings: bool

    @model_validator(mode="after")
    def _consistent(self):
        if problem := self.config(vocab_size=1).problem():
            raise ValueError(problem)
        return self

    def config(self, vocab_size: int) -> ModelConfig:
        head_dim = default_head_dim(self.hidden_size, self.num_attention_heads)
        return ModelConfig(vocab_size=vocab_size, head_dim=head_dim, **self.model_dump())


def _expect_in_raw_or_hub_id(path: str) -> str:
    in_raw = RAW.resolve() in Path(path).resolve().parents and os.path.isdir(path)
    if not in_raw and (os.path.isdir(path) or not HUB_ID.fullmatch(path)):
        raise ValueError(
            f"expected a directory in {RAW}/, whose content DVC tracks, or a model of the Hugging Face hub, ORG/NAME@REVISION"
        )
    return path


Checkpoint = Annotated[Text, AfterValidator(_expect_in_raw_or_hub_id)]


class InitFrom(Settings):
    """The base checkpoint to start from instead of pretraining; only import_models reads it."""

    section: ClassVar[str] = "pretrain"
    init_from: Checkpoint | None


class PolicyFrom(Settings):
    """The policy from which preference optimization starts, and which is its reference, instead of the SFT model: that of an earlier
    round. Only import_models reads it."""

    section: ClassVar[str] = "policy"
    init_from: Checkpoint | None


PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Lora(Settings):
    """Low-rank adapters of the projections `targets` of every layer; their output counts alpha / rank."""

    rank: Annotated[int, Field(ge=1, le=4096)]
    alpha: Positive
    targets: Annotated[list[Literal[PROJECTIONS]], Field(min_length=1)]

    @field_validator("targets")
    @classmethod
    def _distinct(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("expected each projection once")
        return value


class Compute(Settings):
    """Determinism and precision of every stage that runs a model."""

    deterministic: bool
    precision: Literal["float32", "tf32", "bfloat16"]
