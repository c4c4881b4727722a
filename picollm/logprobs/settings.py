"""Settings of scoring."""

from typing import Annotated, ClassVar

from pydantic import Field

from picollm.core.config import BatchSize, Settings


class Score(Settings):
    section: ClassVar[str] = "score"
    batch_size: BatchSize


class TemporalDecay(Settings):
    """The weight of token k, from 0, of a response in its log-prob is temporal_decay^k, for policy and reference (D2PO, Shao et al.
    2025, "Earlier tokens contribute more", arXiv 2502.14340)."""

    section: ClassVar[str] = "dpo"
    temporal_decay: Annotated[float, Field(gt=0, le=1)]
