"""Pure functions of logits and log-probabilities: token and sequence log-probs, the preference losses."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# At most so many logits at a time, but enough rows to keep a matrix product busy.
CHUNK_LOGITS, CHUNK_ROWS = 2**22, 512


def token_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target: logits [N, V], targets [N] -> [N], in float32 and in nats."""
    return -F.cross_entropy(logits.float(), targets, reduction="none")


def negative_log_likelihood(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Sum over the targets of -log softmax(hidden @ weight.T): hidden [N, D], weight [V, D], targets [N] -> scalar, in nats.

    Logits exist for some tokens at a time, so that a large vocabulary does not fill the memory; gradients are taken while
    they do, which a sum allows, so that they need not be computed twice.
    """
    needed = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    return _ChunkedLikelihood.apply(hidden, weight, targets, needed)


class _ChunkedLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, targets: Tensor, needed: bool) -> Tensor:
        rows = max(CHUNK_ROWS, CHUNK_LOGITS // len(weight))
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        hidden_gradient = torch.empty_like(hidden) if needed else None
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32) if needed else None
        for start in range(0, len(hidden), rows):
            part, wanted = hidden[start : start + rows], targets[start : start + rows, None]
            logits = F.linear(part, weight).float()
            probabilities = logits.softmax(dim=-1)
            # The largest logit and its probability tell the normaliser, without another pass of exponentials.
            highest, most_likely = (x.amax(dim=-1, keepdim=True) for x in (logits, probabilities))
            logps = logits.gather(1, wanted) - highest + most_likely.log()
            total -= logps.sum()
            if needed:
                slope = probabilities.scatter_(1, wanted, logps.exp() - 1)  # softmax minus one-hot
                hidden_gradient[start : start + rows] = slope @ weight
                weight_gradient += slope.T @ part
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient * gradient, weight_gradient * gradient, None, None


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
