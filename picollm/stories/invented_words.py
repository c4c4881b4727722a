"""Words for invented specifications: words of the stories, whole, cut and joined, made-up words, numbers and unusual names.

Together they train every piece of the tokenizer.
"""

import random
import re
import unicodedata
from functools import cache
from string import ascii_letters, ascii_lowercase, ascii_uppercase

from picollm.stories import everyday_frames as frames
from picollm.stories import everyday_words as words
from picollm.stories.story import SHADES, sentences

LONG_WORD_SHARE = 0.2  # of the made-up words: three syllables instead of two

_FIRST_WORDS = frozenset({"a", "an", "the", "never"})  # of values; not drawn as any word
# Letters of Unicode's Latin blocks that do not decompose into a letter and marks.
_STROKES = {
    "a": "æ",
    "d": "đð",
    "h": "ħ",
    "l": "ł",
    "o": "øœ",
    "s": "ß",
    "t": "þŧ",
    "A": "Æ",
    "D": "ĐÐ",
    "L": "Ł",
    "O": "ØŒ",
    "T": "Þ",
}
_PLACEHOLDER = re.compile(r"\{[^}]*\}")


def any_word(rng: random.Random) -> str:
    """A word of the stories, whole, cut or joined with the end of another; a made-up or an odd word."""
    word, other = rng.choice(vocabulary()), rng.choice(vocabulary())
    kinds = (
        lambda: word,
        lambda: word[: rng.randint(1, len(word))] + other[rng.randrange(len(other)) :],
        lambda: made_up_word(rng),
        lambda: _odd_word(rng),
    )
    found = rng.choices(kinds, (6, 2, 1, 1))[0]()
    return any_word(rng) if found in _FIRST_WORDS else found


@cache
def vocabulary() -> tuple[str, ...]:
    """All words of the grammar and of the everyday corpus, sorted, without articles and the first word of rules."""
    entries = [*words.FUNCTION_WORDS, *(form for verb in words.TRANSITIVE for form in verb), *frames.SENTENCES]
    entries += [entry for category in words.WORDS.values() for entry in category]
    found = {word for entry in entries for word in re.findall(r"\b[a-z]+\b", _PLACEHOLDER.sub("", entry))}
    found = found.union(*(sentences(shade).words() for shade in SHADES)) - _FIRST_WORDS
    return tuple(sorted(found))


def _odd_word(rng: random.Random) -> str:
    """A number, an odd name, a possessive, an abbreviated title, or letters in any order."""
    kinds = (
        lambda: str(rng.randrange(10_000)),
        lambda: f"{rng.randrange(1, 100)}{rng.choice(('th', 'st', 'nd', 'rd', *ascii_lowercase))}",
        lambda: odd_name(rng),
        lambda: f"{rng.choice(vocabulary())}'s",
        lambda: f"{rng.choice(('Mr', 'Mrs', 'Dr', 'St'))}. {made_up_name(rng)}",
        lambda: _letters(rng),
    )
    return rng.choices(kinds, (2, 1, 5, 1, 1, 1))[0]()


def odd_name(rng: random.Random) -> str:
    """A name with accents, a hyphen, an apostrophe or digits, or letters in any order."""
    name, other = made_up_name(rng), made_up_name(rng)
    kinds = (
        lambda: _accented(rng, name),
        lambda: f"{name}-{other}",
        lambda: f"{rng.choice('DLMO')}'{name}",
        lambda: "".join(rng.choice((rng.choice(ascii_uppercase), str(rng.randrange(10)))) for _ in range(4)),
        lambda: _letters(rng).capitalize(),
    )
    return rng.choices(kinds, (3, 1, 1, 1, 1))[0]()


def _accented(rng: random.Random, name: str) -> str:
    """The name with an accent on one or two of its letters."""
    for place in rng.sample(range(len(name)), rng.randint(1, 2)):
        name = name[:place] + rng.choice(_accents().get(name[place], name[place])) + name[place + 1 :]
    return name


@cache
def _accents() -> dict[str, str]:
    """The letters of Unicode's Latin blocks by the ASCII letter that they are variants of, such as n: ñńņň."""
    found = dict(_STROKES)
    for letter in map(chr, (*range(0xC0, 0x180), *range(0x1E00, 0x1F00))):
        base = unicodedata.normalize("NFD", letter)[0]
        found[base] = found.get(base, "") + letter
    return {base: letters for base, letters in found.items() if base in ascii_letters}


def _letters(rng: random.Random) -> str:
    return "".join(rng.choices(ascii_lowercase, k=rng.randint(3, 8)))


def made_up_name(rng: random.Random) -> str:
    """A first name of two or three syllables, such as Talmira or Brenok."""
    return made_up_word(rng).capitalize()


def made_up_word(rng: random.Random) -> str:
    """Two or three syllables in lower case, such as talmira."""
    onset = rng.choice(words.ONSETS)
    syllables = [onset + rng.choice(words.VOWELS if onset else "aeio"), rng.choice(words.MIDDLES)]
    if rng.random() < LONG_WORD_SHARE:
        syllables += [rng.choice("aeiou"), rng.choice("bdlmnrstv")]
    return "".join([*syllables, rng.choice(words.ENDINGS)])
