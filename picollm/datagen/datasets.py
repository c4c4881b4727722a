"""The data sets: corpus, SFT rows and preference pairs.

Every set draws from random streams of its own, named after it, so that a change in one leaves the bytes of the others.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

from picollm.core.errors import ParamsError
from picollm.datagen import providers
from picollm.datagen.settings import Corpus, Preferences, SftData
from picollm.records.jsonl import PreferenceRecord, SFTRecord, parse_preference_row, parse_sft_row
from picollm.stories.compose import Parts, specifications
from picollm.stories.dread import dread
from picollm.stories.everyday import everyday_stories, invented_spec
from picollm.stories.labels import ceiling, flipped_share, label_pair
from picollm.stories.spec import StorySpec, prompt_text
from picollm.stories.templates import shade_plan, write_story

RAW = Path("data/raw")
OWN_SPLITS = ("train", "validation", "test")
HORROR_TONES = ("eerie", "dark")
HELD_OUT = 0.02  # share of the user's own stories, which come without a split, that is for validation


class Specifications:
    """Story specifications by split: the same parts in new combinations, or, for unseen, the withheld parts.

    No specification is given out twice, whatever it is for.
    """

    def __init__(self, seed: int, withheld: float):
        self.seed = seed
        self.seen_parts, self.withheld_parts = Parts.split(seed, withheld)
        self.seen_taken, self.withheld_taken = set(), set()

    def draw(self, purpose: str, split: str, count: int) -> list[StorySpec]:
        rng = self.rng(f"{purpose} {split} specifications")
        if split == "unseen":
            return specifications(self.withheld_parts, rng, count, self.withheld_taken)
        return specifications(self.seen_parts, rng, count, self.seen_taken)

    def for_corpus(self, rng: Random) -> StorySpec:
        """A seen specification for a pretraining document; it is taken from then on."""
        return specifications(self.seen_parts, rng, 1, self.seen_taken)[0]

    def rng(self, purpose: str) -> Random:
        return Random(f"{self.seed} {purpose}")


def corpus_texts(settings: Corpus, specs: Specifications, split: str) -> Iterator[tuple[str, str]]:
    """(source, text) of one split of the pretraining corpus."""
    weights = settings.weights.model_dump() if settings.source == "mix" else {settings.source: 1.0}
    openers: dict[str, Callable[[], Iterator[str]]] = {
        "everyday": partial(_everyday, settings, specs, split),
        "tinystories": partial(
            providers.load_tinystories, settings.tinystories.path, settings.tinystories.revision, split
        ),
        "files": partial(_own_stories, settings.files, split),
    }
    count = settings.documents if split == "train" else settings.validation_documents
    sources = {name: openers[name] for name, weight in weights.items() if weight > 0}
    return providers.mix(sources, weights, count, specs.rng(f"corpus {split} mix"))


def _everyday(settings: Corpus, specs: Specifications, split: str) -> Iterator[str]:
    count = settings.documents if split == "train" else settings.validation_documents
    return everyday_stories(
        specs.rng(f"corpus {split} everyday"), count, settings.specification_share, specs.for_corpus
    )


def _own_stories(pattern: str, split: str) -> Iterator[str]:
    """By a hash of the text, so that equal stories stay together; of too few for that, the first is held out."""

    def held_out(number: int, text: str) -> bool:
        return providers.is_held_out(text, HELD_OUT) if divisible else number == 0

    divisible = any(providers.is_held_out(text, HELD_OUT) for text in providers.read_text_stories(RAW, pattern))
    for number, text in enumerate(providers.read_text_stories(RAW, pattern)):
        if held_out(number, text) == (split == "validation"):
            yield text


def _own_rows(key: str, pattern: str, parse: Callable, splits: Sequence[str]) -> dict[str, list]:
    """The user's rows; a pattern that leads out of data/raw/ would escape DVC's sight and is refused."""
    if RAW not in Path(pattern).parents or ".." in Path(pattern).parts:
        raise ParamsError(f"{key}: {pattern}: expected files in {RAW}/, where DVC sees their content")
    return providers.read_own_rows(pattern, parse, splits)


def make_sft(settings: SftData, specs: Specifications) -> dict[str, list[SFTRecord]]:
    """SFT rows by split, from the templates or from the user's files."""
    if settings.source == "jsonl":
        return _own_rows("sft.files", settings.files, parse_sft_row, OWN_SPLITS)
    tones = settings.mix.model_dump()
    rows = {}
    for split, count in _template_counts(settings).items():
        rng = specs.rng(f"sft {split} stories")
        invented_rng = specs.rng(f"sft {split} invented")
        rows[split] = []
        for number, composed in enumerate(specs.draw("sft", split, count)):
            invented = split == "train" and invented_rng.random() < settings.invented
            spec = invented_spec(invented_rng) if invented else composed
            story = tell(spec, rng.choices(list(tones), list(tones.values()))[0], rng)
            rows[split].append(SFTRecord(f"sft-{split}-{number}", prompt_text(spec), prompt_text(spec), story))
    return rows


def _template_counts(settings: SftData | Preferences) -> dict[str, int]:
    """Rows per split; unseen is as large as test."""
    test = settings.test_rows
    return {"train": settings.rows, "validation": settings.validation_rows, "test": test, "unseen": test}


def make_monitor(settings: SftData, specs: Specifications) -> list[PreferenceRecord]:
    """The few pairs of SFT's monitor curve: wholesome against horror, labelled by the rule without chance."""
    if settings.source == "jsonl":
        parse = partial(parse_preference_row, score=dread)
        pairs = _own_rows("sft.monitor", settings.monitor, parse, ("validation",))["validation"]
        return pairs[: settings.monitor_pairs]
    rng = specs.rng("monitor stories")
    pairs = []
    for number, spec in enumerate(specs.draw("monitor", "validation", settings.monitor_pairs)):
        stories = [tell(spec, "wholesome", rng), tell(spec, rng.choice(HORROR_TONES), rng)]
        (low, rejected), (high, chosen) = sorted((dread(story), story) for story in stories)
        prompt = prompt_text(spec)
        pairs.append(
            PreferenceRecord(f"monitor-{number}", prompt, prompt, chosen, rejected, high, low, 1.0, "contrast")
        )
    return pairs


def make_preferences(settings: Preferences, specs: Specifications) -> dict[str, list[PreferenceRecord]]:
    """Preference pairs by split, from the templates or from the user's files."""
    if settings.source == "jsonl":
        return _own_rows("preferences.files", settings.files, partial(parse_preference_row, score=dread), OWN_SPLITS)
    rows = {}
    for split, count in _template_counts(settings).items():
        story_rng, label_rng = specs.rng(f"preferences {split} stories"), specs.rng(f"preferences {split} labels")
        rows[split] = []
        for number, spec in enumerate(specs.draw("preferences", split, count)):
            stratum = "contrast" if story_rng.random() < settings.contrast else "degree"
            tones = ["wholesome", story_rng.choice(HORROR_TONES)] if stratum == "contrast" else list(HORROR_TONES)
            story_rng.shuffle(tones)
            stories = tuple(tell(spec, tone, story_rng) for tone in tones)
            scores = tuple(dread(story) for story in stories)
            rows[split].append(
                label_pair(
                    f"pair-{split}-{number}",
                    prompt_text(spec),
                    stories,
                    scores,
                    settings.temperature,
                    stratum,
                    label_rng,
                )
            )
    return rows


def tell(spec: StorySpec, tone: str, rng: Random) -> str:
    """A story of the templates for a specification, in a tone."""
    return write_story(spec, shade_plan(tone, rng), rng)


def prompts(sft: dict[str, list[SFTRecord]]) -> list[dict]:
    """What the sample stage completes: {id, split, prompt} of the test rows and, where there are any, the unseen ones."""
    return [
        {"id": record.id, "split": split, "prompt": record.prompt}
        for split in ("test", "unseen")
        for record in sft.get(split, [])
    ]


def describe_sft(rows: dict[str, list[SFTRecord]]) -> dict[str, float]:
    """Counts, lengths in words, mean dread, and prompts that occur in more than one split."""
    numbers: dict[str, float] = {}
    for split, records in rows.items():
        words = [len(record.response.split()) for record in records]
        numbers |= {
            f"sft.{split}.rows": len(records),
            f"sft.{split}.duplicates": len(records) - len({(r.prompt, r.response) for r in records}),
            f"sft.{split}.words": sum(words) / len(words),
            f"sft.{split}.words_max": max(words),
            f"sft.{split}.dread": sum(dread(record.response) for record in records) / len(records),
        }
    return numbers | {"sft.shared_prompts": _shared_prompts(rows)}


def describe_preferences(rows: dict[str, list[PreferenceRecord]]) -> dict[str, float]:
    """Counts, lengths in words, and, where the rule drew the labels, ceilings per stratum and the share of flipped ones."""
    numbers: dict[str, float] = {}
    for split, records in rows.items():
        key = f"preferences.{split}"
        numbers |= {
            f"{key}.rows": len(records),
            f"{key}.duplicates": len(records) - len({(r.prompt, r.chosen, r.rejected) for r in records}),
            f"{key}.chosen_words": sum(len(record.chosen.split()) for record in records) / len(records),
            f"{key}.rejected_words": sum(len(record.rejected.split()) for record in records) / len(records),
        }
        strata = {record.stratum: [r for r in records if r.stratum == record.stratum] for record in records}
        for prefix, members in [("", records), *((f"{name}.", strata[name]) for name in sorted(strata))]:
            if all(record.p_chosen is not None for record in members):
                numbers[f"{key}.{prefix}ceiling"] = ceiling(members)
                numbers[f"{key}.{prefix}flipped"] = flipped_share(members)
    return numbers | {"preferences.shared_prompts": _shared_prompts(rows)}


def _shared_prompts(rows: dict[str, Sequence]) -> int:
    """Prompts that occur in more than one split: 0 for the templates, for a user's files whatever they hold."""
    owners: dict[str, set[str]] = {}
    for split, records in rows.items():
        for record in records:
            owners.setdefault(record.prompt, set()).add(split)
    return sum(len(splits) > 1 for splits in owners.values())
