"""Story specifications: seven named values, and the prompt that presents them to a model."""

import re
from dataclasses import dataclass

from picollm.core.errors import DataError

INSTRUCTION = "Write a short horror story that follows this story specification."
SLOTS = ("title", "setting", "protagonist", "companion", "object", "rule", "twist")
CLOSING = "Story:"

_ARTICLE = re.compile(r"(?:an?|the)\s+(?=\S)", re.IGNORECASE)
# Words spelled with a vowel that begin with the sound of "you" or "won"; below, words with a silent h.
_CONSONANT_SOUND = re.compile(
    r"eu|ewe|one\b|once\b|one-|ubiq|ukulele|uni(?:[cfoqtv]|lat|s(?!s))|us(?:e|ual)|ut(?:en|il|op)",
    re.IGNORECASE,
)
_EIGHT = re.compile(r"8|1[18](?!\d)")
_SILENT_H = re.compile(r"heir|honest|honor|honour|hour", re.IGNORECASE)


@dataclass(frozen=True)
class StorySpec:
    """What a story has to follow. Raises DataError if a value is not one line of text."""

    title: str
    setting: str
    protagonist: str
    companion: str
    object: str
    rule: str
    twist: str

    def __post_init__(self) -> None:
        for slot in SLOTS:
            value = getattr(self, slot)
            if not _is_one_line(value):
                raise DataError(f"specification: {slot} is {value!r}; expected one line of text")


def prompt_text(spec: StorySpec) -> str:
    """The prompt of a specification: the instruction, a labelled line per slot, and `Story:`."""
    lines = [f"{_label(slot)}{getattr(spec, slot)}" for slot in SLOTS]
    return "\n".join([INSTRUCTION, *lines, CLOSING, ""])


def parse_prompt(prompt: str) -> StorySpec | None:
    """The inverse of `prompt_text`; None for any other text."""
    lines = prompt.split("\n")
    if len(lines) != len(SLOTS) + 3 or lines[0] != INSTRUCTION or lines[-2:] != [CLOSING, ""]:
        return None
    values = {}
    for slot, line in zip(SLOTS, lines[1:-2], strict=True):
        value = line.removeprefix(_label(slot))
        if not line.startswith(_label(slot)) or not _is_one_line(value):
            return None
        values[slot] = value
    return StorySpec(**values)


def without_article(value: str) -> str:
    """The value without a leading a, an or the; a value that consists only of an article is unchanged."""
    return _ARTICLE.sub("", value, count=1) if _ARTICLE.match(value) else value


def with_article(phrase: str) -> str:
    """The phrase with a or an, depending on its first sound: `an hourglass`, `a uniform`."""
    vowel = phrase[:1].lower() in tuple("aeiou") and not _CONSONANT_SOUND.match(phrase)
    return f"{'an' if vowel or _SILENT_H.match(phrase) or _EIGHT.match(phrase) else 'a'} {phrase}"


def upper_first(text: str) -> str:
    """The text with its first letter in upper case, the others as they are."""
    return text[:1].upper() + text[1:]


def _label(slot: str) -> str:
    return f"{slot.capitalize()}: "


def _is_one_line(value: str) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.splitlines() == [value]
