"""The rule behind the labels: the true reward of a story, a weighted sum of features of its text."""

import re
from typing import Annotated

from pydantic import Field, model_validator

from picollm.core.config import Settings
from picollm.stories.dread import dread

FeatureWeight = Annotated[float, Field(ge=-1e6, le=1e6)]


class Rule(Settings):
    """The weights of the features: `dread` (stories/dread.py), `length`, the number of words, and `ending`, the dread of the last
    sentence alone."""

    dread: FeatureWeight
    length: FeatureWeight
    ending: FeatureWeight

    @model_validator(mode="after")
    def _any(self) -> "Rule":
        if not (self.dread or self.length or self.ending):
            raise ValueError("at least one weight must differ from 0")
        return self

    def reward(self, text: str) -> float:
        """The true reward of a text."""
        total = self.dread * dread(text) if self.dread else 0.0
        if self.length:
            total += self.length * len(text.split())
        if self.ending:
            total += self.ending * dread(last_sentence(text))
        return total


def last_sentence(text: str) -> str:
    """What follows the last mark of the end of a sentence that is not at the end of the text."""
    return re.split(r"(?<=[.!?])\s+", text.strip())[-1]
