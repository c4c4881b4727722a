"""Settings of preference optimization."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from picollm.core.config import NonNegative, Positive, SeedNumber
from picollm.logprobs.settings import TemporalDecay
from picollm.preference import scores
from picollm.preference.losses import COUPLED, LENGTHS, LOSSES
from picollm.preference.scores import PairScores
from picollm.training.settings import FineTuning

UNUSED = {"label_smoothing": 0.0, "divergence": "reverse_kl"}  # of every other setting of a loss None


class Dpo(TemporalDecay, FineTuning):
    """`seed` varies the order of training alone. `loss` is the name of a preference loss or a mapping of names to weights, whose
    weighted sum is the loss. The settings between `beta` and `kl_weight` are those of preference/losses/; one that no chosen
    loss uses must keep the value that turns it off. `kl_weight` adds that multiple of the KL from the reference along the
    chosen response, `sft_weight` that of the chosen response's negative log-likelihood per token. `snapshots`: how many weights
    along the run are kept for the stage track."""

    section: ClassVar[str] = "dpo"
    seed: SeedNumber
    loss: Any
    beta: Positive
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    divergence: Literal["reverse_kl", "forward_kl", "js", "alpha"]
    divergence_alpha: Annotated[float, Field(allow_inf_nan=False)] | None
    discopop_tau: Positive | None
    dpop_lambda: Positive | None
    length_alpha: Annotated[float, Field(allow_inf_nan=False)] | None
    simpo_gamma: NonNegative | None
    kl_weight: NonNegative
    sft_weight: NonNegative
    snapshots: Annotated[int, Field(ge=0, le=1000)]

    @field_validator("loss")
    @classmethod
    def _weights(cls, value: Any, info: ValidationInfo) -> dict[str, float]:
        weights = {value: 1.0} if isinstance(value, str) else value
        if not isinstance(weights, dict) or not weights or not weights.keys() <= LOSSES.keys():
            raise ValueError(f"expected a loss or a mapping of losses to weights; the losses are {', '.join(LOSSES)}")
        for weight in weights.values():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
                raise ValueError("expected a weight above 0 for each loss")
        batch, micro = info.data.get("batch_size"), info.data.get("micro_batch_size")
        if COUPLED & weights.keys() and batch and micro and micro < batch:
            coupled = ", ".join(sorted(COUPLED & weights.keys()))
            raise ValueError(
                f"{coupled} compares all pairs of a batch: expected dpo.micro_batch_size ({micro}) of at least "
                f"dpo.batch_size ({batch})"
            )
        if LENGTHS & weights.keys() and info.data.get("temporal_decay", 1) < 1:
            names = ", ".join(sorted(LENGTHS & weights.keys()))
            raise ValueError(f"{names} counts all tokens of a response alike: expected dpo.temporal_decay 1.0")
        return {name: float(weight) for name, weight in weights.items()}

    @field_validator("label_smoothing", "divergence", "discopop_tau", "dpop_lambda", "length_alpha", "simpo_gamma")
    @classmethod
    def _used(cls, value: Any, info: ValidationInfo) -> Any:
        if "loss" not in info.data:  # refused already
            return value
        users = [name for name in info.data["loss"] if info.field_name in keywords(name)]
        unused = UNUSED.get(info.field_name)
        if not users and value != unused:
            names = " and ".join(info.data["loss"])
            raise ValueError(f"the loss {names} has no such setting: expected {'null' if unused is None else unused}")
        if users and value is None:
            raise ValueError(f"expected a number: it is a setting of the loss {users[0]}")
        if "exo_pair" in users and info.field_name == "label_smoothing" and value == 0:
            raise ValueError("the loss exo_pair needs a value above 0, such as 0.001")
        return value

    @field_validator("divergence_alpha")
    @classmethod
    def _alpha(cls, value: float | None, info: ValidationInfo) -> float | None:
        used = info.data.get("divergence") == "alpha"
        if used and (value is None or value == 1):
            raise ValueError("expected a number other than 1 (which is reverse_kl) for the divergence alpha")
        if not used and value is not None:
            raise ValueError("expected null unless dpo.divergence is alpha")
        return value

    def losses(self) -> list[tuple[Callable[[PairScores], Tensor], float]]:
        """Functions PairScores -> [P] and their weights."""
        alpha = self.divergence == "alpha"
        values = self.model_dump()
        values["divergence"] = scores.alpha(self.divergence_alpha) if alpha else scores.DIVERGENCES[self.divergence]
        return [
            (partial(LOSSES[name], **{key: values[key] for key in keywords(name)}), weight)
            for name, weight in self.loss.items()
        ]


def keywords(name: str) -> list[str]:
    """The settings that a loss uses."""
    return list(inspect.signature(LOSSES[name]).parameters)[1:]
