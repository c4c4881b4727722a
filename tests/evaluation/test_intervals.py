import math
from functools import lru_cache

import numpy as np
import pytest

from picollm.evaluation.intervals import (
    bootstrap_weights,
    mean_interval,
    percentile_interval,
    share_interval,
    wilson_interval,
)


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


weights_of = lru_cache(bootstrap_weights)


def clustered(rng, prompts, samples):
    """Values of samples whose prompts differ as much as samples of one prompt do; their mean is 3."""
    return 3 + rng.normal(size=(prompts, 1)) + rng.normal(size=(prompts, samples))


def clustered_shares(rng, prompts, samples):
    """Yes or no of each sample: a prompt's chance is uniform from 0.5 to 1, so the mean is 0.75."""
    return (rng.random((prompts, samples)) < rng.uniform(0.5, 1, (prompts, 1))).astype(float)


@pytest.mark.parametrize(
    ("draw", "interval", "truth"),
    [
        (clustered, mean_interval, 3),
        (clustered_shares, share_interval, 0.75),
        (clustered, lambda means: (0, *percentile_interval(weights_of(len(means), 400) @ means)), 3),
    ],
    ids=["mean", "share", "bootstrap"],
)
def test_an_interval_over_prompts_holds_the_truth_in_93_to_97_of_100_data_sets(draw, interval, truth):
    rng = np.random.default_rng(1)
    held, held_by_samples = 0, 0
    for _ in range(1000):
        values = draw(rng, 60, 8)
        _, low, high = interval(values.mean(axis=1))
        held += low <= truth <= high
        _, low, high = interval(values.reshape(-1))  # as if samples of one prompt were independent
        held_by_samples += low <= truth <= high
    assert 930 <= held <= 970
    assert held_by_samples < 900


def test_a_share_of_0_or_1_has_the_interval_of_as_many_trials_as_there_are_prompts():
    assert share_interval(np.ones(20)) == (1.0, *wilson_interval(20, 20))
    assert share_interval(np.zeros(20)) == (0.0, *wilson_interval(0, 20))


def test_shares_that_vary_as_much_as_single_trials_have_wilsons_interval():
    values = np.array([1.0] * 30 + [0.0] * 10)
    share, low, high = share_interval(values)
    assert share == 0.75
    # The variance of the mean is p (1 - p) / (n - 1).
    assert (low, high) == pytest.approx(wilson_interval(0.75 * 40, 40), abs=1e-12)


def test_shares_that_hardly_vary_have_a_narrower_one():
    _, low, high = share_interval(np.array([0.7, 0.8] * 20))
    spread = 1.959964 * np.std([0.7, 0.8] * 20, ddof=1) / math.sqrt(40)
    assert (low, high) == pytest.approx((0.75 - spread, 0.75 + spread), abs=1e-3)


def test_the_variance_between_few_prompts_is_the_unbiased_one():
    # Four shares 0.05 from their mean: a variance of 4 * 0.0025 / 3, that of their mean a quarter of it.
    found = share_interval(np.array([0.7, 0.8, 0.7, 0.8]))
    count = 0.75 * 0.25 / (0.0025 / 3)
    assert found == pytest.approx((0.75, *wilson_interval(0.75 * count, count)))


def test_bootstrap_weights_are_counts_of_whole_prompts_and_always_the_same():
    weights = bootstrap_weights(7, draws=50)
    assert weights.shape == (50, 7)
    assert weights.sum(axis=1) == pytest.approx(np.ones(50))
    assert weights * 6 == pytest.approx(np.round(weights * 6))
    assert bootstrap_weights(1, draws=3).tolist() == [[1.0]] * 3
    assert (weights == bootstrap_weights(7, draws=50)).all()
    assert (weights != bootstrap_weights(7, draws=50, stream=1)).any()


def test_the_percentile_interval_may_reach_to_infinity():
    assert percentile_interval(np.arange(1001.0)) == (25, 975)
    assert percentile_interval(np.array([0.0] * 90 + [math.inf] * 10)) == (0, math.inf)
