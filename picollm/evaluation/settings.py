"""What the evaluation reads of the settings of preference learning."""

from typing import ClassVar

from picollm.core.config import Positive, Settings


class Beta(Settings):
    section: ClassVar[str] = "dpo"
    beta: Positive
