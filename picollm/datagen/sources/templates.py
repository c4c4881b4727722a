"""The embedded stories: everyday stories for pretraining, and horror stories and pairs with known labels."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.stories.compose import Parts, specifications
from picollm.stories.dread import dread
from picollm.stories.everyday import everyday_stories
from picollm.stories.invented import varied_spec
from picollm.stories.labels import label_pair
from picollm.stories.spec import StorySpec, prompt_text
from picollm.stories.story import write_story

if TYPE_CHECKING:
    from picollm.datagen.settings import Corpus, Preferences, SftData

HORROR_TONES = ("eerie", "dark")
TRAINING = ("train", "validation")


class Specifications:
    """Draws story specifications: for `unseen` from the withheld parts, for every other split from all other parts.

    No specification is drawn twice, whatever its purpose. Each purpose has a random stream of its own, so that a change in
    one data set leaves the bytes of the others.
    """

    def __init__(self, seed: int, withheld: float):
        self.seed = seed
        self.seen_parts, self.withheld_parts = Parts.split(seed, withheld)
        self.seen_taken, self.withheld_taken = set(), set()

    def draw(self, purpose: str, split: str, count: int) -> list[StorySpec]:
        """`count` specifications for one split of the data set `purpose`."""
        rng = self.rng(f"{purpose} {split} specifications")
        if split == "unseen":
            return specifications(self.withheld_parts, rng, count, self.withheld_taken)
        return specifications(self.seen_parts, rng, count, self.seen_taken)

    def for_corpus(self, rng: Random) -> StorySpec:
        """A specification for a pretraining document."""
        return specifications(self.seen_parts, rng, 1, self.seen_taken)[0]

    def rng(self, purpose: str) -> Random:
        """The random stream of a purpose."""
        return Random(f"{self.seed} {purpose}")


def stories(settings: Corpus, specs: Specifications, split: str) -> Iterator[str]:
    """Everyday stories for pretraining, some of them told from a specification."""
    rng = specs.rng(f"corpus {split} everyday")
    return everyday_stories(rng, settings.count(split), settings.specification_share, specs.for_corpus)


def sft_rows(settings: SftData, specs: Specifications) -> dict[str, list[SFTRecord]]:
    """Stories in the tones of `settings.mix`, each told from a specification of its own."""
    tones = settings.mix.model_dump()
    rows = {}
    for split, count in _counts(settings).items():
        rng = specs.rng(f"sft {split} stories")
        invented_rng = specs.rng(f"sft {split} invented")
        rows[split] = []
        for number, composed in enumerate(specs.draw("sft", split, count)):
            spec = varied_spec(invented_rng, composed, settings.invented) if split == "train" else composed
            story = write_story(spec, rng.choices(list(tones), list(tones.values()))[0], rng)
            rows[split].append(SFTRecord(f"sft-{split}-{number}", prompt_text(spec), prompt_text(spec), story))
    return rows


def monitor_pairs(settings: SftData, specs: Specifications) -> list[PreferenceRecord]:
    """A wholesome story and a horror story of each specification; the one with more dread is chosen."""
    rng = specs.rng("monitor stories")
    pairs = []
    for number, spec in enumerate(specs.draw("monitor", "validation", settings.monitor_pairs)):
        stories = [write_story(spec, "wholesome", rng), write_story(spec, rng.choice(HORROR_TONES), rng)]
        (low, rejected), (high, chosen) = sorted((dread(story), story) for story in stories)
        prompt = prompt_text(spec)
        pairs.append(
            PreferenceRecord(f"monitor-{number}", prompt, prompt, chosen, rejected, high, low, 1.0, "contrast")
        )
    return pairs


def preference_pairs(settings: Preferences, specs: Specifications) -> dict[str, list[PreferenceRecord]]:
    """Two stories of each specification: wholesome and horror (contrast), or eerie and dark (degree), labelled by the rule."""
    rows = {}
    # Test pairs do not vary with `settings.seed`, so they draw their specifications first.
    for split, count in sorted(_counts(settings).items(), key=lambda item: item[0] in TRAINING):
        purpose = f"preferences {settings.seed}" if split in TRAINING else "preferences"
        story_rng, label_rng = specs.rng(f"{purpose} {split} stories"), specs.rng(f"{purpose} {split} labels")
        rows[split] = []
        for number, spec in enumerate(specs.draw(purpose, split, count)):
            stratum = "contrast" if story_rng.random() < settings.contrast else "degree"
            tones = ["wholesome", story_rng.choice(HORROR_TONES)] if stratum == "contrast" else list(HORROR_TONES)
            story_rng.shuffle(tones)
            stories = tuple(write_story(spec, tone, story_rng) for tone in tones)
            scores = tuple(settings.rule.reward(story) for story in stories)
            rows[split].append(
                label_pair(
                    f"pair-{split}-{number}",
                    prompt_text(spec),
                    stories,
                    scores,
                    settings.temperature,
                    settings.noise,
                    stratum,
                    label_rng,
                )
            )
    return rows


def _counts(settings: SftData | Preferences) -> dict[str, int]:
    """Rows by split; unseen has as many as test."""
    test = settings.test_rows
    return {"train": settings.rows, "validation": settings.validation_rows, "test": test, "unseen": test}
