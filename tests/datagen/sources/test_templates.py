import math
from random import Random

import pytest

from picollm.core import config
from picollm.core.errors import DataError
from picollm.datagen.datasets import make_monitor, make_preferences, make_sft
from picollm.datagen.settings import Preferences
from picollm.stories.compose import Parts
from picollm.stories.dread import dread
from picollm.stories.spec import SLOTS, parse_prompt, prompt_text, without_article
from picollm.stories.story import SHADES, sentences, values_of
from tests.datagen.examples import ROOT, preferences, sft, specifications
from tests.datagen.parts import few_parts, possible_values


def opening_shade(prompt, story):
    """The shade in which the first beat of a story is told."""
    values = values_of(parse_prompt(prompt))
    shades = [shade for shade in SHADES if sentences(shade).matches("beat.opening", story, 0, values, ())]
    assert len(shades) == 1
    return shades[0]


# Specifications


def test_no_specification_is_drawn_twice_even_where_there_are_few():
    specs = specifications()
    specs.seen_parts = few_parts()
    for_corpus = {prompt_text(specs.for_corpus(Random(number))) for number in range(20)}
    drawn = []
    for purpose, split in (("sft", "train"), ("sft", "test"), ("monitor", "validation"), ("preferences", "train")):
        drawn += map(prompt_text, specs.draw(purpose, split, 15))
    assert len(set(drawn)) == 60
    assert not set(drawn) & for_corpus
    with pytest.raises(DataError, match="the parts allow only 96"):
        specs.draw("preferences", "test", 37)


def test_the_corpus_is_given_seen_parts_alone():
    specs = specifications()
    seen = possible_values(specs.seen_parts)
    for spec in [specs.for_corpus(Random(number)) for number in range(50)]:
        assert all(getattr(spec, slot) in seen[slot] for slot in SLOTS)


# sft_rows and monitor_pairs


def test_sft_rows_are_stories_of_their_own_specification():
    rows = make_sft(sft(), specifications())
    assert {split: len(records) for split, records in rows.items()} == {
        "train": 30,
        "validation": 20,
        "test": 10,
        "unseen": 10,
    }
    records = [record for split in rows.values() for record in split]
    assert len({record.id for record in records}) == len(records)
    for record in records:
        assert record.prompt == record.input
        spec = parse_prompt(record.prompt)
        for slot in SLOTS:
            value = getattr(spec, slot)
            assert (without_article(value) if slot == "object" else value) in record.response


def test_the_mix_decides_how_many_rows_are_of_each_tone():
    mix = {"wholesome": 3.0, "eerie": 0.0, "dark": 1.0}  # shares need not sum to one
    rows = make_sft(sft(mix=mix, rows=400), specifications())["train"]
    wholesome = [record for record in rows if opening_shade(record.prompt, record.response) == "wholesome"]
    # Three quarters of 400 stories are wholesome and 85 % of those open so: mean 255, standard deviation 9.6.
    assert 207 <= len(wholesome) <= 303
    # 45 wholesome stories open eerie, 85 dark ones dark and 15 eerie: 85 of 145 are dark, and none if all were eerie.
    horror = [record for record in rows if opening_shade(record.prompt, record.response) != "wholesome"]
    dark = [record for record in horror if opening_shade(record.prompt, record.response) == "dark"]
    assert 0.38 < len(dark) / len(horror) < 0.79  # 0.586, standard deviation 0.041


def test_invented_specifications_stand_in_training_rows_alone_and_in_their_share():
    parts = Parts.whole()
    rows = make_sft(sft(invented=0.4, rows=300), specifications())
    invented = {
        split: [r for r in records if parse_prompt(r.prompt).protagonist not in parts.names]
        for split, records in rows.items()
    }
    # 40 % of 300: mean 120, standard deviation 8.5.
    assert 78 <= len(invented["train"]) <= 162
    assert [len(invented[split]) for split in ("validation", "test", "unseen")] == [0, 0, 0]
    plain = make_sft(sft(invented=0.0, rows=300), specifications())
    assert plain["test"] == rows["test"]


def test_monitor_pairs_prefer_the_story_of_more_dread():
    pairs = make_monitor(sft(monitor_pairs=60), specifications())
    assert len(pairs) == len({record.id for record in pairs}) == 60
    for record in pairs:
        assert record.prompt == record.input
        assert record.chosen_score > record.rejected_score
        assert (record.chosen_score, record.rejected_score) == (dread(record.chosen), dread(record.rejected))
        assert (record.p_chosen, record.stratum) == (1.0, "contrast")
        assert opening_shade(record.prompt, record.rejected) != "dark"  # wholesome, or eerie in a wholesome story
        assert opening_shade(record.prompt, record.chosen) != "wholesome"


# preference_pairs


@pytest.fixture(scope="module")
def pairs():
    return make_preferences(preferences(rows=400), specifications())


def test_preference_rows_have_counts_ids_and_the_scores_of_their_stories(pairs):
    assert {split: len(rows) for split, rows in pairs.items()} == {
        "train": 400,
        "validation": 20,
        "test": 10,
        "unseen": 10,
    }
    records = [record for rows in pairs.values() for record in rows]
    assert len({record.id for record in records}) == len(records)
    for record in records:
        assert record.prompt == record.input
        assert record.chosen != record.rejected
        assert (record.chosen_score, record.rejected_score) == (dread(record.chosen), dread(record.rejected))
        # Bradley & Terry (1952), at temperature 9.5.
        odds = math.exp((record.chosen_score - record.rejected_score) / 9.5)
        assert record.p_chosen == pytest.approx(odds / (1 + odds))


def test_strata_hold_what_they_say(pairs):
    members = {"contrast": [], "degree": []}
    for record in pairs["train"]:
        shades = [opening_shade(record.prompt, story) for story in (record.chosen, record.rejected)]
        members[record.stratum].append(shades)
        assert shades.count("wholesome") <= (record.stratum == "contrast")
    # Half of 400: mean 200, standard deviation 10.
    assert 150 <= len(members["degree"]) <= 250
    # One story of a contrast pair is wholesome and opens so with chance 0.85; a pair of any kind at most once.
    wholesome = sum(shades.count("wholesome") for shades in members["contrast"])
    assert abs(wholesome - 0.85 * len(members["contrast"])) < 5 * math.sqrt(len(members["contrast"]) * 0.85 * 0.15)
    # One story of a degree pair is eerie and opens dark with chance 0.15, the other is dark and does with 0.85: one a pair.
    dark = sum(shades.count("dark") for shades in members["degree"])
    assert abs(dark - len(members["degree"])) < 5 * math.sqrt(len(members["degree"]) * 2 * 0.85 * 0.15)


@pytest.mark.parametrize(("contrast", "stratum"), [(0.0, "degree"), (1.0, "contrast")])
def test_the_contrast_share_may_be_none_or_all(contrast, stratum):
    rows = make_preferences(preferences(contrast=contrast), specifications())
    assert {record.stratum for records in rows.values() for record in records} == {stratum}


@pytest.mark.parametrize("stratum", ["contrast", "degree"])
def test_labels_contradict_the_rule_about_as_often_as_its_probabilities_imply(pairs, stratum):
    rows = [record for record in pairs["train"] if record.stratum == stratum]
    chances = [1 / (1 + math.exp(abs(r.chosen_score - r.rejected_score) / 9.5)) for r in rows]
    flipped = sum(record.chosen_score < record.rejected_score for record in rows)
    spread = math.sqrt(sum(chance * (1 - chance) for chance in chances))
    assert abs(flipped - sum(chances)) < 4 * spread
    assert 4 * spread < 0.2 * len(rows)  # the bound means something


@pytest.mark.parametrize(("temperature", "fewest", "most"), [(1e-6, 0, 0), (1e9, 75, 125)])
def test_labels_follow_the_rule_in_the_cold_and_chance_in_the_heat(temperature, fewest, most):
    # By chance alone 100 of 200 are flipped, standard deviation 7.1.
    settings = preferences(temperature=temperature, rows=200)
    rows = make_preferences(settings, specifications())["train"]
    assert fewest <= sum(record.chosen_score < record.rejected_score for record in rows) <= most


def test_the_defaults_put_the_ceiling_near_nine_tenths():
    defaults = config.load(Preferences, folder=ROOT).preferences
    settings = preferences(temperature=defaults.temperature, contrast=defaults.contrast, rows=600)
    rows = make_preferences(settings, specifications())["train"]
    assert sum(max(record.p_chosen, 1 - record.p_chosen) for record in rows) / 600 == pytest.approx(0.9, abs=0.02)
