"""The embedded pretraining corpus: plain stories, tales, specification stories and copying drills.

A specification story is a specification followed by a story that repeats each of its values. Most
specifications (INVENTED_SHARE) are altered or invented (invented.py): their values hardly ever recur, so that
the only way to predict them is to copy them from the prompt.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping

from picollm.stories import everyday_frames as frames
from picollm.stories import everyday_words as words
from picollm.stories.invented import invented_entries, invented_spec, varied_spec
from picollm.stories.invented_words import made_up_name
from picollm.stories.spec import SLOTS, StorySpec, prompt_text, upper_first, with_article, without_article
from picollm.stories.story import SHADES, write_story

# Of the documents without a specification: tales of the grammar, so that the tokenizer and the base model know its words.
TALE_SHARE = 0.6
DRILL_SHARE = 0.25  # of the documents that would otherwise be specification stories
INVENTED_SHARE = 0.6  # of the specification stories: altered or invented; the others show the caller's specification
DETAIL_SHARE = 0.5  # of the plain stories: with a detail
CLOSING_SHARE = 0.8  # of the plain stories: with a closing sentence
ANIMAL_HERO_SHARE = 0.3  # of the plain stories: with an animal as the hero

_PLACEHOLDER = re.compile(r"\{(a:)?(\w+)\}")


def everyday_stories(
    rng: random.Random,
    count: int,
    specification_share: float,
    spec_source: Callable[[random.Random], StorySpec],
) -> Iterator[str]:
    """Stream `count` documents, each drawn from the state of `rng` when it is requested.

    With probability `specification_share`, in [0, 1], a document is a specification story or (DRILL_SHARE) a
    drill, otherwise a plain story or (TALE_SHARE) a tale of the grammar without its specification. `spec_source` draws a
    specification from the parts seen in training.
    """
    for _ in range(count):
        if rng.random() >= specification_share:
            tale = rng.random() < TALE_SHARE
            yield write_story(invented_spec(rng), rng.choice(SHADES), rng) if tale else plain_story(rng)
        elif rng.random() < DRILL_SHARE:
            yield copying_drill(rng)
        else:
            yield specification_story(rng, varied_spec(rng, spec_source(rng), INVENTED_SHARE))


def plain_story(rng: random.Random) -> str:
    """One paragraph of four to six sentences about a hero, a friend, a place and a thing."""
    animal, item, place = rng.choice(words.ANIMALS), rng.choice(words.THINGS), rng.choice(words.PLACES)
    values = {
        "hero": made_up_name(rng),
        "friend": made_up_name(rng),
        "person": rng.choice(words.PEOPLE),
        "animal": animal,
        "food": rng.choice(words.FOODS),
        "item": item,
        "thing": f"{rng.choice((*words.LOOKS, *words.COLOURS))} {item}",
        "place": place,
        "spot": f"{rng.choice(words.AIRS)} {place}",
        "beast": f"{rng.choice(words.TEMPERS)} {animal}",
    }
    if rng.random() < ANIMAL_HERO_SHARE:
        values["hero"] = f"the {rng.choice(words.TEMPERS)} {rng.choice(words.ANIMALS)}"
    positions = [frames.OPENINGS, *rng.choice(list(frames.ARCS.values()))]
    if rng.random() < DETAIL_SHARE:
        positions.insert(rng.randint(1, len(positions) - 1), frames.DETAILS)
    if rng.random() < CLOSING_SHARE:
        positions.append(frames.CLOSINGS)
    return _tell(rng, positions, values)


def specification_story(rng: random.Random, spec: StorySpec) -> str:
    """The prompt of `spec`, without the word "horror", and a neutral story with all its values."""
    values = {slot: getattr(spec, slot) for slot in SLOTS}
    values["the_object"] = f"the {without_article(spec.object)}"
    prompt = prompt_text(spec).replace("horror story", "story", 1)
    return prompt + _tell(rng, rng.choice(frames.LAYOUTS), values)


def copying_drill(rng: random.Random) -> str:
    """A labelled list of three to five names or things, and a sentence that repeats them."""
    entries = invented_entries(rng, rng.randint(3, 5))
    values = {
        "label": rng.choice(frames.DRILL_LABELS),
        "list": ", ".join(entries),
        "again": _enumerate(entries),
        "backwards": _enumerate(entries[::-1]),
        "first": entries[0],
        "last": entries[-1],
        "keeper": made_up_name(rng),
    }
    return _fill(rng, rng.choice(frames.DRILLS), values)


def _tell(rng: random.Random, positions: list | tuple, values: Mapping[str, str]) -> str:
    """A paragraph of one random frame per position, filled in."""
    return " ".join(upper_first(_fill(rng, rng.choice(position), values)) for position in positions)


def _fill(rng: random.Random, frame: str, values: Mapping[str, str]) -> str:
    """The frame with every placeholder replaced by its value, or by a random word of that kind."""

    def word(match: re.Match) -> str:
        article, name = match.groups()
        value = values[name] if name in values else rng.choice(words.WORDS[name])
        return with_article(value) if article else value

    return _PLACEHOLDER.sub(word, frame)


def _enumerate(entries: list[str]) -> str:
    return f"{', '.join(entries[:-1])} and {entries[-1]}"
