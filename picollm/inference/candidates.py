"""On-policy preference pairs: two stories of the initial policy itself for each prompt, labelled by the rule."""

from collections.abc import Sequence
from random import Random
from typing import Annotated, ClassVar

from pydantic import Field

from picollm.core.config import Positive, SeedNumber, Settings
from picollm.core.errors import DataError
from picollm.core.files import END_OF_TEXT
from picollm.inference.sampling import UNTRUNCATED, complete, sample_seed
from picollm.inference.settings import Limits
from picollm.model.transformer import Transformer
from picollm.records.jsonl import PreferenceRecord
from picollm.stories.labels import label_pair
from picollm.stories.rule import Rule
from picollm.text.tokenizer import Tokenizer

STRATUM = "policy"


class Labelling(Settings):
    """What the stage candidates reads of the settings of preference pairs."""

    section: ClassVar[str] = "preferences"
    source: str
    seed: SeedNumber
    rule: Rule
    temperature: Positive
    noise: Annotated[float, Field(ge=0, lt=0.5)]


def policy_pairs(
    model: Transformer,
    tokenizer: Tokenizer,
    records: Sequence[PreferenceRecord],
    labelling: Labelling,
    settings: Limits,
    truncate: bool,
    seed: int,
) -> list[PreferenceRecord]:
    """A pair of the model's own samples, at temperature 1 without top-p, in place of each pair of `records`, whose ids, prompts and
    order are kept.

    A pair is left out if one of its samples did not reach end of text, of which training would learn to stop there, is blank or
    spells end of text, which no response may, or if both are equal or have equal reward. Raises DataError if none is left.
    """
    keys = [f"candidates/{labelling.seed}/{record.id}" for record in records]
    seeds = [[sample_seed(seed, f"{key}/{number}") for number in range(2)] for key in keys]
    prompts = [record.prompt for record in records]
    completed = complete(model, tokenizer, prompts, seeds, settings, UNTRUNCATED, truncate)
    pairs = []
    for record, key, samples in zip(records, keys, completed, strict=True):
        stories = tuple(sample["completion"] for sample in samples)
        scores = tuple(labelling.rule.reward(story) for story in stories)
        usable = all(sample["ended"] for sample in samples) and all(map(is_response, stories))
        if usable and scores[0] != scores[1]:
            rng = Random(f"{seed} {key} label")
            pair = label_pair(
                record.id, record.prompt, stories, scores, labelling.temperature, labelling.noise, STRATUM, rng
            )
            pairs.append(pair)
    if not pairs:
        raise DataError(
            f"data/preferences: none of the initial policy's samples of {len(records)} prompts make a pair; expected some that end"
        )
    return pairs


def is_response(story: str) -> bool:
    """Whether a row may have it as a response."""
    return bool(story.strip()) and END_OF_TEXT not in story
