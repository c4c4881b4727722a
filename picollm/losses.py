"""Pure functions of logits and log-probabilities: token and sequence log-probs, the preference losses."""

import torch
import torch.nn.functional as F
from torch import Tensor


def token_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target: logits [N, V], targets [N] -> [N], in float32 and in nats."""
    return -F.cross_entropy(logits.float(), targets, reduction="none")


def sequence_logps(logps: Tensor, rows: Tensor, count: int) -> Tensor:
    """Sum of token log-probs per sequence: logps [N], the sequence of each token `rows` [N] -> [count]."""
    return torch.zeros(count, dtype=logps.dtype, device=logps.device).index_add(0, rows, logps)


def sigmoid_loss(margin: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """DPO (Rafailov et al. 2023, eq. 7) with conservative label smoothing (Mitchell 2023, "A note on DPO with noisy
    preferences", eq. 3): margin [P] -> loss [P].

    `margin` is the difference of log-ratios, (policy - reference) of chosen minus that of rejected, in nats.
    """
    logits = beta * margin
    return -(1 - label_smoothing) * F.logsigmoid(logits) - label_smoothing * F.logsigmoid(-logits)


def ipo_loss(margin: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """IPO (Azar et al. 2023, eq. 17; tau is beta), the two labels weighted by `label_smoothing`: margin [P] -> loss [P].

    The log-ratios are summed over the response, as in the paper, not averaged.
    """
    target = 1 / (2 * beta)
    return (1 - label_smoothing) * (margin - target) ** 2 + label_smoothing * (margin + target) ** 2


PREFERENCE_LOSSES = {"sigmoid": sigmoid_loss, "ipo": ipo_loss}


def starting_loss(loss: str, beta: float, label_smoothing: float) -> float:
    """The loss where policy == reference, so that every margin is 0: log 2 for sigmoid, 1 / (2 beta)^2 for ipo."""
    return PREFERENCE_LOSSES[loss](torch.zeros(1, dtype=torch.float64), beta, label_smoothing).item()
