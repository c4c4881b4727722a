"""Settings of preference optimization."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from picollm.core.config import NonNegative, Positive, SeedNumber
from picollm.training.settings import Epochs, Training


class Dpo(Training):
    """`seed` varies the order of training alone; `beta` and `label_smoothing` as in preference/losses.py; `sft_weight` adds that
    multiple of the chosen response's negative log-likelihood per token."""

    section: ClassVar[str] = "dpo"
    seed: SeedNumber
    loss: Literal["sigmoid", "ipo"]
    beta: Positive
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    sft_weight: NonNegative
    epochs: Epochs
