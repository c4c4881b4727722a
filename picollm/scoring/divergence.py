"""Exact KL of a policy from its reference along the tokens that the policy sampled."""

import torch
from torch import Tensor

from picollm.batching.batch import Batch
from picollm.logprobs.logps import sequence_logps, token_kl
from picollm.model.transformer import Transformer

# Logits computed at once: both models' distributions over a large vocabulary would take gigabytes.
LOGITS = 2**24


def divergence(model: Transformer, reference: Transformer, batch: Batch) -> Tensor:
    """[B, 3] of each response: the sum over its positions of KL(model || reference) between the distributions of the next token, and
    its summed log-probs under both; in nats, end-of-text included.

    The mean of the first over samples of the model at temperature 1 without top-p is KL(model || reference) of whole responses, as is
    that of the difference of the two log-probs; the first usually varies less (Rao-Blackwell: each position's token is averaged out).
    """
    hidden = [m.hidden(batch.input_ids, batch.layout, batch.predictors) for m in (model, reference)]
    size = max(1, LOGITS // model.config.vocab_size)
    parts = []
    for start in range(0, len(batch.targets), size):
        rows = slice(start, start + size)
        logps, reference_logps = (
            m.lm_head(h[rows]).float().log_softmax(dim=-1) for m, h in zip((model, reference), hidden, strict=True)
        )
        targets = batch.targets[rows, None]
        sampled = (table.gather(1, targets)[:, 0] for table in (logps, reference_logps))
        parts.append(torch.stack((token_kl(logps, reference_logps), *sampled)))
    values = torch.cat(parts, dim=1)
    return torch.stack([sequence_logps(value, batch.sequence_ids, batch.size) for value in values], dim=1)
