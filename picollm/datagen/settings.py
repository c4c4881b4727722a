"""Settings of the data sets."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, create_model, model_validator

from picollm.core.config import Count, OpenShare, Positive, RowCount, SeedNumber, Settings, Share, Weight
from picollm.datagen.sources import PREFERENCES, SFT, STORIES, Source
from picollm.datagen.sources.own_files import RawPattern
from picollm.stories.rule import Rule


def _keys_of(sources: dict[str, Source]) -> type[Settings]:
    """A base class with one key for each source that has settings of its own."""
    keys = {name: (source.settings, ...) for name, source in sources.items() if source.settings}
    return create_model("SourceSettings", __base__=Settings, **keys)


Weights = create_model("Weights", __base__=Settings, **dict.fromkeys(STORIES, (Weight, ...)))


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


class Corpus(_keys_of(STORIES)):
    """What the base model and the tokenizer are trained on."""

    section: ClassVar[str] = "corpus"
    source: Literal[*STORIES, "mix"]
    weights: Weights
    specification_share: Share
    documents: Count
    validation_documents: Count

    def count(self, split: str) -> int:
        """The number of documents of a split."""
        return self.documents if split == "train" else self.validation_documents

    @model_validator(mode="after")
    def _weights(self):
        if self.source == "mix" and sum(self.weights.model_dump().values()) <= 0:
            raise ValueError("source mix needs a weight above 0")
        return self


class Stories(Settings):
    section: ClassVar[str] = "stories"
    withheld: OpenShare


class SftData(_keys_of(SFT)):
    """Where the SFT rows come from; read by make_datasets alone."""

    section: ClassVar[str] = "sft"
    source: Literal[*SFT]
    files: RawPattern
    monitor: RawPattern | None
    mix: Mix
    invented: Share
    rows: RowCount
    validation_rows: RowCount
    test_rows: RowCount
    monitor_pairs: RowCount


class Preferences(_keys_of(PREFERENCES)):
    section: ClassVar[str] = "preferences"
    seed: SeedNumber
    source: Literal[*PREFERENCES]
    files: RawPattern
    rule: Rule
    temperature: Positive
    noise: Annotated[float, Field(ge=0, lt=0.5)]
    contrast: Share
    rows: RowCount
    validation_rows: RowCount
    test_rows: RowCount
