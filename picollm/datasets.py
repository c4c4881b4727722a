"""The data sets: corpus, SFT rows, preference pairs, and the user's base checkpoint.

Every set draws from random streams of its own, named after it, so that a change in one leaves the bytes of the others.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from picollm import files, params, providers
from picollm.checkpoint import load_model_and_tokenizer
from picollm.data import pairs
from picollm.data.records import PreferenceRecord, SFTRecord, parse_preference_row, parse_sft_row
from picollm.errors import DataError, ParamsError
from picollm.stories.compose import Parts, compose, specifications
from picollm.stories.dread import dread
from picollm.stories.everyday import everyday_stories
from picollm.stories.spec import StorySpec, prompt_text
from picollm.stories.templates import shade_plan, write_story

RAW = Path("data/raw")
TEMPLATE_SPLITS = ("train", "validation", "test", "unseen")
CHECKPOINT_FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "*.safetensors", "*.safetensors.index.json")  # fmt: skip


class Specifications:
    """Story specifications by split: the same parts in new combinations, or, for unseen, the withheld parts.

    No specification is given out twice, whatever it is for.
    """

    def __init__(self, seed: int, withheld: float):
        self.seed, self.taken = seed, set()
        self.seen_parts, self.withheld_parts = Parts.split(seed, withheld)

    def draw(self, purpose: str, split: str, count: int) -> list[StorySpec]:
        parts = self.withheld_parts if split == "unseen" else self.seen_parts
        return specifications(parts, self.rng(f"{purpose} {split} specifications"), count, self.taken)

    def for_corpus(self, rng: Random) -> StorySpec:
        """A seen specification for a pretraining document; it is taken from then on."""
        spec = compose(self.seen_parts, rng)
        self.taken.add(prompt_text(spec))
        return spec

    def rng(self, purpose: str) -> Random:
        return Random(f"{self.seed} {purpose}")


def corpus_texts(settings: params.Corpus, specs: Specifications, split: str) -> Iterator[str]:
    """The pretraining texts of one split, `documents` or `validation_documents` of them."""
    count = settings.documents if split == "train" else settings.validation_documents
    names = [settings.source] if settings.source != "mix" else list(params.Weights.model_fields)
    weights = {name: 1.0 if settings.source != "mix" else getattr(settings.weights, name) for name in names}
    return providers.mix(
        {name: _corpus_source(name, settings, specs, split) for name in names if weights[name] > 0},
        {name: weight for name, weight in weights.items() if weight > 0},
        count,
        specs.rng(f"corpus {split} mix"),
    )
