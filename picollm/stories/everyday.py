"""The embedded pretraining corpus: plain stories, tales, specification stories and copying drills.

A specification story is a specification followed by a story that repeats each of its values. Most
specifications (INVENTED_SHARE) are invented from made-up names and a large vocabulary: their values hardly
ever recur, so that the only way to predict them is to copy them from the prompt.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping

from picollm.stories import everyday_frames as frames
from picollm.stories import everyday_words as words
from picollm.stories.spec import SLOTS, StorySpec, prompt_text, upper_first, with_article, without_article
from picollm.stories.story import SHADES, write_story

# Of the documents without a specification: tales of the grammar, so that the tokenizer and the base model know its words.
TALE_SHARE = 0.6
DRILL_SHARE = 0.1  # of the documents that would otherwise be specification stories
INVENTED_SHARE = 0.6  # of the specification stories; the others come from the caller's source
DETAIL_SHARE = 0.5  # of the plain stories: with a detail
CLOSING_SHARE = 0.8  # of the plain stories: with a closing sentence
ANIMAL_HERO_SHARE = 0.3  # of the plain stories: with an animal as the hero
LONG_WORD_SHARE = 0.2  # of the made-up words: three syllables instead of two
SCRAMBLED_SHARE = 0.1  # of the invented values: words in any order, which no knowledge of the language predicts
MADE_UP_SHARE = 0.12  # of the adjectives in an invented specification: made-up words

_DOUBLED = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)
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
            invented = rng.random() < INVENTED_SHARE
            yield specification_story(rng, invented_spec(rng) if invented else spec_source(rng))


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
    entry = rng.choice(
        (made_up_name, _object, _setting, _adjective, _odd_word, lambda rng: " ".join(_any_words(rng, 1, 4)))
    )
    entries = [_compose(rng, entry) for _ in range(rng.randint(3, 5))]
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


def invented_spec(rng: random.Random) -> StorySpec:
    """A random specification of made-up names, and of values that are composed word by word: by the grammar of their slots or
    (SCRAMBLED_SHARE) of any words in any order, which can only be copied."""

    def value(composed: Callable[[random.Random], str], scrambled: Callable[[], str]) -> str:
        return scrambled() if rng.random() < SCRAMBLED_SHARE else _compose(rng, composed)

    protagonist = companion = _person(rng)
    while companion == protagonist:
        companion = _person(rng)
    return StorySpec(
        title=value(_title, lambda: " ".join(map(upper_first, _any_words(rng, 2, 3)))),
        setting=value(_setting, lambda: with_article(" ".join(_any_words(rng, 2, 3)))),
        protagonist=protagonist,
        companion=companion,
        object=value(_object, lambda: with_article(" ".join(_any_words(rng, 2, 3)))),
        rule=value(_rule, lambda: f"never {_any_phrase(rng, 2, 4)}"),
        twist=value(_twist, lambda: f"the {_any_phrase(rng, 3, 5)}"),
    )


def _person(rng: random.Random) -> str:
    """A made-up name, with a family name one time in four."""
    return " ".join(made_up_name(rng) for _ in range(1 if rng.random() < 0.75 else 2))


def _any_phrase(rng: random.Random, fewest: int, most: int) -> str:
    """Words of any kind, and "the" before one of them, which occurs elsewhere too: to copy past it takes more than one token."""
    found = _any_words(rng, fewest, most)
    found.insert(rng.randint(1, len(found) - 1), "the")
    return " ".join(found)


def _any_words(rng: random.Random, fewest: int, most: int) -> list[str]:
    """Words of any kind, no two alike: nouns, adjectives, made-up words, numbers, letters in any order; between the first and the
    last also verbs and function words."""
    kinds = (
        lambda: _noun(rng),
        lambda: _adjective(rng),
        lambda: _made_up_word(rng),
        lambda: _odd_word(rng),
        lambda: rng.choice(words.TRANSITIVE)[rng.randrange(3)],
        lambda: rng.choice(words.FUNCTION_WORDS),
    )
    found: dict[str, None] = {}
    count = rng.randint(fewest, most)
    while len(found) < count:
        middle = 0 < len(found) < count - 1
        found[rng.choices(kinds, (4, 3, 1, 1, 2 * middle, 4 * middle))[0]()] = None
    return list(found)


def _odd_word(rng: random.Random) -> str:
    """A number, a name with an accent, a hyphen or an apostrophe, or letters in any order."""
    name, other = made_up_name(rng), made_up_name(rng)
    accented = re.sub("[aeou]", lambda match: rng.choice(words.ACCENTS[match[0]]), name, count=1)
    letters = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 6)))
    return rng.choice((str(rng.randrange(10_000)), accented, f"{name}-{other}", f"{rng.choice('DO')}'{name}", letters))


def made_up_name(rng: random.Random) -> str:
    """A first name of two or three syllables, such as Talmira or Brenok."""
    return _made_up_word(rng).capitalize()


def _made_up_word(rng: random.Random) -> str:
    onset = rng.choice(words.ONSETS)
    syllables = [onset + rng.choice(words.VOWELS if onset else "aeio"), rng.choice(words.MIDDLES)]
    if rng.random() < LONG_WORD_SHARE:
        syllables += [rng.choice("aeiou"), rng.choice("bdlmnrstv")]
    return "".join([*syllables, rng.choice(words.ENDINGS)])


def _adjective(rng: random.Random) -> str:
    if rng.random() < MADE_UP_SHARE:
        return _made_up_word(rng)
    return rng.choice(rng.choice((words.LOOKS, words.TEMPERS, words.AIRS, words.MATERIALS, words.COLOURS)))


def _noun(rng: random.Random) -> str:
    return rng.choice(rng.choice((words.THINGS, words.THINGS, words.PEOPLE, words.ANIMALS, words.PLACES)))


def _plural(noun: str) -> str:
    if noun in words.IRREGULAR_PLURALS:
        return words.IRREGULAR_PLURALS[noun]
    if re.search(r"(?:s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    return re.sub(r"(?<![aeiou])y$", "ie", noun) + "s"


def _compose(rng: random.Random, compose: Callable[[random.Random], str]) -> str:
    """A value from `compose`, redrawn while it has a doubled word, such as "a marble marble"."""
    value = compose(rng)
    while _DOUBLED.search(value):
        value = compose(rng)
    return value


def _title(rng: random.Random) -> str:
    name, adjective, noun, other = made_up_name(rng), _adjective(rng), _noun(rng), _noun(rng)
    phrase = rng.choice(
        (
            f"The {adjective} {noun}",
            f"{with_article(adjective)} {noun} for {name}",
            f"The {noun} of {adjective} {_plural(other)}",
            f"The {adjective} {noun} {other}",
            f"The {noun} and the {adjective} {other}",
            f"{adjective} {_plural(noun)} in the {other}",
            f"The {other} of {name}",
            f"{name}'s {adjective} {noun}",
        )
    )
    small = {"of", "and", "the", "in", "for"}
    first, *rest = phrase.split()
    return " ".join([upper_first(first), *(word if word in small else upper_first(word) for word in rest)])


def _setting(rng: random.Random) -> str:
    place, adjective, noun = rng.choice(words.PLACES), _adjective(rng), _noun(rng)
    phrase = rng.choice(
        (
            f"{adjective} {place}",
            f"{rng.choice(words.AIRS)} {place} of {made_up_name(rng)}",
            f"{adjective} {noun} {place}",
            f"{rng.choice(words.AIRS)} {adjective} {place}",
            f"{place} of {adjective} {_plural(noun)}",
            f"{place} full of {_plural(noun)}",
            f"{place} {rng.choice(words.PREPOSITIONS)} {with_article(adjective)} {rng.choice(words.PLACES)}",
            f"{place} with {adjective} {_plural(noun)}",
        )
    )
    return with_article(phrase)


def _object(rng: random.Random) -> str:
    thing, adjective = rng.choice(words.THINGS), _adjective(rng)
    phrase = rng.choice(
        (
            f"{adjective} {thing}",
            f"{adjective} {rng.choice(words.MATERIALS)} {thing}",
            f"{rng.choice(words.COLOURS)} {adjective} {thing}",
            f"{adjective} {_noun(rng)} {thing}",
            f"{_made_up_word(rng)} {thing}",
        )
    )
    return with_article(phrase)


def _rule(rng: random.Random) -> str:
    verb, thing = rng.choice(words.TRANSITIVE)[0], rng.choice(words.THINGS)
    idle, noun, place = rng.choice(words.INTRANSITIVE), _noun(rng), rng.choice(words.PLACES)
    tail, where = rng.choice(words.RULE_TAILS), rng.choice(words.PREPOSITIONS)
    return rng.choice(
        (
            f"never {verb} the {thing} {tail}",
            f"never {verb} the {_adjective(rng)} {thing} {tail}",
            f"never {verb} {with_article(_adjective(rng))} {thing}",
            f"never {verb} {_plural(thing)} {where} the {place}",
            f"never {idle} {where} the {_adjective(rng)} {place}",
            f"never {idle} {where} the {noun} {tail}",
            f"never {idle} near {with_article(_adjective(rng))} {noun}",
        )
    )


def _twist(rng: random.Random) -> str:
    being = rng.choice((*words.PEOPLE, *words.ANIMALS))
    _, past, participle = rng.choice(words.TRANSITIVE)
    noun, other, tail = _noun(rng), rng.choice(words.THINGS), rng.choice(words.TWIST_TAILS)
    person, place, adjective = rng.choice(words.PEOPLE), rng.choice(words.PLACES), _adjective(rng)
    return rng.choice(
        (
            f"the {person} had {participle} the {adjective} {other}",
            f"the {adjective} {other} had been {participle} {tail}",
            f"nobody in the {place} had {participle} the {other}",
            f"the {being} was the {person}'s {rng.choice(words.KIN)} {tail}",
            f"{made_up_name(rng)} {past} the {other} in the {place}",
            f"the {other} belonged to {with_article(adjective)} {person}",
            f"every {noun} in the {place} was {adjective}",
            f"the {person} and the {being} had {participle} the {other}",
            f"the {place} was only {with_article(adjective)} {rng.choice(words.PLACES)}",
        )
    )


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
