import math

import numpy as np
import pytest

from picollm.evaluation.measures import (
    accuracy,
    adherence,
    distinct_2,
    kl_estimate,
    mean_interval,
    repetition,
    wilson_interval,
    win_rate,
)
from picollm.stories.spec import SLOTS, StorySpec


def roots_of_the_score_test(share: float, count: int) -> list[float]:
    """Wilson's bounds are the p with (share - p)^2 = z^2 p (1 - p) / n: the roots of a quadratic in p."""
    z2 = 1.959963984540054**2
    return sorted(np.roots([1 + z2 / count, -(2 * share + z2 / count), share**2]).real)


@pytest.mark.parametrize(("successes", "count"), [(7, 10), (0, 5), (5, 5), (12.5, 40), (1, 1)])
def test_wilson_bounds_solve_the_score_equation(successes, count):
    assert wilson_interval(successes, count) == pytest.approx(
        roots_of_the_score_test(successes / count, count), abs=1e-9
    )


@pytest.mark.parametrize("count", [1, 3, 7, 40, 100, 400, 999])
def test_wilson_bounds_of_none_and_of_all_are_exactly_0_and_1(count):
    low, high = wilson_interval(0, count)
    assert (low, 0 < high < 1) == (0.0, True)
    low, high = wilson_interval(count, count)
    assert (0 < low < 1, high) == (True, 1.0)


def test_the_interval_of_a_mean_is_normal():
    # Values 1, 2, 3, 6: mean 3, squared deviations 4 + 1 + 0 + 9 = 14, variance 14 / 3, standard error sqrt(14 / 12).
    mean, low, high = mean_interval(np.array([1, 2, 3, 6]))
    spread = 1.959964 * math.sqrt(14 / 12)
    assert (mean, low, high) == pytest.approx((3, 3 - spread, 3 + spread), abs=1e-5)
    assert mean_interval(np.array([4.0])) == (4.0, 4.0, 4.0)


def test_ties_count_one_half():
    chosen, rejected = np.array([1.0, 2.0, 3.0, 3.0]), np.array([0.0, 2.0, 4.0, 1.0])
    assert accuracy(chosen, rejected) == (1 + 0.5 + 0 + 1) / 4
    assert win_rate(chosen, rejected)[0] == 2.5 / 4
    assert win_rate(chosen, rejected)[1:] == wilson_interval(2.5, 4)


def test_kl_is_the_mean_log_ratio_per_sequence_and_per_token():
    found = kl_estimate(np.array([-10.0, -20.0]), np.array([-13.0, -21.0]), np.array([4, 12]))
    assert found == (2.0, 4 / 16)


def test_kl_of_float32_log_probs_is_taken_in_float64():
    policy, reference = np.array([-1.0], dtype=np.float32), np.array([-(2.0**-30)], dtype=np.float32)
    assert kl_estimate(policy, reference, np.array([1])) == (2.0**-30 - 1, 2.0**-30 - 1)  # in float32: -1


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
    return {slot for slot, hit in zip(SLOTS, adherence([SPEC], [text])[0], strict=True) if hit}


def test_adherence_ignores_case_white_space_and_a_leading_article():
    text = "They tell\nthe salt   lantern in the Abandoned ferry station, where OLA held the brass lantern."
    assert found_slots(text) == {"title", "setting", "protagonist", "object"}


def test_adherence_counts_whole_words_only():
    assert found_slots("Nicola and Frida had brass lanterns") == set()
    assert found_slots("(Ola's rule: never open the cellar door after sunset.)") == {"protagonist", "rule"}


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
