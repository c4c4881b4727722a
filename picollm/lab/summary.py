"""What a study found: each configuration's mean over seeds, and its paired difference from the baseline."""

import math
from typing import Any

import pandas as pd

from picollm.core import files
from picollm.lab.study import COLUMNS, Study, hydra, key

# The 97.5 % points of Student's t distribution with 1 to 30 degrees of freedom.
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
SHOWN = ["dpo.gain", "dpo.kl", "dpo.kl_efficiency", "dpo.reward_acc", "dpo.adherence", "dpo.ended", "dpo.derived"]
COUNTED = ["dpo.gain", "dpo.kl_efficiency"]
SUMMARY = ("n", "mean", "sd", "low", "high", "difference", "difference_low", "difference_high", "difference_n")


def t_interval(values: pd.Series) -> dict[str, float]:
    """`n`, `mean`, `sd` and the 95 % interval `low`, `high` of the mean (Student's t) of the numbers that are not missing; a single
    number has neither sd nor interval."""
    values = values.dropna()
    count, mean = len(values), float(values.mean())
    if count < 2:
        return {"n": count, "mean": mean, "sd": math.nan, "low": math.nan, "high": math.nan}
    sd = float(values.std(ddof=1))
    spread = T_975[min(count - 2, len(T_975) - 1)] * sd / math.sqrt(count)
    return {"n": count, "mean": mean, "sd": sd, "low": mean - spread, "high": mean + spread}


def summary(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """One row for each configuration and measure: the configuration's parameters, `measure`, and SUMMARY over seeds. Differences are
    those from the baseline with the same seed; failed runs are left out."""
    parameters = list(dict.fromkeys(name for values in study.configurations for name in values))
    seeds = list(study.seeds[0])
    # A column without a number is that of a parameter which the grid no longer has, or of a measure that no run has.
    numbers = table.dropna(axis="columns", how="all").select_dtypes("number")
    measures = [name for name in numbers if name not in (*COLUMNS, *parameters, *seeds)]
    table = table[table["error"].isna()]
    table = table.assign(seed_key=[key({seed: row[seed] for seed in seeds}) for _, row in table.iterrows()])
    groups = {
        key(values): _rows(table, study, values).set_index("seed_key")[measures] for values in study.configurations
    }
    baseline = groups[key(study.baseline)]
    rows = []
    for values in study.configurations:
        group = groups[key(values)]
        paired = group - baseline.reindex(group.index)
        for measure in measures:
            difference = {f"difference{end}": t_interval(paired[measure])[name] for end, name in
                          (("", "mean"), ("_low", "low"), ("_high", "high"), ("_n", "n"))}  # fmt: skip
            rows.append(
                {
                    **{name: hydra(value) for name, value in values.items()},
                    "measure": measure,
                    **t_interval(group[measure]),
                    **difference,
                }
            )
    return pd.DataFrame(rows, columns=[*parameters, "measure", *SUMMARY])


def write_summary(study: Study, table: pd.DataFrame) -> str:
    """Write the summary to studies/NAME.summary.csv, and return the means of SHOWN, one line a configuration."""
    found = summary(study, table)
    path = study.path.with_suffix(".summary.csv")
    with files.write_atomic(path) as file:
        found.to_csv(file, index=False)
    means = _shown(study, found)
    failed, commits = int(table["error"].notna().sum()), table["commit"].nunique()
    lines = [
        means.to_string(float_format="{:.3g}".format),
        f"{len(table)} experiments, {failed} of them failed; {path}",
    ]
    if commits > 1:
        lines.append(f"The rows are of {commits} commits: what changed between them is a difference too.")
    if table["seconds"].sum():
        lines.append(f"DVC itself took {table['dvc_seconds'].sum() / table['seconds'].sum():.0%} of the time.")
    return "\n".join(lines)


def _shown(study: Study, found: pd.DataFrame) -> pd.DataFrame:
    """The means of SHOWN and the numbers of seeds that have COUNTED, one row a configuration, named by what varies."""
    texts = [{name: hydra(value) for name, value in values.items()} for values in study.configurations]
    names = [name for name in dict.fromkeys(name for values in texts for name in values)
             if len({values.get(name) for values in texts}) > 1]  # fmt: skip
    rows, size = [], len(found) // len(texts)
    for place, values in enumerate(texts):
        measured = found[place * size : (place + 1) * size].set_index("measure")
        counts = measured["n"].reindex(COUNTED).fillna(0).astype(int).add_prefix("n of ")
        named = {name: values.get(name, "") for name in names}
        rows.append(named | measured["mean"].reindex(SHOWN).to_dict() | counts.to_dict())
    table = pd.DataFrame(rows)
    return table.set_index(names) if names else table


def _rows(table: pd.DataFrame, study: Study, values: dict[str, Any]) -> pd.DataFrame:
    keys = {key(values | seed) for seed in study.seeds}
    return table[table["parameters"].isin(keys)]
