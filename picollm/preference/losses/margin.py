"""Losses of the margin: the difference between the log-ratios (policy / reference) of chosen and rejected.

`label_smoothing` is the assumed share e of pairs whose label is flipped. `divergence` is a function of preference/scores.py.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from picollm.preference.scores import Divergence, PairScores


def sigmoid(scores: PairScores, beta: float, label_smoothing: float, divergence: Divergence) -> Tensor:
    """DPO: -log sigmoid(beta * margin) (Rafailov et al. 2023, arXiv 2305.18290, eq. 7); with label smoothing
    -(1 - e) log sigmoid(beta * margin) - e log sigmoid(-beta * margin) (Mitchell 2023, "A note on DPO with noisy preferences &
    relationship to IPO", eq. 3; conservative DPO). TRL's sigmoid ignores label_smoothing. Typical beta: 0.05 to 0.5."""
    return smoothed(beta * scores.margin(divergence), label_smoothing)


def robust(scores: PairScores, beta: float, label_smoothing: float, divergence: Divergence) -> Tensor:
    """Robust DPO: (-(1 - e) log sigmoid(beta * margin) + e log sigmoid(-beta * margin)) / (1 - 2e), whose mean over flipped labels
    is the loss of the true ones (Chowdhury et al. 2024, arXiv 2403.00409). Unbounded below if e > 0. Typical beta: 0.05 to 0.5."""
    logits, e = beta * scores.margin(divergence), label_smoothing
    return (-(1 - e) * F.logsigmoid(logits) + e * F.logsigmoid(-logits)) / (1 - 2 * e)


def ipo(scores: PairScores, beta: float, label_smoothing: float, divergence: Divergence) -> Tensor:
    """IPO: (margin - 1 / (2 beta))^2 (Azar et al. 2023, arXiv 2310.12036, eq. 17, beta for tau), with label smoothing
    (1 - e) (margin - 1 / (2 beta))^2 + e (margin + 1 / (2 beta))^2. Log-ratios are summed over the response, as in the equation;
    TRL divides them by its length, as its authors say the paper's experiments did: `ipo_norm` here. Typical beta: 0.01 to 0.1."""
    margin, target, e = scores.margin(divergence), 1 / (2 * beta), label_smoothing
    return (1 - e) * (margin - target) ** 2 + e * (margin + target) ** 2


def ipo_norm(scores: PairScores, beta: float, divergence: Divergence) -> Tensor:
    """(mean margin - 1 / (2 beta))^2 with log-ratios per token: TRL's ipo. Typical beta: 0.1 to 1."""
    return (scores.mean_margin(divergence) - 1 / (2 * beta)) ** 2


def hinge(scores: PairScores, beta: float, divergence: Divergence) -> Tensor:
    """max(0, 1 - beta * margin): the loss of SLiC-HF (Zhao et al. 2023, arXiv 2305.10425) on log-ratios, as in RSO (Liu et al. 2023,
    arXiv 2309.06657). Typical beta: 0.05 to 0.5."""
    return torch.relu(1 - beta * scores.margin(divergence))


def sigmoid_norm(scores: PairScores, beta: float, divergence: Divergence) -> Tensor:
    """-log sigmoid(beta * mean margin) with log-ratios per token: length-normalized DPO (Lambert et al. 2024, Tulu 3,
    arXiv 2411.15124). Typical beta: 2 to 10. The beta that asks for the same margins as one of `sigmoid` is that times the length of
    a response."""
    return -F.logsigmoid(beta * scores.mean_margin(divergence))


def exo_pair(scores: PairScores, beta: float, label_smoothing: float, divergence: Divergence) -> Tensor:
    """EXO: KL(q || p) with q = (sigmoid(beta * margin), sigmoid(-beta * margin)) and p = (1 - e, e) (Ji et al. 2024,
    arXiv 2402.00856, eq. 16); e must be above 0. Typical e: 0.001; beta: 0.05 to 0.5."""
    logits, e = beta * scores.margin(divergence), label_smoothing
    chosen = F.sigmoid(logits) * (F.logsigmoid(logits) - math.log1p(-e))
    return chosen + F.sigmoid(-logits) * (F.logsigmoid(-logits) - math.log(e))


def discopop(scores: PairScores, beta: float, discopop_tau: float, divergence: Divergence) -> Tensor:
    """DiscoPOP, the log-ratio modulated loss: (1 - s) * -log sigmoid(x) + s * exp(-x) with x = beta * margin and
    s = sigmoid(x / tau) (Lu et al. 2024, arXiv 2406.08414, eq. 5). Typical tau: 0.05; beta: 0.05."""
    logits = beta * scores.margin(divergence)
    share = F.sigmoid(logits / discopop_tau)
    return (1 - share) * -F.logsigmoid(logits) + share * torch.exp(-logits)


def dpop(scores: PairScores, beta: float, dpop_lambda: float) -> Tensor:
    """DPO-Positive: -log sigmoid(beta * (margin - lambda * max(0, log(reference / policy) of chosen))), which holds the chosen
    response's likelihood up (Pal et al. 2024, Smaug, arXiv 2402.13228). Typical lambda: 5 to 50; beta: 0.3."""
    margin = scores.chosen_logratios - scores.rejected_logratios
    return -F.logsigmoid(beta * (margin - dpop_lambda * torch.relu(-scores.chosen_logratios)))


def r_dpo(scores: PairScores, beta: float, length_alpha: float) -> Tensor:
    """R-DPO: -log sigmoid(beta * margin + alpha * (|chosen| - |rejected|)), lengths in tokens (Park et al. 2024, arXiv 2403.19159).
    The optimum of reward - alpha * length - beta * KL has this margin: with alpha above 0 length explains part of the
    preference, and the policy need not. Typical alpha: 0.005 to 0.05; beta: 0.05 to 0.5."""
    margin = scores.chosen_logratios - scores.rejected_logratios
    return -F.logsigmoid(beta * margin + length_alpha * (scores.chosen_lengths - scores.rejected_lengths))


def smoothed(logits: Tensor, label_smoothing: float) -> Tensor:
    """Binary cross-entropy between sigmoid(logits) and 1 - label_smoothing."""
    return -(1 - label_smoothing) * F.logsigmoid(logits) - label_smoothing * F.logsigmoid(-logits)
