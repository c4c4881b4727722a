"""The rows of the CSV files that evaluate writes."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from picollm.evaluation.calibration import reliability
from picollm.evaluation.intervals import bootstrap_weights, percentile_interval
from picollm.evaluation.optimum import optimum, reward_at
from picollm.evaluation.tables import REFERENCE, by_prompt, logratios

ADHERENCE = ("model", "split", "slot", "adherence")
OPTIMUM = ("t", "kl", "reward", "reward_low", "reward_high")
RELIABILITY = ("predicted", "rule", "pairs")
PAIRS = ("split", "id", "correct", "ceiling")
SAMPLES = ("model", "split", "id", "number", "words", "ended")  # and those of these that are measured:
MEASURED = ("adherence", "dread", "reward", "kl")
CURVE_ROWS = 41


def adherence_rows(samples: Mapping[str, pd.DataFrame]) -> Iterator[dict]:
    """ADHERENCE: the share of samples in which a labelled value occurs, of those whose prompts have the label."""
    for model, table in samples.items():
        for split, members in table.groupby("split", sort=False):
            if "labels" in members:
                for slot, share in pd.DataFrame(list(members["labels"])).mean(axis=0).items():
                    yield dict(zip(ADHERENCE, (model, split, slot, float(share)), strict=True))


def optimum_rows(samples: pd.DataFrame) -> Iterator[dict]:
    """OPTIMUM: the best mean reward at each KL, with its 95 % interval at that KL, from the reference's samples on one split. Empty
    without a true reward, or if there are too few samples a prompt to know it."""
    if "reward" not in samples:
        return
    best = optimum(by_prompt(samples, "reward"))
    prompts = len(best.rewards)
    (rewards,), (kls,) = best.curves(np.full((1, prompts), 1 / prompts))
    curves = best.curves(bootstrap_weights(prompts))
    for place in np.unique(np.linspace(0, len(best.ts) - 1, CURVE_ROWS).astype(int)):
        low, high = percentile_interval(reward_at(np.full(len(curves[0]), kls[place]), *curves))
        if np.isfinite(high):
            values = (best.ts[place], kls[place], rewards[place], low, high)
            yield dict(zip(OPTIMUM, map(float, values), strict=True))


def reliability_rows(pairs: pd.DataFrame, beta: float) -> list[dict]:
    """RELIABILITY of the policy's implicit margins; empty if no rule labelled the pairs."""
    if not pairs["p_chosen"].notna().all():
        return []
    margins = beta * (logratios(pairs, "chosen") - logratios(pairs, "rejected"))
    return reliability(margins.to_numpy(), pairs["p_chosen"].to_numpy(float))


def pair_rows(pairs: pd.DataFrame, split: str) -> Iterator[dict]:
    """PAIRS: whether the policy's implicit reward has the label's order, a tie one half, and max(p, 1 - p), 1 without a rule."""
    margins = logratios(pairs, "chosen") - logratios(pairs, "rejected")
    for id, margin, p in zip(pairs["id"], margins, pairs["p_chosen"].astype(float).fillna(1.0), strict=True):
        yield dict(zip(PAIRS, (split, id, float(np.sign(margin) + 1) / 2, max(p, 1 - p)), strict=True))


def sample_rows(samples: Mapping[str, pd.DataFrame]) -> tuple[list[str], list[dict]]:
    """SAMPLES and what is measured of each sample at temperature 1: columns and rows. The reference's KL from itself is 0."""
    tables = [
        table.assign(model=name, kl=0.0 if name == REFERENCE else table.get("kl")) for name, table in samples.items()
    ]
    whole = pd.concat(tables, ignore_index=True)
    columns = [*SAMPLES, *(name for name in MEASURED if name in whole)]
    return columns, whole[columns].to_dict("records")
