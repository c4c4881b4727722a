import math

import numpy as np
import pytest

from picollm.evaluation.intervals import bootstrap_weights, percentile_interval
from picollm.evaluation.optimum import optimum
from picollm.evaluation.truth import Truth, truth_measures
from tests.evaluation.world import World


def gaussian(rng, prompts=64, samples=64, policy_samples=6, tilt=0.8, waste=4.0, spread=1.0):
    """Rewards N(mu, 1) with means that differ by prompt, and a policy that is moved by `tilt` and pays `waste` times the KL.

    exp(t r) moves a normal distribution of variance 1 by t, for t^2 / 2 nats: so the optimum is known exactly, gain = t.
    """
    mu = rng.normal(0, spread, (prompts, 1))
    reference = mu + rng.normal(size=(prompts, samples))
    moved = mu + tilt + rng.normal(size=(prompts, policy_samples))
    # KLs differ by sample and by prompt, with the mean that the policy pays.
    kls = waste * tilt**2 / 2 * rng.gamma(4, 1 / 4, (prompts, policy_samples)) * rng.gamma(9, 1 / 9, (prompts, 1))
    return Truth(reference, moved, kls)


def estimates(truth):
    prompts = len(truth.reference)
    return {name: float(value[0]) for name, value in truth.measures(np.full((1, prompts), 1 / prompts)).items()}


def test_gain_efficiency_and_regret_of_normal_rewards():
    found = estimates(gaussian(np.random.default_rng(1), prompts=500, samples=100, tilt=0.8, waste=2.0))
    # 0.8 nats of KL are paid where 0.32 would do, and t = sqrt(2 * 0.64) would move the reward by as much.
    assert found["gain"] == pytest.approx(0.8, abs=0.03)
    assert found["kl_efficiency"] == pytest.approx(0.5, abs=0.04)
    assert found["regret"] == pytest.approx(math.sqrt(2 * 0.64) - 0.8, abs=0.03)


def test_gain_is_in_standard_deviations_within_a_prompt():
    reference = np.array([[0.0, 2.0] * 10, [100.0, 104.0] * 10])  # variances 20/19 and 80/19
    truth = Truth(reference, reference[:, :3] + 3, np.ones((2, 3)))
    policy = np.array([[3.0, 5.0, 3.0], [103.0, 107.0, 103.0]]).mean()
    assert estimates(truth)["gain"] == pytest.approx((policy - 51.5) / math.sqrt((20 / 19 + 80 / 19) / 2))


def test_a_policy_that_is_the_optimum_has_an_efficiency_of_1_and_no_regret():
    world, rng = World(2), np.random.default_rng(3)
    policy = world.tilted(0.25)
    reference = np.concatenate([world.rewards(world.draw(rng, world.p, 64)) for _ in range(200)])
    drawn = [world.draw(rng, policy, 64) for _ in range(200)]
    rewards = np.concatenate([world.rewards(indices) for indices in drawn])
    logratios = np.log(policy / world.p)
    kls = np.concatenate([np.take_along_axis(logratios, indices, axis=1) for indices in drawn])
    found = estimates(Truth(reference, rewards, kls))
    assert found["kl_efficiency"] == pytest.approx(1, abs=0.05)
    assert found["regret"] == pytest.approx(0, abs=0.05 * world.reward(policy))


def test_no_policy_of_the_world_beats_the_optimum():
    world, rng, count = World(2), np.random.default_rng(4), 800
    reference = np.concatenate([world.rewards(world.draw(rng, world.p, 64)) for _ in range(count)])
    for _ in range(3):
        policy = world.tilted(0.2) * rng.gamma(100, size=world.p.shape)
        policy /= policy.sum(axis=1, keepdims=True)
        rewards = (policy * world.r).sum(axis=1, keepdims=True)
        kls = (policy * np.log(policy / world.p)).sum(axis=1, keepdims=True)
        found = estimates(Truth(reference, np.tile(rewards, (count, 1)), np.tile(kls, (count, 1))))
        assert 0.8 < found["kl_efficiency"] < 1.03  # near the optimum, so that a curve too high is seen
        assert found["regret"] > -0.05


def test_what_is_unknown_is_absent():
    rng = np.random.default_rng(5)
    below = truth_measures(gaussian(rng, tilt=-0.5))
    assert "kl_efficiency" not in below and below["gain"] < 0 and below["regret"] > 0.5
    beyond = truth_measures(gaussian(rng, tilt=3.0))  # 64 samples leave ten effective ones up to t = 1.36
    assert set(beyond) == {"gain", "gain_low", "gain_high"}
    costly = truth_measures(gaussian(rng, tilt=0.8, waste=100.0))
    assert "regret" not in costly and costly["kl_efficiency"] == pytest.approx(0.01, rel=0.3)


def test_an_efficiency_at_a_gain_that_is_hardly_known_is_absent():
    rng = np.random.default_rng(9)
    for tilt, known in ((0.05, False), (0.4, True)):
        found = truth_measures(gaussian(rng, tilt=tilt))
        assert (found["gain"] >= found["gain_high"] - found["gain_low"]) == known
        assert ("kl_efficiency" in found) == known


def test_the_efficiency_of_a_gain_that_is_not_clear_is_nan_in_every_resample():
    rng, weights = np.random.default_rng(9), bootstrap_weights(64)
    for tilt, known in ((0.05, False), (0.4, True)):
        truth = gaussian(rng, tilt=tilt)
        assert truth.has_clear_gain == known
        assert np.isnan(truth.measures(weights)["kl_efficiency"]).all() == (not known)


def test_one_prompt_has_a_gain_without_interval_and_no_efficiency():
    found = truth_measures(gaussian(np.random.default_rng(10), prompts=1))
    assert set(found) <= {"gain", "regret"} and found["gain"] > 0


def test_the_end_of_an_interval_beyond_the_known_optimum_is_absent():
    reference = gaussian(np.random.default_rng(6)).reference
    end = optimum(reference).rewards[:, -1].mean()
    found = truth_measures(Truth(reference, np.full((64, 6), end - 0.02), np.full((64, 6), 2.0)))
    assert {"kl_efficiency", "kl_efficiency_low"} <= set(found) and "kl_efficiency_high" not in found


def test_a_policy_that_is_the_reference_has_a_gain_of_0_and_no_efficiency():
    rewards = np.random.default_rng(7).normal(size=(5, 20))
    found = truth_measures(Truth(rewards, rewards, np.zeros((5, 20))))
    assert found["gain"] == 0 and found["regret"] == pytest.approx(0)
    assert "kl_efficiency" not in found


@pytest.mark.filterwarnings("error")
def test_equal_rewards_know_no_gain():
    assert truth_measures(Truth(np.ones((3, 20)), np.ones((3, 2)), np.ones((3, 2)))) == {}


def test_intervals_hold_the_truth_in_93_to_97_of_100_data_sets():
    rng, held = np.random.default_rng(8), {"gain": 0, "kl_efficiency": 0, "regret": 0}
    weights = bootstrap_weights(48, draws=400)
    tilt, waste = 0.7, 2.0
    exact = {"gain": tilt, "kl_efficiency": 1 / waste, "regret": tilt * (math.sqrt(waste) - 1)}
    for _ in range(1000):
        resamples = gaussian(rng, prompts=48, samples=32, tilt=tilt, waste=waste).measures(weights)
        for name, value in exact.items():
            low, high = percentile_interval(resamples[name])
            held[name] += low <= value <= high
    assert all(930 <= count <= 970 for count in held.values()), held
