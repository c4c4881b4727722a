"""The objective of preference optimization."""

import torch
from torch import Tensor

from picollm.batching.batch import Batch
from picollm.core.errors import ParamsError
from picollm.logprobs.logps import decay_weights, sequence_logps, token_logps
from picollm.model.transformer import Transformer
from picollm.preference.losses import COUPLED
from picollm.preference.scores import PairScores
from picollm.preference.settings import Dpo
from picollm.training import distributed
from picollm.training.objective import Objective, Sums


def preference(settings: Dpo, reference: Transformer | None = None) -> Objective:
    """The objective with the loss `settings.loss`, counted in pairs.

    `temporal_decay` weights the tokens of the log-probs that the loss sees, in `batch.reference_logps` already. `kl_weight` adds
    that multiple of KL(policy || `reference`) along the chosen response, summed over its positions: a bound on what the policy
    changes where the loss gains little by it. `sft_weight` adds that multiple of the chosen response's negative log-likelihood
    per token (Pang et al. 2024, "Iterative reasoning preference optimization", eq. 1). Metrics have TRL's names: the rewards
    beta * (policy - reference) of chosen and rejected, `accuracies` (chosen reward larger; a tie counts one half), `margins`
    (difference of the two rewards), and the policy's log-probs, each token counting alike, in nats; with one of the two terms also
    `preference_loss`, the loss without them, and with `kl_weight` `kl/chosen`. Raises ParamsError for a loss that compares the
    pairs of a batch if there are several processes, which have a part of the batch each.
    """
    losses = settings.losses()
    if distributed.world_size() > 1 and COUPLED & settings.loss.keys():
        names, processes = " and ".join(settings.loss), distributed.world_size()
        raise ParamsError(f"NPROC: {processes}: expected 1, because the loss {names} compares all pairs of a batch")

    def objective(model: Transformer, batch: Batch) -> Sums:
        logits = model.lm_head(model.hidden(batch.input_ids, batch.layout, batch.predictors))
        logps = token_logps(logits, batch.targets)
        scores = pair_scores(logps, batch, settings.temporal_decay)
        loss = sum(weight * function(scores) for function, weight in losses)
        total, metrics = loss, _metrics(scores, settings.beta) | _logps(logps, batch)
        if settings.sft_weight:
            total = total - settings.sft_weight * scores.chosen / scores.chosen_lengths
        if settings.kl_weight:
            kl = chosen_kl(logits, reference, batch)
            total = total + settings.kl_weight * kl
            metrics["kl/chosen"] = kl.detach().sum()
        if settings.sft_weight or settings.kl_weight:
            metrics["preference_loss"] = loss.detach().sum()
        return Sums(total.sum(), torch.full((), len(loss), device=loss.device), metrics)

    return objective


def pair_scores(logps: Tensor, batch: Batch, decay: float) -> PairScores:
    """The inputs of a loss for a batch of pairs, whose `reference_logps` must be set, from the log-prob of each target, [K]. The k-th
    token of a response, from 0, counts decay^k, in its length too."""
    weights = decay_weights(batch.sequence_ids, batch.size, decay)
    policy = sequence_logps(logps * weights, batch.sequence_ids, batch.size)
    lengths = sequence_logps(weights, batch.sequence_ids, batch.size)
    return PairScores(*policy.chunk(2), *batch.reference_logps.chunk(2), *lengths.chunk(2))


def chosen_kl(logits: Tensor, reference: Transformer, batch: Batch) -> Tensor:
    """KL(policy || reference) between the distributions of the next token, summed over the positions of each chosen response: [P], in
    nats, from the policy's logits [K, V] (the sequential KL of Zeng et al. 2024, "Token-level direct preference optimization",
    definition 4.3, with the policy first)."""
    pairs = batch.size // 2
    count = int((batch.sequence_ids < pairs).sum())  # chosen responses come first
    with torch.no_grad():
        hidden = reference.hidden(batch.input_ids, batch.layout, batch.predictors[:count])
        reference_logps = reference.lm_head(hidden).float().log_softmax(dim=-1)
    logps = logits[:count].float().log_softmax(dim=-1)
    kl = (logps.exp() * (logps - reference_logps)).sum(dim=-1)
    return sequence_logps(kl, batch.sequence_ids[:count], pairs)


@torch.no_grad()
def _metrics(scores: PairScores, beta: float) -> dict[str, Tensor]:
    chosen, rejected = scores.chosen_logratios, scores.rejected_logratios
    return {
        "rewards/chosen": beta * chosen.sum(),
        "rewards/rejected": beta * rejected.sum(),
        "rewards/accuracies": ((chosen > rejected).float() + 0.5 * (chosen == rejected).float()).sum(),
        "rewards/margins": beta * (chosen - rejected).sum(),
    }


@torch.no_grad()
def _logps(logps: Tensor, batch: Batch) -> dict[str, Tensor]:
    chosen, rejected = sequence_logps(logps, batch.sequence_ids, batch.size).chunk(2)
    return {"logps/chosen": chosen.sum(), "logps/rejected": rejected.sum()}
