"""Is sigmoid(implicit margin) the probability with which the rule labels a pair? No torch."""

import numpy as np

from picollm.evaluation.intervals import bootstrap_weights, percentile_interval

BINS = 10
LEAST_P = 1e-15  # of a probability of 1 in float64 the logit is infinite


def calibration_measures(margins: np.ndarray, differences: np.ndarray, p_chosen: np.ndarray) -> dict[str, float]:
    """Of P pairs: the policy's implicit margins (chosen - rejected reward), the differences of true reward and the rule's probability
    of the label, each [P].

    - `calibration_slope`: sum(d m) / sum(d^2), the margin per unit of true reward; no intercept, for the order of a pair is arbitrary;
    - `calibration_target`: the same of the rule's own log-odds, which is 1 / temperature for Bradley-Terry labels;
    - `calibration`: their quotient with its 95 % interval: 1 is calibrated, above is overconfident; absent unless the target is positive,
      that is, the rule prefers more reward;
    - `calibration_kl`: mean KL(p || sigmoid(m)) in nats, the loss above the least possible.

    Empty if all differences are 0.
    """
    squares = differences**2
    if not squares.any():
        return {}
    p = np.clip(p_chosen, LEAST_P, 1 - LEAST_P)
    target = float((differences * log_odds(p_chosen)).sum() / squares.sum())
    weights = bootstrap_weights(len(margins))
    known = weights @ squares > 0  # a resample of few pairs may have none whose rewards differ
    low, high = percentile_interval((weights @ (differences * margins))[known] / (weights @ squares)[known])
    slope = float((differences * margins).sum() / squares.sum())
    cross_entropy = p * np.logaddexp(0, -margins) + (1 - p) * np.logaddexp(0, margins)
    entropy = -(p * np.log(p) + (1 - p) * np.log1p(-p))
    numbers = {
        "calibration_slope": slope,
        "calibration_target": target,
        "calibration_kl": float((cross_entropy - entropy).mean()),
    }
    if target > 0:
        ends = {"calibration": slope, "calibration_low": low, "calibration_high": high}
        numbers |= {name: value / target for name, value in ends.items()}
    return numbers


def log_odds(p: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), of 0 and 1 the largest finite one."""
    p = np.clip(p, LEAST_P, 1 - LEAST_P)
    return np.log(p) - np.log1p(-p)


def reliability(margins: np.ndarray, p_chosen: np.ndarray) -> list[dict[str, float]]:
    """The reliability curve: `predicted` = sigmoid(margin), and the mean rule's probability, in BINS groups of equal size, by `predicted`.

    Each pair counts in both of its orders, (m, p) and (-m, 1 - p), because which of them is listed as chosen is part of the label.
    """
    m, p = np.concatenate([margins, -margins]), np.concatenate([p_chosen, 1 - p_chosen])
    groups = np.array_split(np.argsort(m, kind="stable"), BINS)
    predicted = np.exp(-np.logaddexp(0, -m))
    return [
        {"predicted": float(predicted[rows].mean()), "rule": float(p[rows].mean()), "pairs": len(rows)}
        for rows in groups
        if len(rows)
    ]
