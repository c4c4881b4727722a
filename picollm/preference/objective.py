"""The objective of preference optimization."""

import torch
from torch import Tensor

from picollm.batching.batch import Batch
from picollm.core.errors import ParamsError
from picollm.logprobs.logps import decay_weights, sequence_logps, token_kl, token_logps
from picollm.model.transformer import Transformer
from picollm.preference.losses import COUPLED
from picollm.preference.scores import PairScores
from picollm.preference.settings import Dpo
from picollm.training import distributed
from picollm.training.objective import Objective, Sums


def preference(settings: Dpo, reference: Transformer | None = None) -> Objective:
    """The objective with the loss `settings.loss`, counted in pairs.

    `temporal_decay` weights the tokens in the log-probs that the loss sees; in `batch.reference_logps` they are weighted already.
    `kl_weight` adds that multiple of `chosen_kl`, `sft_weight` that of the chosen response's negative log-likelihood per token (Pang
    et al. 2024, "Iterative reasoning preference optimization", eq. 1); in both every token counts alike. `reference` is needed
    with `kl_weight` alone.

    Metrics have TRL's names: the rewards beta * (policy - reference) of chosen and rejected, `accuracies` (chosen reward larger; a
    tie counts one half), `margins` (difference of the two rewards), all with the weights of `temporal_decay`, and the policy's
    log-probs without them, in nats; with one of the two terms also `preference_loss`, the loss without them, and with `kl_weight`
    `kl/chosen`. Raises ParamsError for a loss that compares the pairs of a batch if there are several processes, which have a part
    of the batch each.
    """
    losses = settings.losses()
    if distributed.world_size() > 1 and COUPLED & settings.loss.keys():
        names, processes = " and ".join(settings.loss), distributed.world_size()
        raise ParamsError(f"NPROC: {processes}: expected 1, because the loss {names} compares all pairs of a batch")

    def objective(model: Transformer, batch: Batch) -> Sums:
        logits = model.lm_head(model.hidden(batch.input_ids, batch.layout, batch.predictors))
        logps = token_logps(logits, batch.targets)
        scores = pair_scores(logps, batch, settings.temporal_decay)
        chosen, rejected = sequence_logps(logps, batch.sequence_ids, batch.size).chunk(2)
        loss = sum(weight * function(scores) for function, weight in losses)
        metrics = _metrics(scores, settings.beta)
        metrics |= {"logps/chosen": chosen.detach().sum(), "logps/rejected": rejected.detach().sum()}
        total = loss
        if settings.sft_weight:
            total = total - settings.sft_weight * chosen / scores.chosen_lengths
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
    token of a response, from 0, counts decay^k in its log-prob."""
    weights = decay_weights(batch.sequence_ids, batch.size, decay)
    policy = sequence_logps(logps * weights, batch.sequence_ids, batch.size)
    lengths = sequence_logps(torch.ones_like(logps), batch.sequence_ids, batch.size)
    return PairScores(*policy.chunk(2), *batch.reference_logps.chunk(2), *lengths.chunk(2))


def chosen_kl(logits: Tensor, reference: Transformer, batch: Batch) -> Tensor:
    """KL(policy || reference) between the distributions of the next token, summed over the positions of each chosen response: [P], in
    nats, from the policy's logits [K, V] (the sequential KL of Zeng et al. 2024, "Token-level direct preference optimization",
    definition 4.3, with the policy first)."""
    chosen = slice(0, batch.chosen_targets)
    with torch.no_grad():
        hidden = reference.hidden(batch.input_ids, batch.layout, batch.predictors[chosen])
        reference_logps = reference.lm_head(hidden).float().log_softmax(dim=-1)
    kl = token_kl(logits[chosen].float().log_softmax(dim=-1), reference_logps)
    return sequence_logps(kl, batch.sequence_ids[chosen], batch.size // 2)


@torch.no_grad()
def _metrics(scores: PairScores, beta: float) -> dict[str, Tensor]:
    chosen, rejected = scores.chosen_logratios, scores.rejected_logratios
    return {
        "rewards/chosen": beta * chosen.sum(),
        "rewards/rejected": beta * rejected.sum(),
        "rewards/accuracies": ((chosen > rejected).float() + 0.5 * (chosen == rejected).float()).sum(),
        "rewards/margins": beta * (chosen - rejected).sum(),
    }
