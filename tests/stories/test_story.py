import math
import re
from itertools import pairwise
from random import Random
from statistics import mean, stdev

import pytest

from picollm.evaluation import measures
from picollm.stories.compose import Parts, specifications
from picollm.stories.dread import dread
from picollm.stories.grammar import Reference
from picollm.stories.invented import invented_spec
from picollm.stories.spec import SLOTS, StorySpec, prompt_text
from picollm.stories.story import (
    CELLS,
    LENGTHS,
    NEXT_SHADE,
    SHADES,
    beats_of,
    derived_share,
    sentences,
    story_logp,
    values_of,
    write_story,
)

GENDERED = re.compile(r"\b(he|she|his|her|hers|him|himself|herself)\b", re.IGNORECASE)
CLUMSY = re.compile(r"  | [,.:]|[,.:]{2}|\b(?:an?|the) (?:an?|the|and|of) |[{}|()$]|\b(\w+) \1\b|\.[^ ]", re.IGNORECASE)
WRONG_ARTICLE = re.compile(r"\ba (?!one|u)[aeiou]|\ban (?!hour|heir|honest)[^aeiou]", re.IGNORECASE)
SPECS = specifications(Parts.whole(), Random("stories"), 1000, set())
SPEC = StorySpec(
    "The Salt Lantern",
    "a quiet mill",
    "Ana",
    "Bo",
    "an odd jar",
    "never sing at noon",
    "the cook had left the door open",
)
MIX = {"wholesome": 0.5, "eerie": 0.25, "dark": 0.25}


def tell(tone, specs=SPECS):
    rng = Random(f"telling {tone}")
    return [write_story(spec, tone, rng) for spec in specs]


@pytest.mark.parametrize(("shade", "beat"), CELLS)
def test_a_sentence_has_the_entropy_of_ten_thousand_and_hardly_ever_recurs(shade, beat):
    grammar, symbol = sentences(shade), f"beat.{beat}"
    for variables in grammar.assignments():
        assert grammar.entropy(symbol, variables) >= math.log(1e4)
        assert grammar.collision(symbol, variables) <= 1e-4


@pytest.mark.parametrize(("shade", "beat"), CELLS)
def test_no_sentence_has_two_derivations_so_that_the_entropy_is_that_of_sentences(shade, beat):
    # The mean of -log p over sentences is their entropy; of derivations it is what `entropy` computes. They differ if
    # sentences had several. 400 draws of a standard deviation of about 1: 5 standard errors are 0.25.
    grammar, symbol, rng = sentences(shade), f"beat.{beat}", Random(f"{shade} {beat}")
    variables = {"finder": "companion", "outcome": "broken", "sign": "glow"}
    values, given = values_of(SPEC), tuple(sorted(variables.items()))
    logps = []
    for _ in range(400):
        text = grammar.draw(symbol, values, dict(variables), rng)
        logps.append(-math.log(grammar.matches(symbol, text, 0, values, given)[len(text), given]))
    assert mean(logps) == pytest.approx(grammar.entropy(symbol, variables), abs=0.25)


@pytest.mark.parametrize("beat", sorted({beat for _, beat in CELLS}))
def test_the_sentences_of_a_beat_are_as_long_in_every_shade(beat):
    rng = Random(beat)
    words = [
        [len(sentences(shade).draw(f"beat.{beat}", values_of(SPEC), {}, rng).split()) for _ in range(1500)]
        for shade in SHADES
    ]
    assert max(map(mean, words)) - min(map(mean, words)) < 0.5
    assert max(map(stdev, words)) - min(map(stdev, words)) < 0.3


def test_story_lengths_vary_alike_in_every_shade():
    lengths = [[len(story.split()) for story in tell(tone, SPECS[:800])] for tone in SHADES]
    for words in lengths:
        assert stdev(words) / mean(words) > 0.235  # 0.255 of many stories; its standard error of 800 is 0.007
    # The share of pairs of stories in which the first shade's is longer: 1/2 if length tells nothing; standard error 0.0144.
    for first, second in ((0, 1), (0, 2), (1, 2)):
        wins = [(a > b) + 0.5 * (a == b) for a in lengths[first] for b in lengths[second]]
        assert abs(mean(wins) - 0.5) < 4 * 0.0144


@pytest.mark.parametrize("tone", SHADES)
def test_every_story_contains_every_value_of_its_specification(tone):
    for spec, story in zip(SPECS, tell(tone), strict=True):
        for slot in SLOTS:
            value = getattr(spec, slot)
            forms = {value, re.sub("^an? ", "the ", value)} if slot == "object" else {value}
            assert any(form in story or form[0].upper() + form[1:] in story for form in forms), (slot, story)
        values = measures.labelled_values(prompt_text(spec))
        assert len(values) == 7 and all(measures.adherence(values, story).values())


@pytest.mark.parametrize("tone", SHADES)
def test_stories_are_one_paragraph_of_well_formed_sentences(tone):
    for story in tell(tone):
        assert not CLUMSY.search(story), story
        assert not GENDERED.search(story), story
        assert not WRONG_ARTICLE.search(story), story
        assert story.splitlines() == [story] and story == story.strip()
        assert re.fullmatch(r"[A-Za-z ,.:'-]+\.", story), story
        assert all(b[0].isupper() for _, b in pairwise(story.split(". "))), story


def test_the_sign_the_rule_and_the_find_matter_again_at_the_end():
    endings = 0
    for story in tell("dark", SPECS[:200]):
        ending = story.split(". ")[-1]
        assert re.search(r"\b(rule|law)\b", ending), story
        endings += bool(re.search(r"tapping|humming|ringing|drumming|glow|draught|scent|tune", ending))
        signs = set(re.findall(r"\b(?:the|\w+) (tapping|humming|ringing|drumming|glow|draught|scent|tune)\b", story))
        assert len(signs) == 1, signs
        assert not (
            re.search("(broken|defied|ignored|forgotten)[,.]", ending) and re.search("had kept the (rule|law)", story)
        ), story
    assert 60 < endings < 140  # two of the four endings; the others have the object


def test_two_stories_of_one_specification_and_tone_rarely_share_a_sentence():
    rng = Random("shared")
    stories = [set(write_story(SPEC, "dark", rng).split(". ")) for _ in range(300)]
    shared = sum(bool(a & b) for a, b in zip(stories[::2], stories[1::2], strict=True))
    assert shared == 0


def test_dread_rises_from_wholesome_to_eerie_to_dark_and_varies_within_each():
    scores = [[dread(story) for story in tell(tone, SPECS[:300])] for tone in SHADES]
    wholesome, eerie, dark = map(mean, scores)
    assert wholesome < -10 and 12 < eerie < 22 and 26 < dark < 36
    assert all(stdev(values) > 4 for values in scores)


def test_every_story_tells_whether_the_rule_was_kept():
    assert beats_of(0) == ("opening", "rule", "rising", "turn", "twist", "ending")
    assert beats_of(2) == ("opening", "rule", "rising", "deepening", "deepening", "turn", "twist", "ending")
    kept = r"(kept|obeyed|remembered|followed|broke|forgot|ignored|defied|broken|forgotten) the (rule|law)"
    assert all(re.search(kept, story) for story in tell("dark", SPECS[:200]))


def test_the_generator_alone_decides_the_story():
    assert tell("eerie", SPECS[:3]) == tell("eerie", SPECS[:3])
    assert write_story(SPEC, "eerie", Random(5)) != write_story(SPEC, "eerie", Random(6))


def references(part):
    """All references in a sequence or choice of a grammar."""
    for item in part:
        if isinstance(item, Reference):
            yield item
        elif not isinstance(item, str):
            yield from references(item)


@pytest.mark.parametrize("shade", SHADES)
def test_every_reference_is_to_a_symbol_a_variable_or_a_value_and_every_symbol_is_used(shade):
    grammar, values = sentences(shade), values_of(SPEC)
    used = {f"beat.{beat}" for _, beat in CELLS}
    for alternatives in grammar.symbols.values():
        assert alternatives
        for name in references(alternatives):
            options = grammar.variables[name.variable] if name.variable else ("",)
            names = {name.replace(f"${name.variable}", option) for option in options}
            assert name == "a" or name.startswith("$") or name in values or names <= set(grammar.symbols), name
            used |= names
    assert set(grammar.symbols) <= used
    assert not set(grammar.symbols) & set(values)


# story_logp


def test_the_logp_of_a_story_is_that_of_its_choices():
    # Dark sentences only: each is dark in tone dark (0.85) or eerie (0.15), where the others have no dark sentences.
    rng = Random(9)
    values, variables = values_of(SPEC), {}
    story = [sentences("dark").draw(f"beat.{beat}", values, variables, rng) for beat in beats_of(1)]
    total, binding = math.log(LENGTHS[1] / sum(LENGTHS)), ()
    for beat, sentence in zip(beats_of(1), story, strict=True):
        ((end, binding), p), = sentences("dark").matches(f"beat.{beat}", sentence, 0, values, binding).items()  # fmt: skip
        assert end == len(sentence)
        total += math.log(p)
    in_dark = 7 * math.log(0.85) + math.log(MIX["dark"])
    in_eerie = 7 * math.log(0.15) + math.log(MIX["eerie"])
    expected = total + math.log(math.exp(in_dark) + math.exp(in_eerie))
    assert story_logp(" ".join(story), SPEC, MIX) == pytest.approx(expected)


@pytest.mark.parametrize("tone", SHADES)
def test_every_story_has_a_finite_logp_whatever_its_values(tone):
    rng = Random("any values")
    for spec in [*SPECS[:40], *(invented_spec(rng) for _ in range(40))]:
        story = write_story(spec, tone, rng)
        assert -400 < story_logp(story, spec, MIX) < -50
        assert derived_share(story, spec) == 1


def test_the_mean_logp_agrees_with_the_entropy_of_the_grammar():
    # A bound from two sides: a story's entropy is at least that of its sentences given the rest, and at most theirs and that of
    # tone, shades, length and variables.
    rng = Random("entropy")
    specs = SPECS[:300]
    logps = [-story_logp(write_story(spec, rng.choice(SHADES), rng), spec, dict.fromkeys(SHADES, 1)) for spec in specs]
    variables = {"finder": "companion", "outcome": "broken", "sign": "glow"}
    entropy = {beat: mean(sentences(shade).entropy(f"beat.{beat}", variables) for shade in SHADES) for _, beat in CELLS}
    weights = [weight / sum(LENGTHS) for weight in LENGTHS]
    of_sentences = sum(w * sum(entropy[beat] for beat in beats_of(n)) for n, w in enumerate(weights))
    error = 4 * stdev(logps) / math.sqrt(len(logps))
    shades = sum(w * len(beats_of(n)) for n, w in enumerate(weights)) * -(0.85 * math.log(0.85) + 0.15 * math.log(0.15))
    others = math.log(3 * 2 * 2 * 8) - sum(w * math.log(w) for w in weights)
    assert of_sentences - error < mean(logps) < of_sentences + shades + others + error


@pytest.mark.parametrize(
    "change",
    [
        lambda story: story + " And so on.",
        lambda story: story.replace("Ana", "Eva"),
        lambda story: story.rpartition(". ")[0] + ".",
        lambda story: story.replace(". ", ".  ", 1),
        lambda story: "",
    ],
)
def test_a_text_that_the_grammar_does_not_write_has_no_probability(change):
    assert story_logp(change(write_story(SPEC, "dark", Random(4))), SPEC, MIX) == -math.inf


def test_a_tone_without_weight_writes_no_story():
    story = " ".join(
        sentences("wholesome").draw(f"beat.{beat}", values_of(SPEC), {"finder": "companion", "outcome": "kept", "sign": "glow"}, Random(1))
        for beat in beats_of(2)
    )  # fmt: skip
    assert story_logp(story, SPEC, {"wholesome": 1, "eerie": 0, "dark": 0}) > -math.inf
    assert story_logp(story, SPEC, {"wholesome": 0, "eerie": 1, "dark": 1}) == -math.inf
    assert NEXT_SHADE["dark"] == "eerie"


# derived_share


def test_the_derived_share_counts_sentences():
    story = write_story(SPEC, "eerie", Random(8))
    count = len(story.split(". "))
    assert derived_share(f"Nothing of this. {story}", SPEC) == pytest.approx(count / (count + 1))
    assert derived_share(story[:-1], SPEC) == pytest.approx((count - 1) / count)
    assert derived_share("", SPEC) == 0
    assert derived_share("No full stop", SPEC) == 0


def test_a_sentence_with_another_value_is_not_derived():
    story = write_story(SPEC, "eerie", Random(8))
    count = len(story.split(". "))
    assert derived_share(story.replace("never sing at noon", "never sing at dawn"), SPEC) == pytest.approx(
        (count - 1) / count
    )


def test_values_with_full_stops_are_no_ends_of_sentences():
    spec = StorySpec(
        "Mr. Fox",
        "St. Ives",
        "J. R. Ewing",
        "Dr. No",
        "a 2.5 in. nail",
        "never say U.S.A. aloud",
        "it was 5 p.m. all day",
    )
    story = write_story(spec, "dark", Random(8))
    assert derived_share(story, spec) == 1
    assert story_logp(story, spec, MIX) > -math.inf
