"""Losses without a reference: of log-probs per token, the response's summed log-prob divided by its length."""

import torch
import torch.nn.functional as F
from torch import Tensor

from picollm.preference.scores import PairScores


def simpo(scores: PairScores, beta: float, simpo_gamma: float) -> Tensor:
    """SimPO: -log sigmoid(beta * (mean log-prob of chosen - that of rejected) - gamma) (Meng et al. 2024, arXiv 2405.14734,
    eq. 6). Typical beta: 2 to 10; gamma: 0.3 to 0.5 times beta."""
    chosen, rejected = scores.chosen / scores.chosen_lengths, scores.rejected / scores.rejected_lengths
    return -F.logsigmoid(beta * (chosen - rejected) - simpo_gamma)


def orpo(scores: PairScores, beta: float) -> Tensor:
    """ORPO: -c - beta * log sigmoid(log odds(c) - log odds(r)) with the mean log-probs c, r of chosen and rejected and
    log odds(c) = c - log(1 - exp(c)) (Hong et al. 2024, arXiv 2403.07691, eq. 6 and 7, beta for lambda). The first term is the
    loss of SFT on the chosen response; TRL's includes the prompt. Typical beta: 0.1."""
    chosen, rejected = scores.chosen / scores.chosen_lengths, scores.rejected / scores.rejected_lengths
    return -chosen - beta * F.logsigmoid(_log_odds(chosen) - _log_odds(rejected))


def _log_odds(logps: Tensor) -> Tensor:
    """log(p / (1 - p)) of log p < 0."""
    return logps - torch.log(-torch.expm1(logps))
