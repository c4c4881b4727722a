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
# A story is not of one piece: a beat keeps the tone of its story this often and else takes the shade next to it. So dread
# varies continuously, and no tone is likelier than another for being more uniform: the SFT model stays neutral.
TONE_KEPT = 0.85
NEXT_SHADE = {"wholesome": "eerie", "eerie": "dark", "dark": "eerie"}


def shade_plan(tone: str, rng: Random) -> tuple[str, ...]:
    """A shade for each beat of a story of this tone."""
    return tuple(tone if rng.random() < TONE_KEPT else NEXT_SHADE[tone] for _ in BEATS)


def write_story(spec: StorySpec, shades: Sequence[str], rng: Random) -> str:
    """One paragraph that uses every slot of the specification, its beats in the given shades."""
    values = {slot: getattr(spec, slot) for slot in SLOTS}
    values["the_object"] = f"the {without_article(spec.object)}"
    patterns = (rng.choice(PATTERNS[shade][beat]) for beat, shade in zip(BEATS, shades, strict=True))
    return " ".join(pattern.format_map(values) for pattern in patterns)
