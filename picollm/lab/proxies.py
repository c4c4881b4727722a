"""How well the numbers that one has without the true reward rank the runs of a study: Spearman's correlation with the truth."""

import numpy as np
import pandas as pd

from picollm.core import files
from picollm.evaluation.intervals import DRAWS
from picollm.lab.study import Study

PROXIES = (
    "dpo.reward_acc", "dpo.pref_acc", "dpo.margin", "validation.loss", "validation.rewards/accuracies", "validation.rewards/margins",
    "validation.logps/chosen", "dpo.kl", "dpo.sft_loss",
)  # fmt: skip
TRUTHS = ("dpo.reward", "dpo.kl_efficiency", "dpo.adherence", "dpo.derived")
COLUMNS = ("proxy", "truth", "n", "correlation", "low", "high", "within_loss", "within_n")
LEAST = 4  # runs, below which a rank correlation says nothing


def correlations(table: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS for each of PROXIES and TRUTHS that the runs of `table` have: Spearman's rank correlation over all runs with a
    95 % bootstrap interval over runs, and its mean over losses of the runs of one loss, for values of two losses may not compare.

    A pair is left out if fewer than LEAST runs have both numbers, and a loss if it has fewer. A run's configuration is no random
    draw, so an interval says how far the correlation hangs on single runs, not what another grid would give.
    """
    runs = table[table["error"].isna()]
    losses = runs["dpo.loss"] if "dpo.loss" in runs else pd.Series("", runs.index)
    rows = []
    for proxy in PROXIES:
        for truth in TRUTHS:
            if proxy not in runs or truth not in runs:
                continue
            both = runs[[proxy, truth]].dropna()
            if len(both) < LEAST:
                continue
            low, high = _interval(both.to_numpy())
            groups = [group for _, group in both.groupby(losses) if len(group) >= LEAST]
            within = pd.Series([spearman(group.to_numpy()) for group in groups], dtype=float).dropna()
            rows.append((proxy, truth, len(both), spearman(both.to_numpy()), low, high, within.mean(), len(within)))
    return pd.DataFrame(rows, columns=COLUMNS)


def spearman(values: np.ndarray) -> float:
    """Spearman's rank correlation of the two columns of `values` [N, 2]; ties share their mean rank. NaN if a column is constant."""
    ranks = pd.DataFrame(values).rank()
    return float(ranks[0].corr(ranks[1]))


def _interval(values: np.ndarray) -> tuple[float, float]:
    drawn = np.random.default_rng(0).integers(len(values), size=(len(values), DRAWS))
    first, second = (pd.DataFrame(values[drawn, column]).rank() for column in (0, 1))
    low, high = first.corrwith(second).quantile((0.025, 0.975))
    return float(low), float(high)


def write_correlations(study: Study, table: pd.DataFrame) -> str:
    """Write the correlations to studies/NAME.proxies.csv, and return them, one line a proxy; '' if there are too few runs."""
    found = correlations(table)
    if found.empty:
        return ""
    path = study.path.with_suffix(".proxies.csv")
    with files.write_atomic(path) as file:
        found.to_csv(file, index=False)
    shown = found.pivot_table("correlation", "proxy", "truth", sort=False)
    ranks = shown.to_string(float_format="{:+.2f}".format)
    return f"\nRank correlation over {found['n'].max()} runs; intervals, and within a loss: {path}\n{ranks}\n"
