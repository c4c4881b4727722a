"""What evaluation reads of the settings of SFT data and preference optimization."""

from typing import ClassVar

from picollm.core.config import Positive, Settings, Text, Weight
from picollm.stories.rule import Rule


class ImplicitReward(Settings):
    section: ClassVar[str] = "dpo"
    beta: Positive
    temporal_decay: Positive


class Start(Settings):
    section: ClassVar[str] = "policy"
    init_from: Text | None


class Labels(Settings):
    section: ClassVar[str] = "preferences"
    rule: Rule


class Mix(Settings):
    """Shares of the three tones of the stories; checked where they are drawn."""

    wholesome: Weight
    eerie: Weight
    dark: Weight


class Tones(Settings):
    section: ClassVar[str] = "sft"
    mix: Mix
