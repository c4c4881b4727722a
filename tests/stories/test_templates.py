import math
import re
from collections import Counter
from random import Random
from string import Formatter

import pytest

from picollm.evaluation import measures
from picollm.stories.compose import Parts, specifications
from picollm.stories.dread import dread
from picollm.stories.spec import SLOTS, StorySpec, prompt_text
from picollm.stories.templates import BEATS, PATTERNS, SHADES, shade_plan, write_story

OWN_SLOTS = {  # what every pattern of a beat must use; any may add names
    "opening": {"title", "setting", "protagonist", "companion"},
    "rule": {"rule"},
    "rising": {"object"},
    "deepening": set(),
    "twist": {"twist"},
    "ending": set(),
}
NAMES = {"protagonist", "companion"}
GENDERED = re.compile(r"\b(he|she|his|her|hers|him|himself|herself)\b", re.IGNORECASE)
CLUMSY = re.compile(r"\bthe never\b|  |\.\.| an? an? | the (an?|the) |[{}]|\b(\w+) \2\b", re.IGNORECASE)
SPECS = specifications(Parts.whole(), Random("templates"), 500, set())
SPEC = StorySpec(
    "The Salt Lantern",
    "a quiet mill",
    "Ana",
    "Bo",
    "an odd jar",
    "never sing at noon",
    "the cook had left the door open",
)
CELLS = [(shade, beat) for shade in SHADES for beat in BEATS]


def tell(tone, specs=SPECS):
    rng = Random(f"telling {tone}")
    return [write_story(spec, shade_plan(tone, rng), rng) for spec in specs]


def slots_used(pattern):
    """How often a pattern uses each slot; the object counts in either form."""
    names = [name for _, name, _, _ in Formatter().parse(pattern) if name is not None]
    return Counter("object" if name == "the_object" else name for name in names)


def test_stories_have_six_beats_and_three_shades():
    assert BEATS == ("opening", "rule", "rising", "deepening", "twist", "ending")
    assert SHADES == ("wholesome", "eerie", "dark")
    assert all(tuple(PATTERNS[shade]) == BEATS for shade in SHADES)


@pytest.mark.parametrize(("shade", "beat"), CELLS)
def test_every_pattern_uses_the_slots_of_its_beat_once_and_no_others(shade, beat):
    for pattern in PATTERNS[shade][beat]:
        used = slots_used(pattern)
        assert set(used) - NAMES == OWN_SLOTS[beat] - NAMES, pattern
        assert set(used) >= OWN_SLOTS[beat], pattern
        assert set(used.values()) == {1}, pattern


@pytest.mark.parametrize("shade", SHADES)
@pytest.mark.parametrize("beat", ["deepening", "ending"])
def test_patterns_about_people_name_at_least_one(shade, beat):
    assert all(set(slots_used(pattern)) & NAMES for pattern in PATTERNS[shade][beat])


def test_there_are_twelve_patterns_or_more_for_each_beat_and_shade_and_no_two_are_equal():
    assert all(len(PATTERNS[shade][beat]) >= 12 for shade, beat in CELLS)
    patterns = [pattern for shade, beat in CELLS for pattern in PATTERNS[shade][beat]]
    assert len(set(patterns)) == len(patterns)


@pytest.mark.parametrize(("shade", "beat"), CELLS)
def test_every_pattern_is_one_plain_sentence(shade, beat):
    for pattern in PATTERNS[shade][beat]:
        assert re.fullmatch(r"(?:[A-Z]|\{(?:protagonist|companion)\})[A-Za-z ,:'{}_-]+\.", pattern), pattern
        assert not GENDERED.search(pattern), pattern


@pytest.mark.parametrize("shade", SHADES)
def test_a_rule_follows_a_colon_and_a_twist_follows_that(shade):
    assert all(": {rule}" in pattern for pattern in PATTERNS[shade]["rule"])
    assert all("that {twist}" in pattern for pattern in PATTERNS[shade]["twist"])


@pytest.mark.parametrize("beat", BEATS)
def test_the_shades_of_a_beat_are_of_about_equal_length(beat):
    # Each slot counts as one word: the patterns of a beat share their slots, so longer values lengthen all alike.
    means = [sum(len(p.split()) for p in PATTERNS[shade][beat]) / len(PATTERNS[shade][beat]) for shade in SHADES]
    assert max(means) - min(means) <= 0.7, means


@pytest.mark.parametrize(("shade", "beat"), CELLS)
def test_every_pattern_has_nine_to_sixteen_words_of_its_own(shade, beat):
    for pattern in PATTERNS[shade][beat]:
        own = re.findall(r"[A-Za-z'-]+", re.sub(r"\{\w+\}", "", pattern))
        assert 9 <= len(own) <= 16, (len(own), pattern)


@pytest.mark.parametrize("tone", SHADES)
def test_every_story_contains_every_value_of_its_specification(tone):
    stories = tell(tone)
    for spec, story in zip(SPECS, stories, strict=True):
        for slot in SLOTS:
            value = getattr(spec, slot)
            forms = {value, re.sub("^an? ", "the ", value)} if slot == "object" else {value}
            assert any(form in story for form in forms), (slot, story)
        values = measures.labelled_values(prompt_text(spec))
        assert len(values) == 7 and all(measures.adherence(values, story).values())


@pytest.mark.parametrize("tone", SHADES)
def test_stories_are_one_paragraph_without_a_clumsy_seam(tone):
    for story in tell(tone):
        assert not CLUMSY.search(story), story
        assert not GENDERED.search(story), story
        assert story.splitlines() == [story] and story == story.strip()
        # A beat is one sentence, and no value holds a full stop.
        assert story.count(".") == len(BEATS), story


def told_in(beat, shade):
    """Every sentence of a beat and shade, filled with SPEC."""
    values = {slot: getattr(SPEC, slot) for slot in SLOTS} | {"the_object": "the odd jar"}
    return {pattern.format(**values) for pattern in PATTERNS[shade][beat]}


def test_each_beat_has_its_own_shade_and_order():
    shades = ("wholesome", "dark", "eerie", "dark", "wholesome", "eerie")
    sentences = re.findall(r"[^.]+\.", write_story(SPEC, shades, Random(3)))
    for sentence, beat, shade in zip(sentences, BEATS, shades, strict=True):
        assert sentence.strip() in told_in(beat, shade)


def test_every_pattern_is_used():
    # 500 draws miss one of at most 20 patterns with a chance below 20 * (19/20)**500 < 1e-9.
    for shade in SHADES:
        rng = Random(f"every {shade}")
        stories = " ".join(write_story(SPEC, (shade,) * 6, rng) for _ in range(500))
        for beat in BEATS:
            assert len(PATTERNS[shade][beat]) <= 20
            assert all(sentence in stories for sentence in told_in(beat, shade))


def test_mean_dread_rises_from_wholesome_below_zero_to_eerie_to_dark():
    wholesome, eerie, dark = (sum(map(dread, tell(tone, SPECS[:200]))) / 200 for tone in SHADES)
    assert wholesome < 0 < eerie < dark


@pytest.mark.parametrize(("tone", "other"), [("wholesome", "eerie"), ("eerie", "dark"), ("dark", "eerie")])
def test_a_plan_keeps_its_tone_in_most_beats_and_else_takes_the_shade_next_to_it(tone, other):
    rng = Random(f"plans {tone}")
    plans = [shade_plan(tone, rng) for _ in range(2000)]
    assert {len(plan) for plan in plans} == {6}
    assert {shade for plan in plans for shade in plan} == {tone, other}
    # Each of the six places: mean 1700, standard deviation sqrt(2000 * 0.85 * 0.15) = 16.0; 80 is five of them.
    for place in range(6):
        assert abs(sum(plan[place] == tone for plan in plans) - 1700) < 80
    # Places are drawn apart: all six kept with chance 0.85**6 = 0.377, mean 754, standard deviation 21.7.
    assert abs(sum(set(plan) == {tone} for plan in plans) - 2000 * math.pow(0.85, 6)) < 109


def test_the_generator_alone_decides_plan_and_story():
    def told(seed):
        rng = Random(seed)
        return [write_story(SPEC, shade_plan(tone, rng), rng) for tone in SHADES]

    assert told(5) == told(5)
    assert told(5) != told(6)


def test_shades_that_do_not_fit_the_beats_are_refused():
    with pytest.raises(ValueError, match="zip"):
        write_story(SPEC, ("dark",) * 5, Random(0))
