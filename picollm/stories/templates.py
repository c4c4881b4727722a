"""Stories from a specification: six beats, each a sentence pattern of one of three shades."""

from collections.abc import Sequence
from random import Random

from picollm.stories.patterns_dark import PATTERNS as DARK
from picollm.stories.patterns_eerie import PATTERNS as EERIE
from picollm.stories.patterns_wholesome import PATTERNS as WHOLESOME
from picollm.stories.spec import SLOTS, StorySpec, without_article

BEATS = ("opening", "rule", "rising", "deepening", "twist", "ending")
PATTERNS = {"wholesome": WHOLESOME, "eerie": EERIE, "dark": DARK}
SHADES = tuple(PATTERNS)
# Probability that a beat has its story's tone; otherwise it has the adjacent shade. So dread varies continuously, and no tone is
# more uniform, and thereby more likely, than another: the SFT model stays neutral.
TONE_KEPT = 0.85
NEXT_SHADE = {"wholesome": "eerie", "eerie": "dark", "dark": "eerie"}


def shade_plan(tone: str, rng: Random) -> tuple[str, ...]:
    """A random shade for each beat of a story with the given tone."""
    return tuple(tone if rng.random() < TONE_KEPT else NEXT_SHADE[tone] for _ in BEATS)


def write_story(spec: StorySpec, shades: Sequence[str], rng: Random) -> str:
    """One paragraph that uses every slot of the specification; `shades` has one entry per beat."""
    values = {slot: getattr(spec, slot) for slot in SLOTS}
    values["the_object"] = f"the {without_article(spec.object)}"
    patterns = (rng.choice(PATTERNS[shade][beat]) for beat, shade in zip(BEATS, shades, strict=True))
    return " ".join(pattern.format_map(values) for pattern in patterns)
