"""What a preference loss is computed from."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Divergence = Callable[[Tensor], Tensor]
"""From log-ratios log u, u = policy / reference, to f'(u) - f'(1): 0 where policy == reference."""


@dataclass(frozen=True)
class PairScores:
    """Of P pairs: summed log-probs of the chosen and rejected responses under policy and reference, in nats, and the responses'
    lengths in tokens, end-of-text included; each [P]."""

    chosen: Tensor
    rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor
    chosen_lengths: Tensor
    rejected_lengths: Tensor

    @property
    def chosen_logratios(self) -> Tensor:
        return self.chosen - self.reference_chosen

    @property
    def rejected_logratios(self) -> Tensor:
        return self.rejected - self.reference_rejected

    def margin(self, divergence: Divergence) -> Tensor:
        """`divergence` of chosen minus that of rejected: [P]. With the reverse KL the difference of the log-ratios, in nats."""
        return divergence(self.chosen_logratios) - divergence(self.rejected_logratios)

    def mean_margin(self, divergence: Divergence) -> Tensor:
        """`margin` with each side divided by its response's length: [P], per token."""
        chosen = divergence(self.chosen_logratios) / self.chosen_lengths
        return chosen - divergence(self.rejected_logratios) / self.rejected_lengths


# The f-divergences of f-DPO (Wang et al. 2023, arXiv 2309.16240, table 1). An exponential that overflows makes the loss infinite,
# which stops training with an error.
def reverse_kl(logratios: Tensor) -> Tensor:
    """f(u) = u log u: the KL(policy || reference) of DPO."""
    return logratios


def forward_kl(logratios: Tensor) -> Tensor:
    """f(u) = -log u, f'(u) = -1 / u."""
    return -torch.expm1(-logratios)


def js(logratios: Tensor) -> Tensor:
    """Jensen-Shannon: f(u) = u log u - (u + 1) log((u + 1) / 2), f'(u) = log(2u / (1 + u))."""
    return math.log(2) + F.logsigmoid(logratios)


def alpha(order: float) -> Divergence:
    """f'(u) = (u^(order - 1) - 1) / (order - 1): the reverse KL as order -> 1, the forward KL at 0. TRL's
    f_alpha_divergence_coef, without its computation in float32 and its clamp of the exponent at 80."""
    return lambda logratios: torch.expm1((order - 1) * logratios) / (order - 1)


DIVERGENCES = {"reverse_kl": reverse_kl, "forward_kl": forward_kl, "js": js}
