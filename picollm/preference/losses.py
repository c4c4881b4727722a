"""Preference losses: functions (PairScores, Dpo) -> [P], listed in LOSSES under their names in params.yaml."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from picollm.preference.settings import Dpo


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

    @property
    def margin(self) -> Tensor:
        """Log-ratio (policy - reference) of chosen minus that of rejected: [P], in nats."""
        return self.chosen_logratios - self.rejected_logratios


def sigmoid(scores: PairScores, settings: Dpo) -> Tensor:
    """DPO (Rafailov et al. 2023, eq. 7) with conservative label smoothing (Mitchell 2023, "A note on DPO with noisy preferences",
    eq. 3). Typical beta: 0.05 to 0.5."""
    logits, smoothing = settings.beta * scores.margin, settings.label_smoothing
    return -(1 - smoothing) * F.logsigmoid(logits) - smoothing * F.logsigmoid(-logits)


def ipo(scores: PairScores, settings: Dpo) -> Tensor:
    """IPO (Azar et al. 2023, eq. 17, with beta for tau) with label smoothing as in `sigmoid`. Log-ratios are sums over the response,
    as in the paper, not means. Typical beta: 0.01 to 0.1."""
    target, smoothing = 1 / (2 * settings.beta), settings.label_smoothing
    return (1 - smoothing) * (scores.margin - target) ** 2 + smoothing * (scores.margin + target) ** 2


LOSSES = {"sigmoid": sigmoid, "ipo": ipo}


def starting_loss(settings: Dpo) -> float:
    """The loss of a pair if policy == reference: log 2 for sigmoid, 1 / (2 beta)^2 for ipo."""
    zero = torch.zeros(1, dtype=torch.float64)
    return LOSSES[settings.loss](PairScores(zero, zero, zero, zero, zero + 1, zero + 1), settings).item()
