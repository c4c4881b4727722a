import numpy as np
import pytest

from picollm.evaluation.measures import (
    accuracy,
    adherence,
    distinct_2,
    labelled_values,
    rank_correlations,
    repetition,
    win_rates,
)
from picollm.stories.spec import SLOTS, StorySpec, prompt_text


def test_ties_count_one_half():
    chosen, rejected = np.array([1.0, 2.0, 3.0, 3.0]), np.array([0.0, 2.0, 4.0, 1.0])
    assert accuracy(chosen, rejected) == (1 + 0.5 + 0 + 1) / 4


def test_the_win_rate_is_over_all_pairs_of_a_prompt_and_of_no_other():
    scores, baseline = np.array([[1.0, 3.0], [9.0, 9.0]]), np.array([[0.0, 1.0, 2.0], [9.0, 10.0, 0.0]])
    # 1 beats 0 and ties with 1, 3 beats all; each 9 ties, loses and wins.
    assert win_rates(scores, baseline).tolist() == [4.5 / 6, 3 / 6]


def test_rank_correlations_are_within_a_prompt():
    a = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 2.0, 3.0], [5.0, 5.0, 5.0, 5.0]])
    b = np.array([[10.0, 20.0, 40.0, 30.0], [4.0, 3.0, 2.0, -9.0], [0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]])
    found = rank_correlations(a, b)
    # One swap of neighbours: 1 - 6 * 2 / (4 * 15). Tied ranks 1.5, 1.5, 3, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
    assert found[:3] == pytest.approx([0.8, -1, 4.5 / np.sqrt(4.5 * 5)])
    assert np.isnan(found[3])


SPEC = StorySpec(
    title="The Salt Lantern",
    setting="an abandoned ferry station",
    protagonist="Ola",
    companion="Ida",
    object="a brass lantern",
    rule="never open the cellar door after sunset",
    twist="the caller had been there all along",
)


def found_slots(text: str) -> set[str]:
    return {slot for slot, found in adherence(labelled_values(prompt_text(SPEC)), text).items() if found}


def test_a_specification_is_made_of_its_slots():
    assert labelled_values(prompt_text(SPEC)) == {slot: getattr(SPEC, slot) for slot in SLOTS}


def test_any_labels_do_and_lines_without_a_value_are_none():
    prompt = """You are a creative writing assistant.
Write a short horror story that follows this story specification.

Title: The Last Candle
Supporting character: Jun
Taboo rule: never answer knocks after 2 a.m.
Title: another title

Constraints:
- 2 to 4 paragraphs: suspenseful and eerie.

Story:
"""
    values = {
        "title": "The Last Candle",
        "supporting character": "Jun",
        "taboo rule": "never answer knocks after 2 a.m.",
    }
    assert labelled_values(prompt) == values
    assert labelled_values(prompt.replace("\n", "\r\n")) == values
    assert adherence(values, "Jun said: never answer knocks after 2 a.m.. So it was.") == {
        "title": False,
        "supporting character": True,
        "taboo rule": True,
    }


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "Write a story about a dog.",
        "Summarise: the cat sat.\nTone: formal",
        "Human: What is 2:1?\n\nAssistant: A ratio.\n\nHuman: And 4:2?\n\nAssistant:",
        "At 10:30 the bus\nat 11:30 the train\nat 12:30 the boat\nhttp://a.b/c\n- x: y\n1: a",
    ],
)
def test_other_prompts_are_made_of_no_labelled_lines(prompt):
    assert labelled_values(prompt) == {}


def test_adherence_ignores_case_white_space_and_a_leading_article():
    text = "They tell\nthe salt   lantern in the Abandoned ferry station, where OLA held the brass lantern."
    assert found_slots(text) == {"title", "setting", "protagonist", "object"}


def test_adherence_counts_whole_words_only():
    assert found_slots("Nicola and Frida had brass lanterns") == set()
    assert found_slots("(Ola's rule: never open the cellar door after sunset.)") == {"protagonist", "rule"}


def test_punctuation_of_a_value_stands_for_itself():
    values = {"rule": "never answer after 2 a.m.", "twist": "who (or what) knocked?"}
    assert adherence(values, "Never answer after 2 a.m.! But who (or what) knocked?") == {"rule": True, "twist": True}
    assert adherence(values, "never answer after 2 acme and who or what knocked") == {"rule": False, "twist": False}


def test_distinct_2_is_over_all_texts_together():
    # a b, b a, a b | a b: four bigrams, two of them different.
    assert distinct_2(["a b a b", "A, b"]) == 2 / 4
    assert distinct_2(["word", ""]) == 0


def test_repetition_is_the_mean_share_of_four_grams_that_came_before():
    # x y z w x y z w has five 4-grams, the last equal to the first; the second text has no 4-gram.
    assert repetition(["x y z w x y z w", "too short"]) == pytest.approx((1 / 5 + 0) / 2)


def test_repetition_counts_only_what_came_earlier_in_the_same_text():
    # Six times "na": three 4-grams, two of them a repetition; the same 4-gram in another text is none.
    assert repetition(["na na na na na na", "na na na na"]) == pytest.approx((2 / 3 + 0) / 2)


def test_a_dash_is_no_word_and_an_apostrophe_parts_none():
    assert distinct_2(["it's - it\u2019s -- it's a half-open door"]) == 5 / 5
    assert distinct_2(["door - door -- door"]) == 1 / 2  # door door, twice
