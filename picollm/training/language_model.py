"""The objective of pretraining and SFT, whose logits never exist all at once."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from picollm.batching.batch import Batch
from picollm.model.transformer import Transformer
from picollm.training.objective import Sums

# At most so many logits at a time, but enough rows to keep a matrix product busy.
CHUNK_LOGITS, CHUNK_ROWS = 2**22, 512


def language_modelling(model: Transformer, batch: Batch) -> Sums:
    """Negative log-likelihood of the target tokens; counts tokens. Pretraining and SFT differ in the targets alone."""
    hidden = model.hidden(batch.input_ids, batch.layout, batch.predictors)
    loss = negative_log_likelihood(hidden, model.lm_head.weight, batch.targets)
    return Sums(loss, torch.full((), len(batch.targets), device=loss.device))


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
