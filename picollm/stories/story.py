"""Stories from a specification, their exact probability, and whether their sentences are ones that the grammar derives."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random

from picollm.stories.grammar import Binding, Grammar
from picollm.stories.spec import SLOTS, StorySpec, without_article

SHADES = ("wholesome", "eerie", "dark")
BEGINNING, MIDDLE, END = ("opening", "rule", "rising"), "deepening", ("turn", "twist", "ending")
CELLS = tuple((shade, beat) for shade in SHADES for beat in (*BEGINNING, MIDDLE, *END))
# Relative probability of each number of sentences in the middle. The chance that one more follows is 0.66 and not higher: at a
# temperature of 0.7, which sharpens it to 0.72, a model of these stories still ends them.
LENGTHS = tuple(0.66**count for count in range(12))
# Probability that a sentence has its story's tone; otherwise it has the adjacent shade. So dread varies continuously, and no tone is
# more uniform, and thereby more likely, than another: the SFT model stays neutral.
TONE_KEPT = 0.85
NEXT_SHADE = {"wholesome": "eerie", "eerie": "dark", "dark": "eerie"}


@cache
def sentences(shade: str) -> Grammar:
    """The grammar of a shade; `beat.opening` and so on are its sentences."""
    return Grammar.of_shade(shade)


def beats_of(middle: int) -> tuple[str, ...]:
    """The beat of each sentence of a story with `middle` sentences in the middle."""
    return (*BEGINNING, *[MIDDLE] * middle, *END)


def write_story(spec: StorySpec, tone: str, rng: Random) -> str:
    """One paragraph that uses every value of the specification."""
    (middle,) = rng.choices(range(len(LENGTHS)), LENGTHS)
    values, variables = values_of(spec), {}
    return " ".join(
        sentences(_shade(tone, rng)).draw(f"beat.{beat}", values, variables, rng) for beat in beats_of(middle)
    )


def values_of(spec: StorySpec) -> dict[str, str]:
    """What the grammar calls the values of a specification."""
    return {slot: getattr(spec, slot) for slot in SLOTS} | {"the_object": f"the {without_article(spec.object)}"}


def story_logp(text: str, spec: StorySpec, mix: Mapping[str, float]) -> float:
    """Log-probability in nats with which `write_story` writes the text, its tone drawn by the weights `mix`; -inf if it cannot.

    The sum over tones, shades, lengths and derivations is exact.
    """
    matcher = _Matcher(text, spec)
    total = sum(mix.values())
    probability = sum(weight / total * matcher.story(tone) for tone, weight in mix.items() if weight > 0)
    return math.log(probability) if probability > 0 else -math.inf


def derived_share(text: str, spec: StorySpec) -> float:
    """The share of the sentences of a text that the grammar derives from the specification, in some beat and shade.

    A sentence that it does not derive ends at the next full stop. 0 for an empty text.
    """
    matcher = _Matcher(text, spec)
    position = count = total = 0
    while position < len(text):
        ends = next(filter(None, (matcher.sentence(shade, beat, position, ()) for shade, beat in CELLS)), None)
        stop = text.find(". ", position)
        end = max(end for end, _ in ends) if ends else stop + 1 if stop >= 0 else len(text)
        count, total = count + bool(ends), total + 1
        position = end + 1  # the space between two sentences
    return count / max(total, 1)


def _shade(tone: str, rng: Random) -> str:
    return tone if rng.random() < TONE_KEPT else NEXT_SHADE[tone]


class _Matcher:
    """Matches the sentences of one text, each of them once."""

    def __init__(self, text: str, spec: StorySpec):
        self.text, self.values = text, values_of(spec)
        self.known: dict = {}

    def sentence(self, shade: str, beat: str, start: int, variables: Binding) -> dict[tuple[int, Binding], float]:
        """`Grammar.matches`, of sentences that end where the text does or before a space."""
        key = shade, beat, start, variables
        if key not in self.known:
            found = sentences(shade).matches(f"beat.{beat}", self.text, start, self.values, variables)
            self.known[key] = {
                (end, after): p for (end, after), p in found.items() if self.text[end : end + 1] in ("", " ")
            }
        return self.known[key]

    def story(self, tone: str) -> float:
        """Probability of the whole text, given its tone."""
        total = sum(LENGTHS)
        return sum(weight / total * self._path(tone, beats_of(middle)) for middle, weight in enumerate(LENGTHS))

    def _path(self, tone: str, beats: Sequence[str]) -> float:
        states: dict[tuple[int, Binding], float] = {(-1, ()): 1.0}  # (end of the last sentence, variables)
        for beat in beats:
            following: dict[tuple[int, Binding], float] = {}
            for (end, variables), probability in states.items():
                for shade, share in ((tone, TONE_KEPT), (NEXT_SHADE[tone], 1 - TONE_KEPT)):
                    for state, factor in self.sentence(shade, beat, end + 1, variables).items():
                        following[state] = following.get(state, 0.0) + probability * share * factor
            states = following
        return sum(probability for (end, _), probability in states.items() if end == len(self.text))
