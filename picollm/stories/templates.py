"""Stories from a specification: six beats, each told in one of three shades by one of many sentence patterns."""

from collections.abc import Sequence
from random import Random

from picollm.stories.patterns_dark import PATTERNS as DARK
from picollm.stories.patterns_eerie import PATTERNS as EERIE
from picollm.stories.patterns_wholesome import PATTERNS as WHOLESOME
from picollm.stories.spec import SLOTS, StorySpec, without_article

BEATS = ("opening", "rule", "rising", "deepening", "twist", "ending")
PATTERNS = {"wholesome": WHOLESOME, "eerie": EERIE, "dark": DARK}
SHADES = tuple(PATTERNS)
# A horror story is not of one piece: a beat keeps the tone of its story this often and else takes the other horror shade,
# so that dread varies continuously between the two.
TONE_KEPT = 0.8
OTHER_HORROR = {"eerie": "dark", "dark": "eerie"}


def shade_plan(tone: str, rng: Random) -> tuple[str, ...]:
    """A shade for each beat of a story of this tone; a wholesome story is wholesome throughout."""
    if tone == "wholesome":
        return (tone,) * len(BEATS)
    return tuple(tone if rng.random() < TONE_KEPT else OTHER_HORROR[tone] for _ in BEATS)


def write_story(spec: StorySpec, shades: Sequence[str], rng: Random) -> str:
    """One paragraph that uses every slot of the specification, its beats in the given shades."""
    values = {slot: getattr(spec, slot) for slot in SLOTS}
    values["the_object"] = f"the {without_article(spec.object)}"
    patterns = (rng.choice(PATTERNS[shade][beat]) for beat, shade in zip(BEATS, shades, strict=True))
    return " ".join(pattern.format_map(values) for pattern in patterns)
