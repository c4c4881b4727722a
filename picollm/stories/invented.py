"""Invented story specifications: values that hardly ever recur, so that the only way to predict them is to copy them.

Three kinds, from the most to the least predictable: a specification from the caller's source with words exchanged (altered),
values composed by the grammar of their slots, and values of any words in any order (scrambled).
"""

import random
import re
from collections.abc import Callable
from functools import partial

from picollm.stories import everyday_words as words
from picollm.stories.invented_words import any_word, made_up_name, made_up_word, odd_name
from picollm.stories.spec import SLOTS, StorySpec, upper_first, with_article

ALTERED_SHARE = 0.5  # of the invented specifications; the others are composed of values of their own
SCRAMBLED_SHARE = 0.4  # of the composed values: words in any order, which no knowledge of the language predicts
ODD_NAME_SHARE = 0.25  # of the names of persons: accents, hyphens, digits, letters in any order
PLAIN_START_SHARE = 0.3  # of the scrambled settings, objects and twists: not begun with their usual first word
MADE_UP_SHARE = 0.12  # of the adjectives in a composed value: made-up words
REPLACED, INSERTED, DROPPED = 0.3, 0.15, 0.05  # of the words of an altered value

_ARTICLE = re.compile(r"\b([Aa])n? (\S+)")
_DOUBLED = re.compile(r"\b(\w+) \1\b", re.IGNORECASE)


def varied_spec(rng: random.Random, spec: StorySpec, invented: float) -> StorySpec:
    """`spec` or, with probability `invented`, an altered (ALTERED_SHARE) or a composed specification."""
    if rng.random() >= invented:
        return spec
    return altered_spec(rng, spec) if rng.random() < ALTERED_SHARE else invented_spec(rng)


def invented_spec(rng: random.Random) -> StorySpec:
    """A random specification of made-up names, and of values that are composed word by word: by the grammar of their slots or
    (SCRAMBLED_SHARE) of any words in any order, which can only be copied."""

    def value(composed: Callable[[random.Random], str], scrambled: Callable[[random.Random], str]) -> str:
        return _compose(rng, scrambled if rng.random() < SCRAMBLED_SHARE else composed)

    protagonist = _person(rng)
    return StorySpec(
        title=value(_title, lambda rng: " ".join(map(upper_first, _any_words(rng, 2, 3)))),
        setting=value(_setting, _any_thing),
        protagonist=protagonist,
        companion=_other(protagonist, lambda: _person(rng)),
        object=value(_object, _any_thing),
        rule=value(_rule, lambda rng: f"never {_any_phrase(rng, 2, 4)}"),
        twist=value(_twist, _any_clause),
    )


def altered_spec(rng: random.Random, spec: StorySpec) -> StorySpec:
    """`spec` with words of its values replaced, added and left out, and names with another ending."""

    def value(slot: str) -> str:
        return _compose(rng, partial(_altered, slot, getattr(spec, slot)))

    values = {slot: value(slot) for slot in SLOTS if slot != "companion"}
    values["companion"] = _other(values["protagonist"], lambda: value("companion"))
    return StorySpec(**values)


def invented_entries(rng: random.Random, count: int) -> list[str]:
    """`count` entries of one kind: names, things, places, adjectives, or any words."""
    kinds = (made_up_name, _object, _setting, _adjective, lambda rng: " ".join(_any_words(rng, 1, 4)))
    (kind,) = rng.choices(kinds, (2, 1, 1, 1, 5))
    return [_compose(rng, kind) for _ in range(count)]


def _altered(slot: str, value: str, rng: random.Random) -> str:
    if slot in ("protagonist", "companion"):
        return value[: rng.randint(1, len(value))] + made_up_word(rng)[-rng.randint(1, 4) :]
    first, *rest = value.split()
    altered = []
    for word in rest:
        other = upper_first(any_word(rng)) if slot == "title" else any_word(rng)
        options = [other], [word, other], [], [word]
        altered += rng.choices(options, (REPLACED, INSERTED, DROPPED, 1 - REPLACED - INSERTED - DROPPED))[0]
    text = " ".join([first, *(altered or rest)])
    return _ARTICLE.sub(lambda match: match[1] + with_article(match[2])[1:], text)


def _other(name: str, draw: Callable[[], str]) -> str:
    """A name from `draw` that differs from `name`."""
    other = draw()
    while other == name:
        other = draw()
    return other


def _person(rng: random.Random) -> str:
    """A made-up name, with a family name one time in four."""
    return " ".join(
        odd_name(rng) if rng.random() < ODD_NAME_SHARE else made_up_name(rng)
        for _ in range(1 if rng.random() < 0.75 else 2)
    )


def _any_thing(rng: random.Random) -> str:
    """One to three of any words, with a or an, or (PLAIN_START_SHARE) as a name or with "the"."""
    phrase = " ".join(_any_words(rng, 1, 3))
    if rng.random() < PLAIN_START_SHARE:
        return rng.choice((f"the {phrase}", upper_first(phrase)))
    return with_article(phrase)


def _any_clause(rng: random.Random) -> str:
    """Three to five of any words and "the", which comes first or (PLAIN_START_SHARE) does not."""
    phrase = _any_phrase(rng, 3, 5)
    return phrase if rng.random() < PLAIN_START_SHARE else f"the {phrase}"


def _any_phrase(rng: random.Random, fewest: int, most: int) -> str:
    """Any words, and "the" before one of them, which occurs elsewhere too: to copy past it takes more than one token."""
    found = _any_words(rng, fewest, most)
    found.insert(rng.randint(1, len(found) - 1), "the")
    return " ".join(found)


def _any_words(rng: random.Random, fewest: int, most: int) -> list[str]:
    """Any words in any order, no two alike."""
    found: dict[str, None] = {}
    count = rng.randint(fewest, most)
    while len(found) < count:
        found[any_word(rng)] = None
    return list(found)


def _adjective(rng: random.Random) -> str:
    if rng.random() < MADE_UP_SHARE:
        return made_up_word(rng)
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
            f"{made_up_word(rng)} {thing}",
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
