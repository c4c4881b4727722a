"""What a policy gained in true reward, what it paid for it in KL, and how that compares with the optimum. No torch.

Every function takes `weights` [B, P] of prompts and returns one number per row: equal weights give the estimate, bootstrap weights
its resamples. So the resamples of two policies on the same prompts can be subtracted from each other.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from picollm.evaluation.intervals import bootstrap_weights, percentile_interval
from picollm.evaluation.optimum import Optimum, kl_at, optimum, reward_at


@dataclass(frozen=True)
class Truth:
    """True rewards of samples of the reference [P, N] and of the policy [P, M], and the policy's KL in nats [P, M], at temperature 1
    without top-p; row p belongs to the same prompt in all three."""

    reference: np.ndarray
    policy: np.ndarray
    kls: np.ndarray

    @cached_property
    def optimum(self) -> Optimum:
        return optimum(self.reference)

    @cached_property
    def has_clear_gain(self) -> bool:
        """Whether the gain is positive and at least as large as its 95 % interval over prompts is wide; false for a single prompt.

        The KL of the optimum grows with the square of the gain, so noise adds a share of (standard error / gain)^2 to the
        efficiency: at most a fifteenth from that gain on.
        """
        prompts = len(self.reference)
        (gain,) = self.gain(np.full((1, prompts), 1 / prompts))
        low, high = percentile_interval(self.gain(bootstrap_weights(prompts)))
        return bool(prompts > 1 and gain > 0 and gain >= high - low)

    def gain(self, weights: np.ndarray) -> np.ndarray:
        """(Policy's reward - reference's) / standard deviation of the reference's reward within a prompt, for each row of weights;
        not finite if the reference's reward does not vary."""
        change = weights @ self.policy.mean(axis=1) - weights @ self.reference.mean(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return change / np.sqrt(weights @ self.reference.var(axis=1, ddof=1))

    def measures(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """For each row of weights:

        - `gain`, as above;
        - `kl_efficiency`: KL of the optimum at the policy's reward, divided by the policy's KL; 0 if the policy's reward is not above
          the reference's, infinite if the optimum is not known up to it, and nan throughout unless the gain is clear;
        - `regret`: reward of the optimum at the policy's KL, less the policy's; infinite if the optimum is not known so far.
        """
        reward, kl = weights @ self.policy.mean(axis=1), weights @ self.kls.mean(axis=1)
        curves = self.optimum.curves(weights)
        return {
            "gain": self.gain(weights),
            "kl_efficiency": kl_at(reward, *curves) / kl if self.has_clear_gain else np.full(len(weights), np.nan),
            "regret": reward_at(kl, *curves) - reward,
        }


def truth_measures(truth: Truth) -> dict[str, float]:
    """`gain`, `kl_efficiency` and `regret` with 95 % intervals over prompts (`_low`, `_high`); what is unknown is absent.

    `kl_efficiency` is absent if the gain is not clear, or the policy's reward beyond the known part of the optimum; `regret` if the
    policy's KL is beyond it; an end of an interval if it is infinite, and both ends if there is one prompt only.
    """
    prompts = len(truth.reference)
    estimates = truth.measures(np.full((1, prompts), 1 / prompts))
    draws = truth.measures(bootstrap_weights(prompts))
    numbers: dict[str, float] = {}
    for name, (value,) in estimates.items():
        if np.isfinite(value):
            ends = percentile_interval(draws[name]) if prompts > 1 else (-np.inf, np.inf)
            named = zip((f"{name}_low", f"{name}_high"), ends, strict=True)
            numbers |= {name: float(value)} | {end: x for end, x in named if np.isfinite(x)}
    return numbers
