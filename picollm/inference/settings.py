"""Settings of sampling."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from picollm.core.config import BatchSize, Count, Settings, Size


def _greedy_or_finite(temperature: float) -> float:
    if 0 < temperature < 1e-6:
        raise ValueError("expected 0 (greedy) or at least 1e-06, below which logits overflow")
    return temperature


class Sample(Settings):
    section: ClassVar[str] = "sample"
    prompts: Count
    max_new_tokens: Size
    batch_size: BatchSize
    temperature: Annotated[float, Field(ge=0, le=1e6), AfterValidator(_greedy_or_finite)]
    top_p: Annotated[float, Field(ge=1e-6, le=1)]
