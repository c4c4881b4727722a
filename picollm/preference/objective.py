"""The objective of DPO and its relatives."""

import torch
from torch import Tensor

from picollm.batching.batch import Batch
from picollm.model.transformer import Transformer
from picollm.preference.losses import LOSSES, PairScores
from picollm.preference.settings import Dpo
from picollm.scoring.logps import sequence_logps, target_logps
from picollm.training.objective import Objective, Sums


def preference(settings: Dpo) -> Objective:
    """The preference objective over pairs; counts pairs.

    `sft_weight` adds that multiple of the chosen response's negative log-likelihood per token (Pang et al. 2024, eq. 1,
    "Iterative reasoning preference optimization"). Metrics: rewards beta * (policy - reference) of chosen and rejected,
    their margin, the share of pairs whose chosen reward is larger (ties one half), and the loss without the SFT term.
    """

    def objective(model: Transformer, batch: Batch) -> Sums:
        scores = pair_scores(model, batch)
        losses = LOSSES[settings.loss](scores, settings)
        total = losses
        if settings.sft_weight:
            total = losses - settings.sft_weight * scores.chosen / scores.chosen_lengths
        return Sums(
            total.sum(), torch.full((), len(losses), device=losses.device), _metrics(scores, losses, settings.beta)
        )

    return objective


def pair_scores(model: Transformer, batch: Batch) -> PairScores:
    """What the losses read of a batch of pairs, whose `reference_logps` are set."""
    logps = target_logps(model, batch)
    policy = sequence_logps(logps, batch.owners, batch.size)
    lengths = sequence_logps(torch.ones_like(logps), batch.owners, batch.size)
    return PairScores(*policy.chunk(2), *batch.reference_logps.chunk(2), *lengths.chunk(2))


@torch.no_grad()
def _metrics(scores: PairScores, losses: Tensor, beta: float) -> dict[str, Tensor]:
    chosen, rejected = scores.chosen_logratios, scores.rejected_logratios
    return {
        "chosen_reward": beta * chosen.sum(),
        "rejected_reward": beta * rejected.sum(),
        "margin": beta * scores.margin.sum(),
        "reward_acc": ((chosen > rejected).float() + 0.5 * (chosen == rejected).float()).sum(),
        "preference_loss": losses.sum(),
    }
