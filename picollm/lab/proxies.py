"""How well the numbers that one has without the true reward rank the configurations of a study: Spearman's correlation with the truth."""

import json
import math

import numpy as np
import pandas as pd

from picollm.core import files
from picollm.evaluation.intervals import DRAWS
from picollm.lab.study import Study, hydra, key

PROXIES = (
    "dpo.reward_acc", "dpo.pref_acc", "dpo.margin", "validation.loss", "validation.rewards/accuracies", "validation.rewards/margins",
    "validation.logps/chosen", "dpo.kl", "dpo.sft_loss",
)  # fmt: skip
TRUTHS = ("dpo.reward", "dpo.kl_efficiency", "dpo.adherence", "dpo.derived")
COLUMNS = ("proxy", "truth", "n", "correlation", "low", "high", "within_loss", "within_n")
LEAST = 4  # configurations, below which a rank correlation says nothing


def correlations(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS for each of PROXIES and TRUTHS that the runs of `table` have: Spearman's rank correlation over the study's `n`
    configurations, each the mean of its seeds, with a 95 % bootstrap interval over configurations, and its mean over the losses of
    the correlation among the configurations of one loss.

    Efficiency falls with gain even along the optimum, so whatever grows with the gain ranks `dpo.kl_efficiency` downward; it compares at
    equal gain.

    Below LEAST configurations with both numbers there is none, neither over all nor within a loss. Configurations are no random draw:
    an interval says how far a correlation hangs on single ones, not what another grid would give. Losses, and margins, which hold
    beta, compare neither between losses nor between betas: that they mislead is part of what the numbers show.
    """
    means, losses = _configurations(study, table)
    rows = []
    for proxy in PROXIES:
        for truth in TRUTHS:
            if proxy not in means or truth not in means:
                continue
            both = means[[proxy, truth]].dropna()
            if len(both) < LEAST or math.isnan(spearman(both.to_numpy())):
                continue
            groups = [group for _, group in both.groupby(losses) if len(group) >= LEAST]
            within = pd.Series([spearman(group.to_numpy()) for group in groups], dtype=float).dropna()
            interval = _interval(both.to_numpy())
            rows.append((proxy, truth, len(both), spearman(both.to_numpy()), *interval, within.mean(), len(within)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _configurations(study: Study, table: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """The numbers of each configuration, means over its seeds, and its loss, '' if the study has one loss."""
    runs = table[table["error"].isna()]
    parameters = runs["parameters"].map(json.loads)
    names = parameters.map(lambda values: key({name: values[name] for name in values if name not in study.seeds[0]}))
    losses = parameters.map(lambda values: hydra(values.get("dpo.loss", "")))
    return runs.groupby(names, sort=False).mean(numeric_only=True), losses.groupby(names, sort=False).first()


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
    """Write the correlations to studies/NAME.proxies.csv, and return them, one line a proxy; '' if there are too few configurations."""
    found = correlations(study, table)
    if found.empty:
        return ""
    path = study.path.with_suffix(".proxies.csv")
    with files.write_atomic(path) as file:
        found.to_csv(file, index=False)
    shown = found.pivot_table("correlation", "proxy", "truth", sort=False)
    ranks = shown.to_string(float_format="{:+.2f}".format)
    return f"\nRank correlation over up to {found['n'].max()} configurations; intervals, and within a loss: {path}\n{ranks}\n"
