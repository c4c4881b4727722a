import math
from itertools import combinations

import numpy as np
import pytest

from picollm.evaluation.optimum import (
    LEAST_EFFECTIVE,
    STEPS,
    best_of_n,
    best_of_n_kl,
    effective_samples,
    kl_at,
    optimum,
    reward_at,
)
from tests.evaluation.world import World

EQUAL = np.full((1, 2), 0.5)


def curve(rewards):
    """Reward and KL along t, averaged over the prompts."""
    (r,), (kl,) = optimum(rewards).curves(np.full((1, len(rewards)), 1 / len(rewards)))
    return r, kl


def test_the_sequences_of_the_world_are_a_distribution():
    world = World()
    assert world.p.sum(axis=1) == pytest.approx([1, 1])
    assert len(world.sequences) == 1 + 2 + 4 + 8 + 16


def test_many_samples_give_the_reward_and_kl_of_the_tilted_distribution():
    world = World()
    rewards = world.rewards(world.draw(np.random.default_rng(1), world.p, 20_000))
    found = optimum(rewards)
    (r,), (kl,) = found.curves(EQUAL)
    for t in (0.05, 0.2, 0.4):
        place = int(np.searchsorted(found.ts, t))
        exact = world.tilted(found.ts[place])
        assert r[place] == pytest.approx(world.reward(exact), abs=0.05)
        assert kl[place] == pytest.approx(world.kl(exact), rel=0.05)
        reward = np.array([world.reward(world.tilted(t))])
        assert kl_at(reward, r[None], kl[None]) == pytest.approx(world.kl_at(reward[0]), rel=0.05)


def test_the_bias_of_the_kl_at_a_reward_is_removed():
    world = World(1)
    rng = np.random.default_rng(3)
    reward = world.reward(world.tilted(0.35))
    exact = world.kl_at(reward)
    corrected, plain = [], []
    for _ in range(100):
        rewards = np.concatenate([world.rewards(world.draw(rng, world.p, 64)) for _ in range(40)])
        found = optimum(rewards)
        logits = rewards[:, :, None] * found.ts
        w = np.exp(logits - logits.max(axis=1, keepdims=True))
        w /= w.sum(axis=1, keepdims=True)
        kls = {"corrected": found.kls.mean(axis=0), "plain": (w * np.log(w * 64)).sum(axis=1).mean(axis=0)}
        for name, values in (("corrected", corrected), ("plain", plain)):
            values.append(np.interp(reward, found.rewards.mean(axis=0), kls[name]))
    assert np.mean(plain) - exact > 0.01 * exact  # about 1 / (2 * 64) of the relative variance of exp(t r)
    assert abs(np.mean(corrected) - exact) < (np.mean(plain) - exact) / 3


def test_the_curve_begins_at_the_reference_and_never_falls():
    rewards = np.random.default_rng(4).normal(size=(5, 40))
    r, kl = curve(rewards)
    assert (r[0], kl[0]) == pytest.approx((rewards.mean(), 0), abs=1e-12)
    assert len(r) == STEPS + 1
    assert (np.diff(r) >= 0).all() and (np.diff(kl) >= 0).all()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_curve_ends_where_ten_effective_samples_are_left(scale):
    rewards = scale * np.random.default_rng(5).normal(size=(6, 64))
    assert effective_samples(rewards, 0.0) == pytest.approx(64)
    assert effective_samples(rewards, optimum(rewards).ts[-1]) == pytest.approx(LEAST_EFFECTIVE, rel=1e-6)


def test_effective_samples_are_the_reciprocal_of_the_mean_sum_of_squared_weights():
    # exp(t r) = 1, 3 gives weights 1/4, 3/4 and a sum of squares of 10/16; 1, 1 gives 1/2.
    assert effective_samples(np.array([[0.0, math.log(3)], [7.0, 7.0]]), 1.0) == pytest.approx(2 / (10 / 16 + 1 / 2))


@pytest.mark.parametrize("rewards", [np.ones((3, 20)), np.random.default_rng(6).normal(size=(3, LEAST_EFFECTIVE - 1))])
def test_equal_rewards_or_too_few_samples_leave_the_reference_alone(rewards):
    r, kl = curve(rewards)
    assert (r, kl) == (pytest.approx([rewards.mean()]), pytest.approx([0], abs=1e-12))


def test_ten_equal_best_samples_are_enough_at_any_t():
    rewards = np.tile(np.array([0.0] * 10 + [1.0] * 10), (2, 1))
    r, kl = curve(rewards)
    assert r[-1] == pytest.approx(1)
    assert kl[-1] == pytest.approx(math.log(2) - 0.5 * (1 / 10 - 1 / 20))


def test_outside_the_curve_kl_and_reward_are_0_or_infinite():
    r, kl = np.array([[1.0, 2.0, 3.0]] * 4), np.array([[0.0, 1.0, 3.0]] * 4)
    assert kl_at(np.array([0.5, 1.0, 2.5, 3.1]), r, kl).tolist() == [0, 0, 2, math.inf]
    assert reward_at(np.array([0.0, 2.0, 3.0, 3.1]), r, kl).tolist() == [1, 2.5, 3, math.inf]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_best_of_n_is_the_mean_over_all_subsets(n):
    rewards = np.random.default_rng(7).integers(0, 5, size=(2, 8)).astype(float)
    expected = [np.mean([max(subset) for subset in combinations(row, n)]) for row in rewards]
    assert best_of_n(rewards, n) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_the_kl_of_best_of_n_is_at_most_its_bound(n):
    world = World()
    order = np.argsort(world.r, axis=1)
    p = np.take_along_axis(world.p, order, axis=1)
    below = np.concatenate([np.zeros((2, 1)), p.cumsum(axis=1)], axis=1)
    best = np.diff(below**n, axis=1)  # the best of n is a sequence if all n are at most it and not all are below it
    assert best.sum(axis=1) == pytest.approx([1, 1])
    exact = (best * np.log(best / p)).sum(axis=1)
    assert (exact <= best_of_n_kl(n) + 1e-9).all()
    assert best_of_n_kl(1) == 0


@pytest.mark.parametrize("n", [2, 4, 8])
def test_the_bound_is_reached_by_many_sequences_of_different_reward_and_not_by_equal_rewards(n):
    below = np.linspace(0, 1, 10_001) ** n
    best = np.diff(below)  # of 10,000 equally likely sequences, in the order of their reward
    assert (best * np.log(best * 10_000)).sum() == pytest.approx(best_of_n_kl(n), abs=1e-3)
    # Half of them have the higher reward: it is reached unless all n have the lower.
    higher = 1 - 0.5**n
    assert higher * math.log(2 * higher) + (1 - higher) * math.log(2 * (1 - higher)) < 0.8 * best_of_n_kl(n)
