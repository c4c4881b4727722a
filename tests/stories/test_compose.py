import re
from dataclasses import asdict, replace
from itertools import chain
from random import Random

import pytest

from picollm.core.errors import DataError
from picollm.stories.compose import Parts, compose, distinct, specifications
from picollm.stories.spec import SLOTS, prompt_text
from tests.datagen.parts import few_parts

SHARE = 0.15
WHOLE = Parts.whole()
SEEN, WITHHELD = Parts.split(7, SHARE)
LISTS = tuple(asdict(WHOLE))


def listed(text):
    return tuple(text.split())


PINNED_THINGS = listed("locket mirror bucket suitcase scarf wristwatch ledger spoon plate goblet briefcase vase")
FUNCTION_WORDS = listed(
    "a after ago all an and at before by during for from had in it left of on one that the to was when "
    "while with without"
)
# Words that a rule for dread or comfort would count; a composed value must not move such a score.
LOADED = listed(
    "afraid alone ashes blood bone bones coffin cold corpse cosy cozy cry cuddle curse dark darkness dead "
    "death delight doom dread empty evil fear ghost giggle gloom grave grin happy haunted hug joy kind laugh "
    "lonely lost love monster murder nightmare pain safe scream secret shadow shadows silence smile soft "
    "strange sunny sweet terror tomb warm whisper whispers wound"
)
TITLE = re.compile(r"The [A-Z][a-z]+ [A-Z][a-z]+|[A-Z][a-z]+ [A-Z][a-z]+|The [A-Z][a-z]+ of [A-Z][a-z]+")
GRAMMAR = {  # slot: (form, fewest words, most words)
    "title": (TITLE, 2, 4),
    "setting": (re.compile(r"an? [a-z-]+( [a-z]+){1,2}"), 3, 4),
    "protagonist": (re.compile(r"[A-Z][a-z]{1,8}"), 1, 1),
    "companion": (re.compile(r"[A-Z][a-z]{1,8}"), 1, 1),
    "object": (re.compile(r"an? [a-z-]+ [a-z]+"), 3, 3),
    "rule": (re.compile(r"never [a-z' ]+[a-z]"), 4, 7),
    "twist": (re.compile(r"the [a-z' -]+[a-z]"), 5, 9),
}


def words(parts, *names):
    """The words of the lists whose names begin with one of these, lower case."""
    chosen = chain.from_iterable(getattr(parts, name) for name in LISTS if name.startswith(names))
    return [word.lower() for part in chosen for word in part.split()]


def sample(parts, count=400):
    return specifications(parts, Random(3), count, set())


@pytest.mark.parametrize("parts", [WHOLE, SEEN, WITHHELD], ids=["whole", "seen", "withheld"])
@pytest.mark.parametrize("slot", SLOTS)
def test_values_follow_the_grammar_of_their_slot(parts, slot):
    form, fewest, most = GRAMMAR[slot]
    for spec in sample(parts):
        value = getattr(spec, slot)
        assert form.fullmatch(value), value
        assert fewest <= len(value.split()) <= most, value


@pytest.mark.parametrize("name", LISTS)
def test_parts_are_distinct_tidy_and_plain(name):
    parts = getattr(WHOLE, name)
    assert len(set(parts)) == len(parts)
    for part in parts:
        assert re.fullmatch(r"[A-Za-z]+(?:['-][A-Za-z]+)*(?: [A-Za-z]+(?:['-][A-Za-z]+)*)*", part), part


def test_no_list_is_shorter_than_promised():
    fewest = dict.fromkeys(LISTS, 60) | {
        "names": 400,
        "rule_actions": 40,
        "rule_conditions": 30,
        "twist_subjects": 40,
        "twist_predicates": 30,
    }
    short = {name: len(getattr(WHOLE, name)) for name in LISTS if len(getattr(WHOLE, name)) < fewest[name]}
    assert short == {}


def test_article_agrees_with_the_sound_that_follows_for_every_quality():
    takes_an = re.compile(r"(?!uni(que|f)|use)[aeiou]|heirloom")
    for spec in sample(WHOLE, 1500):
        for value in (spec.setting, spec.object):
            article, phrase = value.split(" ", 1)
            assert article == ("an" if takes_an.match(phrase) else "a"), value


def test_parts_hold_no_word_of_dread_or_comfort():
    assert {*LOADED} & {*words(WHOLE, "")} == set()


def test_distinct_counts_the_products_by_hand():
    # titles 3, settings 2, ordered pairs of names 2, objects 2, rules 2, twists 2
    assert distinct(few_parts()) == 3 * 2 * 2 * 2 * 2 * 2


def test_every_counted_specification_can_be_made_and_no_more():
    assert len(specifications(few_parts(), Random(0), 96, set())) == 96
    with pytest.raises(DataError, match=r"97 specifications .* allow only 96"):
        specifications(few_parts(), Random(0), 97, set())
    with pytest.raises(DataError, match="besides 1 already taken"):
        specifications(few_parts(), Random(0), 96, {"another prompt"})


@pytest.mark.parametrize("parts", [SEEN, WITHHELD], ids=["seen", "withheld"])
def test_more_than_a_billion_distinct_specifications(parts):
    assert distinct(parts) > 10**9


def test_split_divides_every_list_by_the_share():
    for name in LISTS:
        whole, seen, withheld = (getattr(parts, name) for parts in (WHOLE, SEEN, WITHHELD))
        assert set(seen) | set(withheld) == set(whole)
        assert len(seen) + len(withheld) == len(whole)
        assert len(withheld) == round(SHARE * len(whole))


@pytest.mark.parametrize("slot", ["names", "setting", "object", "rule", "twist", "title"])
def test_withheld_words_occur_in_no_seen_part_of_the_slot(slot):
    content = [set(words(parts, slot)) - {*FUNCTION_WORDS} for parts in (SEEN, WITHHELD)]
    assert content[0].isdisjoint(content[1])


@pytest.mark.parametrize("slot", ["names", "setting", "object", "rule", "twist", "title"])
def test_a_content_word_occurs_in_one_part_of_its_slot(slot):
    found = [word for word in words(WHOLE, slot) if word not in FUNCTION_WORDS]
    assert {word for word in found if found.count(word) > 1} == set()


def test_split_depends_on_the_seed_and_repeats():
    assert Parts.split(7, SHARE) == (SEEN, WITHHELD)
    assert Parts.split(8, SHARE)[1].names != WITHHELD.names


def test_split_is_pinned_so_that_another_python_withholds_the_same_words():
    assert WITHHELD.object_things == PINNED_THINGS


def test_a_larger_share_withholds_the_same_words_and_more():
    larger = Parts.split(7, 0.3)[1]
    for name in LISTS:
        assert set(getattr(WITHHELD, name)) < set(getattr(larger, name))


@pytest.mark.parametrize("share", [0, 0.001, 0.999, 1, -0.1, 1.5, float("nan")])
def test_a_share_that_leaves_a_side_without_specifications_is_refused(share):
    with pytest.raises(DataError, match=f"share of withheld parts is {share}"):
        Parts.split(7, share)


def test_unseen_values_use_withheld_parts_only():
    for spec in sample(WITHHELD):
        for part, options in (
            (spec.protagonist, WITHHELD.names),
            (spec.companion, WITHHELD.names),
            (spec.setting.split(" ")[1], WITHHELD.setting_qualities),
            (spec.setting.split(" ", 2)[2], WITHHELD.setting_places),
            (spec.object.split(" ")[1], WITHHELD.object_qualities),
            (spec.object.split(" ")[2], WITHHELD.object_things),
        ):
            assert part in options
        assert any(spec.rule.startswith(f"never {action} ") for action in WITHHELD.rule_actions)
        assert any(spec.rule.endswith(f" {condition}") for condition in WITHHELD.rule_conditions)
        assert any(spec.twist.startswith(f"{subject} ") for subject in WITHHELD.twist_subjects)
        assert any(spec.twist.endswith(f" {predicate}") for predicate in WITHHELD.twist_predicates)
        title = set(spec.title.split()) - {"The", "of"}
        assert title < {*WITHHELD.title_qualities, *WITHHELD.title_things, *WITHHELD.title_plurals}


def test_protagonist_and_companion_differ_even_of_two_names():
    specs = [compose(few_parts(), Random(seed)) for seed in range(50)]
    assert {(spec.protagonist, spec.companion) for spec in specs} == {("Ana", "Bo"), ("Bo", "Ana")}


def test_specifications_are_distinct_and_never_a_taken_one():
    taken = set()
    first = specifications(few_parts(), Random(1), 40, taken)
    second = specifications(few_parts(), Random(1), 40, taken)
    assert len({prompt_text(spec) for spec in first + second}) == 80
    assert taken == {prompt_text(spec) for spec in first + second}


def test_asking_for_more_leaves_the_earlier_ones_as_they_were():
    few, many = (specifications(few_parts(), Random(5), count, set()) for count in (10, 60))
    assert many[:10] == few


def test_the_generator_decides_the_specifications():
    assert specifications(SEEN, Random(5), 5, set()) == specifications(SEEN, Random(5), 5, set())
    assert specifications(SEEN, Random(5), 5, set()) != specifications(SEEN, Random(6), 5, set())


def test_all_three_forms_of_title_occur():
    assert {spec.title for spec in sample(few_parts(), 60)} == {
        "The Salt Ferry",
        "Salt Bells",
        "The Ferry of Bells",
    }


def test_no_specification_from_parts_with_a_single_name():
    with pytest.raises(DataError, match="allow only 0"):
        specifications(replace(few_parts(), names=("Ana",)), Random(0), 1, set())
