import math

import numpy as np
import pytest

from picollm.evaluation.calibration import BINS, calibration_measures, reliability

TAU = 9.5


def pairs(count=500, seed=1):
    """Differences of true reward, and the probability that the rule gives the label."""
    differences = np.random.default_rng(seed).normal(0, 15, count)
    return differences, 1 / (1 + np.exp(-differences / TAU))


def test_margins_that_are_the_rules_log_odds_are_calibrated():
    differences, p = pairs()
    found = calibration_measures(differences / TAU, differences, p)
    assert found["calibration_slope"] == pytest.approx(1 / TAU)
    assert found["calibration_target"] == pytest.approx(1 / TAU)
    assert [found[f"calibration{end}"] for end in ("", "_low", "_high")] == pytest.approx([1, 1, 1])
    assert found["calibration_kl"] == pytest.approx(0, abs=1e-12)


def test_margins_twice_as_large_are_overconfident():
    differences, p = pairs()
    noise = np.random.default_rng(2).normal(0, 1, len(p))
    found = calibration_measures(2 * differences / TAU + noise, differences, p)
    assert found["calibration"] == pytest.approx(2, abs=0.1)
    assert 1.7 < found["calibration_low"] < found["calibration"] < found["calibration_high"] < 2.3


def test_the_slope_and_the_divergence_of_two_pairs():
    # (1 * 2 + 3 * 0) / (1 + 9); KL(3/4 || sigmoid(2)) and KL(1/2 || 1/2).
    found = calibration_measures(np.array([2.0, 0.0]), np.array([1.0, 3.0]), np.array([0.75, 0.5]))
    q = 1 / (1 + math.exp(-2))
    divergence = 0.75 * math.log(0.75 / q) + 0.25 * math.log(0.25 / (1 - q))
    assert found["calibration_slope"] == pytest.approx(0.2)
    assert found["calibration_target"] == pytest.approx(math.log(3) / 10)
    assert found["calibration_kl"] == pytest.approx(divergence / 2)


def test_a_certain_label_is_finite_and_equal_rewards_say_nothing():
    found = calibration_measures(np.array([800.0, -800.0]), np.array([5.0, 1.0]), np.array([1.0, 1.0]))
    assert all(math.isfinite(value) for value in found.values())
    assert calibration_measures(np.ones(3), np.zeros(3), np.full(3, 0.5)) == {}


@pytest.mark.parametrize("p", [0.5, 0.3])
def test_a_rule_that_does_not_prefer_more_reward_has_a_target_but_no_calibration(p):
    found = calibration_measures(np.array([1.0, 2.0]), np.array([1.0, 3.0]), np.full(2, p))
    assert found["calibration_target"] == pytest.approx(math.log(p / (1 - p)) * 4 / 10)
    assert set(found) == {"calibration_slope", "calibration_target", "calibration_kl"}


def test_resamples_in_which_no_rewards_differ_are_left_out():
    # Three of ten resamples lack the third pair, the only one that tells a slope.
    found = calibration_measures(np.array([1.0, 2.0, 6.0]), np.array([0.0, 0.0, 3.0]), np.array([0.5, 0.5, 0.9]))
    slope = 2 / (math.log(9) / 3)
    assert [found[f"calibration{end}"] for end in ("", "_low", "_high")] == pytest.approx([slope] * 3)


def test_the_groups_of_the_reliability_curve_are_those_of_the_margin():
    # Twenty entries, two a group; the rule has the opposite order of the margins.
    margins = np.arange(1.0, 11.0)
    rows = reliability(margins, 0.95 - margins / 25)
    top = [1 / (1 + math.exp(-9)), 1 / (1 + math.exp(-10))]
    assert rows[-1] == {"predicted": pytest.approx(np.mean(top)), "rule": pytest.approx(0.95 - 9.5 / 25), "pairs": 2}


def test_the_reliability_curve_of_a_calibrated_policy_is_the_diagonal():
    differences, p = pairs(5000)
    rows = reliability(differences / TAU, p)
    assert len(rows) == BINS and sum(row["pairs"] for row in rows) == 10_000
    assert [row["predicted"] for row in rows] == pytest.approx([row["rule"] for row in rows])
    assert [row["predicted"] for row in rows] == sorted(row["predicted"] for row in rows)


def test_each_pair_counts_in_both_orders():
    rows = reliability(np.array([2.0]), np.array([0.9]))
    low, high = 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2))
    assert [(row["predicted"], row["rule"], row["pairs"]) for row in rows] == [
        (pytest.approx(low), pytest.approx(0.1), 1),
        (pytest.approx(high), pytest.approx(0.9), 1),
    ]
