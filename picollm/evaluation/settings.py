"""The setting of preference optimization that evaluation reads."""

from typing import ClassVar

from picollm.core.config import Positive, Settings


class Beta(Settings):
    section: ClassVar[str] = "dpo"
    beta: Positive
