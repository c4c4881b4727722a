from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picollm.core.errors import DataError
from picollm.stories.spec import (
    SLOTS,
    StorySpec,
    parse_prompt,
    prompt_text,
    with_article,
    without_article,
)

SPEC = StorySpec(
    title="The Salt Lantern",
    setting="an abandoned ferry station",
    protagonist="Mira",
    companion="Tomas",
    object="a brass lantern",
    rule="never open the cellar door after sunset",
    twist="the caller had been standing behind the door all along",
)
PROMPT = """Write a short horror story that follows this story specification.
Title: The Salt Lantern
Setting: an abandoned ferry station
Protagonist: Mira
Companion: Tomas
Object: a brass lantern
Rule: never open the cellar door after sunset
Twist: the caller had been standing behind the door all along
Story:
"""
one_line = st.text(min_size=1).filter(lambda text: text.strip() and text.splitlines() == [text])


def test_prompt_is_the_instruction_a_labelled_line_per_slot_and_story():
    assert prompt_text(SPEC) == PROMPT


def test_parsing_the_prompt_gives_the_specification():
    assert parse_prompt(PROMPT) == SPEC


@given(st.lists(one_line, min_size=len(SLOTS), max_size=len(SLOTS)))
def test_any_one_line_values_survive_the_round_trip(values):
    spec = StorySpec(*values)
    assert parse_prompt(prompt_text(spec)) == spec


@given(st.text())
def test_a_text_that_parses_is_the_prompt_of_what_it_parses_to(text):
    for prompt in (text, PROMPT.replace("Mira", text), PROMPT + text):
        spec = parse_prompt(prompt)
        assert spec is None or prompt_text(spec) == prompt


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "Tell me about the sea.",
        PROMPT.removesuffix("\n"),
        PROMPT + "Once",
        PROMPT.replace("Write a short", "Write a long"),
        PROMPT.replace("Title: The Salt Lantern\n", ""),
        PROMPT.replace("Title:", "title:"),
        PROMPT.replace("Rule: ", "Rule:"),
        PROMPT.replace("Mira", ""),
        PROMPT.replace("Mira", "  "),
        PROMPT.replace("Mira", "Mi\rra"),
        PROMPT.replace("Protagonist: Mira\nCompanion: Tomas", "Companion: Tomas\nProtagonist: Mira"),
        PROMPT.replace("\n", "\r\n"),
    ],
)
def test_a_prompt_of_another_form_is_none(prompt):
    assert parse_prompt(prompt) is None


@pytest.mark.parametrize("value", ["", " ", "two\nlines", "ends\n", "a\rb", "a\u2028b"])
@pytest.mark.parametrize("slot", SLOTS)
def test_a_value_that_is_not_one_line_is_refused_by_name(slot, value):
    with pytest.raises(DataError, match=f"{slot} is .*expected one line"):
        replace(SPEC, **{slot: value})


@pytest.mark.parametrize(
    ("value", "bare"),
    [
        ("a brass lantern", "brass lantern"),
        ("an hourglass", "hourglass"),
        ("The Salt Lantern", "Salt Lantern"),
        ("AN odd jar", "odd jar"),
        ("a the jar", "the jar"),
        ("another jar", "another jar"),
        ("theatre", "theatre"),
        ("jar of a saint", "jar of a saint"),
        ("The", "The"),
        ("a ", "a "),
    ],
)
def test_without_article_takes_one_leading_article_away(value, bare):
    assert without_article(value) == bare


@pytest.mark.parametrize(
    "phrase",
    [
        "abandoned mill",
        "egg",
        "inkwell",
        "old key",
        "umbrella",
        "unusual jar",
        "unlabelled jar",
        "uninvited guest",
        "unimportant note",
        "unissued stamp",
        "upland farm",
        "heirloom ring",
        "hour",
        "hourglass",
        "honest scale",
        "Orchard",
        "80-year-old clock",
        "11th guest",
        "18 carat ring",
    ],
)
def test_a_vowel_sound_takes_an(phrase):
    assert with_article(phrase) == f"an {phrase}"


@pytest.mark.parametrize(
    "phrase",
    [
        "brass lantern",
        "hat",
        "yellow boat",
        "uniform",
        "unique key",
        "unit",
        "university",
        "united town",
        "universal key",
        "unicorn",
        "useful spoon",
        "used coat",
        "usual jar",
        "utensil",
        "utopian town",
        "European stamp",
        "eucalyptus twig",
        "one-eyed doll",
        "once-grand hotel",
        "ewer",
        "ukulele",
        "ubiquitous weed",
        "x-ray",
        "118-page book",
        "1967 car",
    ],
)
def test_a_consonant_sound_takes_a(phrase):
    assert with_article(phrase) == f"a {phrase}"
