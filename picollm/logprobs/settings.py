"""Settings of scoring."""

from typing import ClassVar

from picollm.core.config import BatchSize, Settings


class Score(Settings):
    section: ClassVar[str] = "score"
    batch_size: BatchSize
