"""The best possible trade of reward against KL, known from samples of the reference model alone. No torch.

Of all policies at the same KL from the reference pi, the one with the highest mean reward is pi_t(y) ∝ pi(y) exp(t r(y)), one t for
all prompts (Rafailov et al. 2023, eq. 4, with t = 1 / beta). N samples a prompt from pi, weighted by exp(t r) within their prompt,
estimate its reward and its KL, so it needs no training. Rewards have the shape [P, N]: P prompts, N samples each.
"""

import math
from dataclasses import dataclass

import numpy as np

# The estimates hold while the weights leave at least this many effective samples a prompt; KL itself can never exceed log N.
LEAST_EFFECTIVE = 10
STEPS = 256  # of t, by a factor each, over RANGE; between them the curve is taken as straight
RANGE = 1e4


@dataclass(frozen=True)
class Optimum:
    """Mean reward and KL (nats) of pi_t within each prompt, `rewards` and `kls` [P, T], for the T values of `ts`, from 0 upward."""

    ts: np.ndarray
    rewards: np.ndarray
    kls: np.ndarray

    def curves(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reward and KL along t, averaged over prompts with each row of `weights` [B, P]: two arrays [B, T], neither of which falls
        along t."""
        rewards, kls = weights @ self.rewards, weights @ self.kls
        return np.maximum.accumulate(rewards, axis=1), np.maximum.accumulate(kls, axis=1)


def effective_samples(rewards: np.ndarray, t: float) -> float:
    """The number of samples a prompt to which the weights of pi_t amount: 1 / mean over prompts of sum of w^2."""
    return float(1 / (np.exp(_log_weights(rewards, np.array([t]))) ** 2).sum(axis=1).mean())


def optimum(rewards: np.ndarray) -> Optimum:
    """The optimum for t from 0 to where LEAST_EFFECTIVE samples are left; for t = 0 alone if all rewards of every prompt are equal or
    N is below LEAST_EFFECTIVE.

    The KL of a prompt, sum of w log(N w), is reduced by (sum of w^2 - 1/N) / 2. That is the bias, to first order in 1/N, of the KL at
    a given reward: log Z, the logarithm of a mean of N samples, is too low by half its relative variance, and KL = t R - log Z.
    """
    count = rewards.shape[1]
    largest = _largest_t(rewards)
    ts = np.append(0, np.geomspace(largest / RANGE, largest, STEPS)) if largest else np.zeros(1)
    log_weights = _log_weights(rewards, ts)
    weights = np.exp(log_weights)
    bias = 0.5 * ((weights**2).sum(axis=1) - 1 / count)
    kls = (weights * (log_weights + math.log(count))).sum(axis=1) - bias
    # At t = 0 rounding may leave -1e-17.
    return Optimum(ts, np.einsum("pnt,pn->pt", weights, rewards), np.maximum(kls, 0))


def _log_weights(rewards: np.ndarray, ts: np.ndarray) -> np.ndarray:
    """log w [P, N, T], where w = exp(t r) / sum over the prompt."""
    logits = rewards[:, :, None] * ts
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _largest_t(rewards: np.ndarray) -> float:
    """The largest t that leaves LEAST_EFFECTIVE samples, by bisection; 0 if there is none."""
    spread = float(np.ptp(rewards, axis=1).max())
    if rewards.shape[1] < LEAST_EFFECTIVE or spread == 0:
        return 0.0
    low, high = 0.0, 1 / spread
    while effective_samples(rewards, high) >= LEAST_EFFECTIVE:
        # So many samples share the highest reward that every t leaves enough; no other has weight here.
        if high * spread > 100:
            return high
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if effective_samples(rewards, middle) >= LEAST_EFFECTIVE else (low, middle)
    return low


def kl_at(rewards: np.ndarray, curve_rewards: np.ndarray, curve_kls: np.ndarray) -> np.ndarray:
    """The KL that the optimum pays for each reward: [B] and curves [B, T] -> [B]. 0 for a reward that the reference reaches by
    itself, infinite for one beyond the curve."""
    found = [
        np.interp(r, x, y, left=0.0, right=np.inf) for r, x, y in zip(rewards, curve_rewards, curve_kls, strict=True)
    ]
    return np.array(found)


def reward_at(kls: np.ndarray, curve_rewards: np.ndarray, curve_kls: np.ndarray) -> np.ndarray:
    """The reward of the optimum at each KL: [B] and curves [B, T] -> [B]; infinite for a KL beyond the curve, where it is unknown."""
    found = [np.interp(k, x, y, right=np.inf) for k, x, y in zip(kls, curve_kls, curve_rewards, strict=True)]
    return np.array(found)


def best_of_n(rewards: np.ndarray, n: int) -> np.ndarray:
    """Expected reward of the best of n samples without replacement, within each prompt: [P, N] -> [P].

    The i-th smallest of N samples is the largest of n with probability C(i - 1, n - 1) / C(N, n).
    """
    count = rewards.shape[1]
    chances = [math.comb(i - 1, n - 1) / math.comb(count, n) for i in range(1, count + 1)]
    return np.sort(rewards, axis=1) @ np.array(chances)


def best_of_n_kl(n: int) -> float:
    """log n - (n - 1) / n, an upper bound of the KL of best-of-n, in nats (Beirami et al. 2024, theorem 1)."""
    return math.log(n) - (n - 1) / n
