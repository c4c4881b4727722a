"""The objective of preference optimization."""

import torch
from torch import Tensor

from picollm.batching.batch import Batch
from picollm.core.errors import ParamsError
from picollm.logprobs.logps import sequence_logps, target_logps
from picollm.model.transformer import Transformer
from picollm.preference.losses import COUPLED
from picollm.preference.scores import PairScores
from picollm.preference.settings import Dpo
from picollm.training import distributed
from picollm.training.objective import Objective, Sums


def preference(settings: Dpo) -> Objective:
    """The objective with the loss `settings.loss`, counted in pairs.

    `sft_weight` adds that multiple of the chosen response's negative log-likelihood per token (Pang et al. 2024, "Iterative
    reasoning preference optimization", eq. 1). Metrics have TRL's names: the rewards beta * (policy - reference) of chosen and
    rejected, `accuracies` (chosen reward larger; a tie counts one half), `margins` (difference of the two rewards), and the
    policy's log-probs in nats; with `sft_weight` also `preference_loss`, the loss without the SFT term. Raises ParamsError for
    a loss that compares the pairs of a batch if there are several processes, which have a part of the batch each.
    """
    losses = settings.losses()
    if distributed.world_size() > 1 and COUPLED & settings.loss.keys():
        names, processes = " and ".join(settings.loss), distributed.world_size()
        raise ParamsError(f"NPROC: {processes}: expected 1, because the loss {names} compares all pairs of a batch")

    def objective(model: Transformer, batch: Batch) -> Sums:
        scores = pair_scores(model, batch)
        loss = sum(weight * function(scores) for function, weight in losses)
        total, metrics = loss, _metrics(scores, settings.beta)
        if settings.sft_weight:
            total = loss - settings.sft_weight * scores.chosen / scores.chosen_lengths
            metrics["preference_loss"] = loss.detach().sum()
        return Sums(total.sum(), torch.full((), len(loss), device=loss.device), metrics)

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
        "rewards/margins": beta * (chosen - rejected).sum(),
        "logps/chosen": scores.chosen.sum(),
        "logps/rejected": scores.rejected.sum(),
    }
