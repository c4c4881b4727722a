import numpy as np
import pytest

from picollm.evaluation.length import length_measures


def test_the_share_of_length_in_margins_that_are_linear_in_dread_and_words():
    # margin = 2 dread + 1 words: 1 * 4 of 4 * 4 + 1 * 4 is a fifth.
    dread, words = np.array([2.0, 0.0, 0.0, 0.0]), np.array([0.0, 2.0, 0.0, 0.0])
    found = length_measures(2 * dread + words, dread, words, np.full(4, 0.5))
    assert (found["length_share"], found["length_slope"]) == (pytest.approx(0.2), pytest.approx(1))


def test_the_share_agrees_with_a_least_squares_fit_and_its_target_is_of_the_rules_log_odds():
    rng = np.random.default_rng(0)
    dread, words = rng.normal(0, 10, 500), rng.normal(0, 40, 500)
    words += dread  # the two go together
    margins = 0.1 * dread + 0.02 * words + rng.normal(0, 0.5, 500)
    found = length_measures(margins, dread, words, 1 / (1 + np.exp(-dread / 8)))
    of_dread, of_words = np.linalg.lstsq(np.stack([dread, words], axis=1), margins)[0]
    parts = (of_dread * dread) @ (of_dread * dread), (of_words * words) @ (of_words * words)
    assert found["length_share"] == pytest.approx(parts[1] / sum(parts))
    assert found["length_share_low"] < found["length_share"] < found["length_share_high"]
    assert (found["length_share_target"], found["length_slope_target"]) == (pytest.approx(0), pytest.approx(0))


def test_labels_that_are_chance_have_no_target_and_two_pairs_no_interval():
    found = length_measures(np.array([1.0, 2.0]), np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.full(2, 0.5))
    assert found == {"length_share": pytest.approx(4 / 5), "length_slope": pytest.approx(2), "length_slope_target": 0}


@pytest.mark.parametrize("words", [[0.0, 0, 0], [2.0, 4, 6]])
def test_a_length_that_does_not_vary_by_itself_has_no_share(words):
    dread = np.array([1.0, 2.0, 3.0])
    assert length_measures(dread, dread, np.array(words), np.full(3, 0.5)) == {}
