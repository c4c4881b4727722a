"""Losses coupled over the batch: distributions are compared by sorting, so a pair's loss depends on all pairs of the batch."""

from torch import Tensor

from picollm.preference.losses.margin import smoothed
from picollm.preference.scores import PairScores


def aot(scores: PairScores, beta: float, label_smoothing: float) -> Tensor:
    """AOT: the sorted differences log p(chosen) - log p(rejected) of the policy against those of the reference,
    -log sigmoid(beta * (d_(i) - d_reference_(i))) with label smoothing as in `sigmoid` (Melnyk et al. 2024, arXiv 2406.05882).
    Typical beta: 0.01 to 0.1."""
    policy = (scores.chosen - scores.rejected).sort().values
    reference = (scores.reference_chosen - scores.reference_rejected).sort().values
    return smoothed(beta * (policy - reference), label_smoothing)


def aot_unpaired(scores: PairScores, beta: float, label_smoothing: float) -> Tensor:
    """AOT for unpaired data: the sorted log-ratios of the chosen responses against the sorted ones of the rejected,
    -log sigmoid(beta * (c_(i) - r_(i))) with label smoothing as in `sigmoid` (Melnyk et al. 2024, arXiv 2406.05882). Typical
    beta: 0.01 to 0.1."""
    logits = beta * (scores.chosen_logratios.sort().values - scores.rejected_logratios.sort().values)
    return smoothed(logits, label_smoothing)
