"""Settings of the data sets."""

from typing import ClassVar, Literal

from pydantic import model_validator

from picollm.core.config import Count, OpenShare, Positive, RowCount, Settings, Share, Text, Weight


class Mix(Settings):
    """Shares of the three tones of a story; they need not sum to one."""

    wholesome: Weight
    eerie: Weight
    dark: Weight

    @model_validator(mode="after")
    def _positive(self):
        if self.wholesome + self.eerie + self.dark <= 0:
            raise ValueError("at least one share must be above 0")
        return self


class Weights(Settings):
    everyday: Weight
    tinystories: Weight
    files: Weight


class TinyStories(Settings):
    path: Text
    revision: Text


class Corpus(Settings):
    """What the base model and the tokenizer are trained on."""

    section: ClassVar[str] = "corpus"
    source: Literal["everyday", "tinystories", "files", "mix"]
    weights: Weights
    specification_share: Share
    tinystories: TinyStories
    files: Text
    documents: Count
    validation_documents: Count

    @model_validator(mode="after")
    def _weights(self):
        if self.source == "mix" and sum(self.weights.model_dump().values()) <= 0:
            raise ValueError("source mix needs a weight above 0")
        return self


class Stories(Settings):
    section: ClassVar[str] = "stories"
    withheld: OpenShare


class SftData(Settings):
    """Where the SFT rows come from; read by make_datasets alone."""

    section: ClassVar[str] = "sft"
    source: Literal["templates", "jsonl"]
    files: Text
    monitor: Text | None
    mix: Mix
    invented: Share
    rows: RowCount
    validation_rows: RowCount
    test_rows: RowCount
    monitor_pairs: RowCount


class Preferences(Settings):
    section: ClassVar[str] = "preferences"
    source: Literal["templates", "jsonl"]
    files: Text
    temperature: Positive
    contrast: Share
    rows: RowCount
    validation_rows: RowCount
    test_rows: RowCount
