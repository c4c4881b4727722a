"""The objective of pretraining and SFT, with logits computed in chunks to save memory."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from picollm.batching.batch import Batch
from picollm.model.transformer import Transformer
from picollm.training.objective import Sums

# Maximum number of logits in memory; a minimum of tokens per chunk keeps the matrix products efficient.
MAX_CHUNK_LOGITS, MIN_CHUNK_TOKENS = 2**22, 512


def language_modelling(model: Transformer, batch: Batch) -> Sums:
    """Summed negative log-likelihood of the target tokens, counted in tokens. Pretraining and SFT differ only in the targets."""
    hidden = model.hidden(batch.input_ids, batch.layout, batch.predictors)
    loss = negative_log_likelihood(hidden, model.lm_head.weight, batch.targets)
    return Sums(loss, torch.full((), len(batch.targets), device=loss.device))


def negative_log_likelihood(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Sum over the targets of -log softmax(hidden @ weight.T): hidden [N, D], weight [V, D], targets [N] -> scalar, in nats.

    The forward pass computes logits for one chunk of tokens at a time, which bounds memory for a large vocabulary, and their
    gradients along with them, so that no logit is computed twice.
    """
    needs_gradient = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    return _ChunkedLikelihood.apply(hidden, weight, targets, needs_gradient)


class _ChunkedLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, targets: Tensor, needs_gradient: bool) -> Tensor:
        size = max(MIN_CHUNK_TOKENS, MAX_CHUNK_LOGITS // len(weight))
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        hidden_gradient = torch.empty_like(hidden) if needs_gradient else None
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32) if needs_gradient else None
        for start in range(0, len(hidden), size):
            chunk, chunk_targets = hidden[start : start + size], targets[start : start + size, None]
            logits = F.linear(chunk, weight).float()
            probabilities = logits.softmax(dim=-1)
            # logsumexp = max_logit - log(max_probability), without another pass of exponentials.
            max_logit, max_probability = (x.amax(dim=-1, keepdim=True) for x in (logits, probabilities))
            logps = logits.gather(1, chunk_targets) - max_logit + max_probability.log()
            total -= logps.sum()
            if needs_gradient:
                logit_gradient = probabilities.scatter_(1, chunk_targets, logps.exp() - 1)  # softmax - one-hot
                hidden_gradient[start : start + size] = logit_gradient @ weight
                weight_gradient += logit_gradient.T @ chunk
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient * gradient, weight_gradient * gradient, None, None
