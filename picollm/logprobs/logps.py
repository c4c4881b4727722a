"""Log-probabilities of tokens and responses."""

import torch
import torch.nn.functional as F
from torch import Tensor

from picollm.batching.batch import Batch
from picollm.model.transformer import Transformer


def token_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability of each target: logits [N, V], targets [N] -> [N], in float32 and in nats."""
    return -F.cross_entropy(logits.float(), targets, reduction="none")


def token_kl(logps: Tensor, reference_logps: Tensor) -> Tensor:
    """KL(p || q) of each row's distribution, from the log-probs of p and q, [N, V] each -> [N], in nats."""
    return (logps.exp() * (logps - reference_logps)).sum(dim=-1)


def sequence_logps(logps: Tensor, sequence_ids: Tensor, count: int) -> Tensor:
    """Sum of token log-probs per sequence: logps and sequence_ids [N] -> [count]."""
    return torch.zeros(count, dtype=logps.dtype, device=logps.device).index_add(0, sequence_ids, logps)


def decay_weights(sequence_ids: Tensor, count: int, decay: float) -> Tensor:
    """decay^k for the k-th target, from 0, of each sequence: sequence_ids [N], ascending, -> [N] in float32."""
    starts = torch.searchsorted(sequence_ids, torch.arange(count, device=sequence_ids.device))
    positions = torch.arange(len(sequence_ids), device=sequence_ids.device) - starts[sequence_ids]
    return torch.pow(decay, positions.float())


def target_logps(model: Transformer, batch: Batch) -> Tensor:
    """Log-prob of each target token: [K], in nats. Computes logits only at `batch.predictors`."""
    hidden = model.hidden(batch.input_ids, batch.layout, batch.predictors)
    return token_logps(model.lm_head(hidden), batch.targets)


def response_logps(model: Transformer, batch: Batch, decay: float = 1.0) -> Tensor:
    """Summed log-prob of each sequence's response, end-of-text included: [B], in nats; its k-th token, from 0, counts decay^k."""
    logps = target_logps(model, batch)
    return sequence_logps(logps * decay_weights(batch.sequence_ids, batch.size, decay), batch.sequence_ids, batch.size)
