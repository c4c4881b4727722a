"""The objective of preference optimization."""

import torch
from torch import Tensor

from picollm.batching.batch import Batch
from picollm.logprobs.logps import sequence_logps, target_logps
from picollm.model.transformer import Transformer
from picollm.preference.losses import LOSSES, PairScores
from picollm.preference.settings import Dpo
from picollm.training.objective import Objective, Sums


def preference(settings: Dpo) -> Objective:
    """The objective with the loss `settings.loss`, counted in pairs.

    `sft_weight` adds that multiple of the chosen response's negative log-likelihood per token (Pang et al. 2024, "Iterative
    reasoning preference optimization", eq. 1). Metrics have TRL's names: the rewards beta * (policy - reference) of chosen and
    rejected, `accuracies` (chosen reward larger; a tie counts one half), `margins` (difference of the two rewards), and the
    policy's log-probs in nats; with `sft_weight` also `preference_loss`, the loss without the SFT term.
    """

    def objective(model: Transformer, batch: Batch) -> Sums:
        scores = pair_scores(model, batch)
        losses = LOSSES[settings.loss](scores, settings)
        total, metrics = losses, _metrics(scores, settings.beta)
        if settings.sft_weight:
            total = losses - settings.sft_weight * scores.chosen / scores.chosen_lengths
            metrics["preference_loss"] = losses.detach().sum()
        return Sums(total.sum(), torch.full((), len(losses), device=losses.device), metrics)

    return objective


def pair_scores(model: Transformer, batch: Batch) -> PairScores:
    """The inputs of a loss for a batch of pairs, whose `reference_logps` must be set."""
    logps = target_logps(model, batch)
    policy = sequence_logps(logps, batch.sequence_ids, batch.size)
    lengths = sequence_logps(torch.ones_like(logps), batch.sequence_ids, batch.size)
    return PairScores(*policy.chunk(2), *batch.reference_logps.chunk(2), *lengths.chunk(2))


@torch.no_grad()
def _metrics(scores: PairScores, beta: float) -> dict[str, Tensor]:
    chosen, rejected = scores.chosen_logratios, scores.rejected_logratios
    return {
        "rewards/chosen": beta * chosen.sum(),
        "rewards/rejected": beta * rejected.sum(),
        "rewards/accuracies": ((chosen > rejected).float() + 0.5 * (chosen == rejected).float()).sum(),
        "rewards/margins": beta * scores.margin.sum(),
        "logps/chosen": scores.chosen.sum(),
        "logps/rejected": scores.rejected.sum(),
    }
