"""Losses that add a term of the chosen response's log-ratio (policy / reference) and one of the rejected response's."""

import torch.nn.functional as F
from torch import Tensor

from picollm.preference.scores import PairScores


def nca_pair(scores: PairScores, beta: float) -> Tensor:
    """NCA: -log sigmoid(c) - 1/2 log sigmoid(-c) - 1/2 log sigmoid(-r) with the rewards c, r = beta * log-ratio of chosen and
    rejected (Chen et al. 2024, arXiv 2402.05369). Typical beta: 0.01 to 0.1."""
    chosen, rejected = beta * scores.chosen_logratios, beta * scores.rejected_logratios
    return -F.logsigmoid(chosen) - 0.5 * F.logsigmoid(-chosen) - 0.5 * F.logsigmoid(-rejected)


def bco_pair(scores: PairScores, beta: float) -> Tensor:
    """BCO of pairs: -log sigmoid(c) - log sigmoid(-r) with the rewards c, r = beta * log-ratio (Jung et al. 2024, arXiv
    2404.04656), without the paper's reward shift, a running mean over earlier batches; TRL leaves it out as well. Typical
    beta: 0.05 to 0.5."""
    return -F.logsigmoid(beta * scores.chosen_logratios) - F.logsigmoid(-beta * scores.rejected_logratios)


def apo_zero(scores: PairScores, beta: float) -> Tensor:
    """APO-zero: 1 - sigmoid(c) + sigmoid(r) with the rewards c, r = beta * log-ratio: chosen up, rejected down (D'Oosterlinck et al.
    2024, arXiv 2408.06266, eq. 7). For a policy worse than the chosen responses. Typical beta: 0.05 to 0.5."""
    return 1 - F.sigmoid(beta * scores.chosen_logratios) + F.sigmoid(beta * scores.rejected_logratios)


def apo_down(scores: PairScores, beta: float) -> Tensor:
    """APO-down: sigmoid(c) + 1 - sigmoid(c - r) with the rewards c, r = beta * log-ratio: both down, rejected further (D'Oosterlinck
    et al. 2024, arXiv 2408.06266, eq. 8). For a policy better than the chosen responses. Typical beta: 0.05 to 0.5."""
    chosen, rejected = beta * scores.chosen_logratios, beta * scores.rejected_logratios
    return F.sigmoid(chosen) + 1 - F.sigmoid(chosen - rejected)


def sppo_hard(scores: PairScores, beta: float) -> Tensor:
    """SPPO with hard labels: (chosen log-ratio - 1 / (2 beta))^2 + (rejected log-ratio + 1 / (2 beta))^2 (Wu et al. 2024, arXiv
    2405.00675, eq. 4.7 with winning probability 1 for chosen and 0 for rejected, 1 / beta for eta). Typical beta: 0.01 to 0.1."""
    target = 1 / (2 * beta)
    return (scores.chosen_logratios - target) ** 2 + (scores.rejected_logratios + target) ** 2
