"""Settings of sampling."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from picollm.core.config import BatchSize, Count, Settings, Size


def _greedy_or_finite(temperature: float) -> float:
    if 0 < temperature < 1e-6:
        raise ValueError("expected 0 (greedy) or at least 1e-06, below which logits overflow")
    return temperature


class Limits(Settings):
    """The longest completion in tokens, and how many are drawn at a time."""

    section: ClassVar[str] = "sample"
    max_new_tokens: Size
    batch_size: BatchSize


class Sample(Limits):
    """How many completions the sample stage draws: `M_samples` of each test prompt from model M."""

    prompts: Count
    base_samples: Count
    sft_samples: Annotated[int, Field(ge=10, le=10**6)]  # the optimum is unknown from fewer (evaluation/optimum.py)
    dpo_samples: Count

    def per_prompt(self, model: str) -> int:
        """The number of completions of a test prompt from the model."""
        return getattr(self, f"{model}_samples")


class Reader(Settings):
    """How a reader draws a story: truncated and sharpened, so that it is not the distribution that KL and the optimum are about."""

    section: ClassVar[str] = "reader"
    temperature: Annotated[float, Field(ge=0, le=1e6), AfterValidator(_greedy_or_finite)]
    top_p: Annotated[float, Field(ge=1e-6, le=1)]
