"""Objectives: (model, batch) -> sums and counts, so that micro-batches change speed and never the result."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from picollm.data.batch import Batch
from picollm.losses import PREFERENCE_LOSSES, negative_log_likelihood, sequence_logps, token_logps
from picollm.model import Transformer


@dataclass(frozen=True)
class Sums:
    """Sums over the batch: `loss` and each metric divided by `count` are means."""

    loss: Tensor
    count: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)

    def plus(self, other: "Sums") -> "Sums":
        """The sums over both batches, detached from the graph."""
        metrics = {name: value + other.metrics[name] for name, value in self.metrics.items()}
        return Sums(self.loss.detach() + other.loss.detach(), self.count + other.count, metrics)

    def nothing(self) -> "Sums":
        """The same batch counted zero times; the graph stays, its gradients are zero."""
        return Sums(self.loss * 0, self.count * 0, {name: value * 0 for name, value in self.metrics.items()})


Objective = Callable[[Transformer, Batch], Sums]


def target_logps(model: Transformer, batch: Batch) -> Tensor:
    """Log-prob of each target token: [K]. Logits are made for the targets alone."""
    hidden = model.hidden(batch.input_ids, batch.layout, batch.predictors)
    return token_logps(model.lm_head(hidden), batch.targets)


def response_logps(model: Transformer, batch: Batch) -> Tensor:
    """Summed log-prob of each sequence's response, end-of-text included: [B], in nats."""
    return sequence_logps(target_logps(model, batch), batch.owners, batch.size)


def language_modelling(model: Transformer, batch: Batch) -> Sums:
    """Negative log-likelihood of the target tokens; counts tokens. Pretraining and SFT differ in the targets alone."""
    hidden = model.hidden(batch.input_ids, batch.layout, batch.predictors)
    loss = negative_log_likelihood(hidden, model.lm_head.weight, batch.targets)
    return Sums(loss, torch.full((), len(batch.targets), device=loss.device))


def preference(loss: str, beta: float, label_smoothing: float, sft_weight: float) -> Objective:
    """The preference objective over pairs; counts pairs.

    `sft_weight` adds that multiple of the chosen response's negative log-likelihood per token (Pang et al. 2024, eq. 1,
    "Iterative reasoning preference optimization"). Metrics: rewards beta * (policy - reference) of chosen and rejected,
    their margin, the share of pairs whose chosen reward is larger (ties one half), and the loss without the SFT term.
    """
    preference_loss = PREFERENCE_LOSSES[loss]

    def objective(model: Transformer, batch: Batch) -> Sums:
        logps = target_logps(model, batch)
        policy_logps = sequence_logps(logps, batch.owners, batch.size)
        chosen, rejected = (policy_logps - batch.reference_logps).chunk(2)
        losses = preference_loss(chosen - rejected, beta, label_smoothing)
        total = losses
        if sft_weight:
            pairs = len(losses)
            lengths = sequence_logps(torch.ones_like(logps), batch.owners, batch.size)[:pairs]
            total = losses - sft_weight * policy_logps[:pairs] / lengths
        with torch.no_grad():
            metrics = {
                "chosen_reward": beta * chosen.sum(),
                "rejected_reward": beta * rejected.sum(),
                "margin": beta * (chosen - rejected).sum(),
                "reward_acc": ((chosen > rejected).float() + 0.5 * (chosen == rejected).float()).sum(),
                "preference_loss": losses.sum(),
            }
        return Sums(total.sum(), torch.full((), len(losses), device=losses.device), metrics)

    return objective
