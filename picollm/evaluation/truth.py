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

    def measures(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """For each row of weights:

        - `gain`: (policy's reward - reference's) / standard deviation of the reference's reward within a prompt;
        - `kl_efficiency`: KL of the optimum at the policy's reward, divided by the policy's KL; 0 if the policy's reward is not above
          the reference's, infinite if the optimum is not known up to it;
        - `regret`: reward of the optimum at the policy's KL, less the policy's; infinite if the optimum is not known so far.
        """
        reward, kl = weights @ self.policy.mean(axis=1), weights @ self.kls.mean(axis=1)
        start = weights @ self.reference.mean(axis=1)
        deviation = np.sqrt(weights @ self.reference.var(axis=1, ddof=1))
        curves = self.optimum.curves(weights)
        with np.errstate(divide="ignore", invalid="ignore"):  # a policy that is the reference has a KL of 0
            return {
                "gain": (reward - start) / deviation,
                "kl_efficiency": kl_at(reward, *curves) / kl,
                "regret": reward_at(kl, *curves) - reward,
            }


def truth_measures(truth: Truth) -> dict[str, float]:
    """`gain`, `kl_efficiency` and `regret` with 95 % intervals over prompts (`_low`, `_high`); what is unknown is absent.

    `kl_efficiency` is absent if the gain is below the width of its interval, or the policy's reward beyond the known part of the optimum;
    `regret` if the policy's KL is beyond it; and an end of an interval if it is infinite. The KL of the optimum grows with the square
    of the gain, so noise adds a share of (standard error / gain)^2 to the efficiency: at most a fifteenth from that gain on.
    """
    prompts = len(truth.reference)
    estimates = truth.measures(np.full((1, prompts), 1 / prompts))
    resamples = truth.measures(bootstrap_weights(prompts))
    (gain,), (low, high) = estimates["gain"], percentile_interval(resamples["gain"])
    clear = gain > 0 and gain >= high - low
    numbers: dict[str, float] = {}
    for name, (value,) in estimates.items():
        if not np.isfinite(value) or (name == "kl_efficiency" and not clear):
            continue
        ends = dict(zip(("low", "high"), percentile_interval(resamples[name]), strict=True))
        numbers |= {name: float(value)} | {f"{name}_{end}": x for end, x in ends.items() if np.isfinite(x)}
    return numbers
