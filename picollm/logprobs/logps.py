"""Log-probabilities of tokens and responses."""

import torch
import torch.nn.functional as F
from torch import Tensor

from picollm.batching.batch import Batch
from picollm.model.transformer import Transformer


def token_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target: logits [N, V], targets [N] -> [N], in float32 and in nats."""
    return -F.cross_entropy(logits.float(), targets, reduction="none")


def sequence_logps(logps: Tensor, sequence_ids: Tensor, count: int) -> Tensor:
    """Sum of token log-probs per sequence: logps and sequence_ids [N] -> [count]."""
    return torch.zeros(count, dtype=logps.dtype, device=logps.device).index_add(0, sequence_ids, logps)


def target_logps(model: Transformer, batch: Batch) -> Tensor:
    """Log-prob of each target token: [K], in nats. Computes logits only at `batch.predictors`."""
    hidden = model.hidden(batch.input_ids, batch.layout, batch.predictors)
    return token_logps(model.lm_head(hidden), batch.targets)


def response_logps(model: Transformer, batch: Batch) -> Tensor:
    """Summed log-prob of each sequence's response, end-of-text included: [B], in nats."""
    return sequence_logps(target_logps(model, batch), batch.sequence_ids, batch.size)
