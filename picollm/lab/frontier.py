"""The frontier: true reward against KL of many experiments, one curve an objective, beside the optimum."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from picollm.core import files
from picollm.core.config import Parameters
from picollm.core.errors import DataError
from picollm.evaluation.optimum import best_of_n_kl
from picollm.lab.drawing import DARK_GREY, GREEN, Evaluation, annotate, plain_style, read_table
from picollm.lab.study import key, read_study
from picollm.lab.summary import t_interval

BETA, LOSS = "dpo.beta", "dpo.loss"
SEEDS = ("seed", "dpo.seed", "preferences.seed")
MEASURES = ["dpo.gain", "dpo.kl", "dpo.kl_efficiency"]
OPTIMUM = ("kl", "reward")
EQUAL_GAINS = (0.6, 0.75, 0.9)
MARGIN = 0.1
UNFINISHED = ("Running", "Queued", "Failed")
MARKERS = "osD^v<>Pphd"


def of_experiments() -> pd.DataFrame:
    """The finished experiments of `dvc exp show`: `objective`, dpo.beta, seeds and MEASURES. An objective's name is its loss and
    whatever else differs between the experiments. Raises DataError if there is none."""
    from dvc.api import exp_show

    rows = [row for row in exp_show() if row["Experiment"] and row["State"] not in UNFINISHED]
    if not rows:
        raise DataError(
            "no experiment of this commit: expected some in `dvc exp show`, such as those of dvc exp run -S dpo.beta=1"
        )
    return _table([_parameters(row) for row in rows], rows)


def of_study(path: Path) -> pd.DataFrame:
    """The finished runs of a study's CSV file, as `of_experiments`, without those that its grid no longer has; a loss or beta that the
    study does not vary is that of the workspace. Raises DataError if it holds no finished run."""
    table = read_table(path, (), ("parameters", "error", "dpo.gain", "dpo.kl"))
    due = set(map(key, read_study(path.with_suffix(".yaml")).runs()))
    rows = [row for row in table.to_dict("records") if not row["error"] and row["parameters"] in due]
    if not rows:
        raise DataError(f"{path}: no finished run of the grid in {path.with_suffix('.yaml')}; expected one or more")
    dpo = Parameters().content["dpo"]
    return _table([{LOSS: dpo["loss"], BETA: dpo["beta"]} | json.loads(row["parameters"]) for row in rows], rows)


def workspace_loss() -> str:
    """The objective of params.yaml, if no other setting varies."""
    return _text(Parameters().content["dpo"]["loss"])


def baseline_of(path: Path) -> str:
    """The objective of a study's baseline, if no setting but beta and loss varies there."""
    return _text(read_study(path.with_suffix(".yaml")).baseline.get(LOSS, "")) or workspace_loss()


def _table(parameters: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    names = list(dict.fromkeys(name for values in parameters for name in values))
    texts = [{name: _text(values.get(name)) for name in names} for values in parameters]
    varied = [name for name in names if len({values[name] for values in texts}) > 1]
    shown = [name for name in varied if name not in (BETA, LOSS, *SEEDS)]
    seeds = [name for name in SEEDS if name in varied]
    found = []
    for values, row in zip(texts, rows, strict=True):
        others = [f"{name.removeprefix('dpo.')} {values[name]}" for name in shown if values[name]]
        measures = {name: pd.to_numeric(row.get(name), errors="coerce") for name in MEASURES}
        objective = ", ".join([values[LOSS], *others])
        of_seeds = {name: int(float(values[name])) for name in seeds}
        found.append({"objective": objective, BETA: float(values[BETA]), **of_seeds, **measures})
    table = pd.DataFrame(found).dropna(subset=["dpo.gain", "dpo.kl"])
    if table.empty:
        raise DataError("no experiment has dpo.gain and dpo.kl: of your own data the true reward is unknown")
    return table.sort_values(["objective", BETA, *seeds])


def _parameters(row: dict[str, Any]) -> dict[str, Any]:
    """The parameters among the columns of `dvc exp show`, which names those of several files by their file, and a weighted sum of
    losses by columns dpo.loss.NAME."""
    content = Parameters().content
    names = [name for name in ("preset", *_names(content)) if not name.startswith(f"{LOSS}.")]
    found = {name: row[name] for name in names if name in row}
    for column, value in row.items():
        name = column.rpartition(".yaml:")[2]
        if name != column and name in names:
            found[column] = value
    weights = {column.removeprefix(f"{LOSS}."): value for column, value in row.items()
               if column.startswith(f"{LOSS}.") and _text(value)}  # fmt: skip
    return found | ({LOSS: weights} if weights else {})


def _text(value: Any) -> str:
    if value is None or value == "None":
        return ""
    return " + ".join(f"{item:g} {key}" for key, item in value.items()) if isinstance(value, dict) else str(value)


def _names(content: dict[str, Any], prefix: str = "") -> list[str]:
    """The names of all parameters, of sections within sections too."""
    names = []
    for name, value in content.items():
        names += [f"{prefix}{name}", *(_names(value, f"{prefix}{name}.") if isinstance(value, dict) else [])]
    return names


@plain_style
def frontier(table: pd.DataFrame, eval_json: str | Path, optimum_csv: str | Path) -> Figure:
    """Left: gain against KL from the SFT model, which is the origin, one curve an objective over beta, with the optimum and best-of-n
    above. Right: kl_efficiency against gain, where it is known. A band is one standard deviation over seeds."""
    numbers = Evaluation(eval_json)
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _bounds(left, numbers, read_table(optimum_csv, OPTIMUM))
    names = list(dict.fromkeys(table["objective"]))
    for place, name in enumerate(names):
        of_beta = table[table["objective"] == name].groupby(BETA)[MEASURES]
        mean, sd = of_beta.mean(), of_beta.std(ddof=1)
        style = {"color": colormaps["tab20"](place % 20), "marker": MARKERS[place % len(MARKERS)], "markersize": 4}
        mean, sd = (part.loc[mean["dpo.kl"].sort_values().index] for part in (mean, sd))
        left.plot(mean["dpo.kl"], mean["dpo.gain"], linewidth=1, label=name, **style)
        low, high = mean["dpo.gain"] - sd["dpo.gain"], mean["dpo.gain"] + sd["dpo.gain"]
        left.fill_between(mean["dpo.kl"], low, high, color=style["color"], alpha=0.2, linewidth=0)
        # Of the same runs on both axes: efficiency is absent where the gain is not clear.
        of_beta = table[table["objective"] == name].dropna().groupby(BETA)[MEASURES]
        known, sd = of_beta.mean().sort_values("dpo.gain"), of_beta.std(ddof=1)
        right.plot(known["dpo.gain"], known["dpo.kl_efficiency"], linewidth=1, **style)
        low, high = (
            known["dpo.kl_efficiency"] + sign * sd["dpo.kl_efficiency"].reindex(known.index) for sign in (-1, 1)
        )
        right.fill_between(known["dpo.gain"], low, high, color=style["color"], alpha=0.2, linewidth=0)
    left.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    left.set_xlim(0, 1.1 * table["dpo.kl"].max())
    right.set_ylim(0, None)
    annotate(
        left,
        "Gain against KL from SFT, temperature 1 without top-p",
        "KL, nats per sample",
        "gain, standard deviations of SFT's reward",
    )
    annotate(right, "Efficiency at equal gain", "gain", "least KL / KL")
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    return figure


def _bounds(axes: Axes, numbers: Evaluation, optimum: pd.DataFrame) -> None:
    """The optimum and best-of-n of the SFT model, in units of gain."""
    start = numbers["sft.test.reward"]
    if not numbers["dpo.test.gain"]:
        raise DataError(
            f"{numbers.path}: dpo.test.gain is 0; expected a policy that differs from SFT, which tells the unit of gain"
        )
    deviation = (numbers["dpo.test.reward"] - start) / numbers["dpo.test.gain"]
    axes.plot(
        optimum["kl"],
        (optimum["reward"] - start) / deviation,
        color=GREEN,
        label="optimum of this SFT model, as far as it is known",
    )
    best = {int(key.rsplit("_", 1)[1]): value for key, value in numbers.items()
            if key.startswith("sft.test.best_of_") and key.rsplit("_", 1)[1].isdecimal()}  # fmt: skip
    gains = [(value - start) / deviation for value in best.values()]
    axes.plot(
        list(map(best_of_n_kl, best)), gains, color=DARK_GREY, marker="^", linestyle="none", label="best of n of SFT"
    )
    axes.plot(0, 0, color="black", marker="o", linestyle="none", label="SFT", clip_on=False)


def at_equal_gain(table: pd.DataFrame) -> pd.DataFrame:
    """kl_efficiency of each objective at each of EQUAL_GAINS, and the beta that reaches that gain, both linear in gain, beta on a
    logarithmic scale, between the two largest neighbouring betas whose gains enclose it. Means over seeds, of the betas at which the
    efficiency of every seed is known; absent where no two betas enclose the gain."""
    columns = [f"{name} at {gain}" for gain in EQUAL_GAINS for name in ("kl_efficiency", "beta")]
    found = pd.DataFrame(columns=["objective", *columns])
    for name, runs in table.groupby("objective", sort=False):
        known = runs.groupby(BETA).filter(lambda of_beta: of_beta["dpo.kl_efficiency"].notna().all())
        means = known.groupby(BETA)[MEASURES].mean().reset_index()[::-1]
        found.loc[len(found)] = [name, *(value for gain in EQUAL_GAINS for value in _between(means, gain))]
    return found.sort_values(columns[2], ascending=False, ignore_index=True)


def _between(means: pd.DataFrame, gain: float) -> tuple[float, float]:
    """kl_efficiency and beta at `gain`, from rows in falling order of beta."""
    for (_, a), (_, b) in pairwise(means.iterrows()):
        low, high = sorted((a["dpo.gain"], b["dpo.gain"]))
        if low <= gain <= high and low < high:
            share = (gain - a["dpo.gain"]) / (b["dpo.gain"] - a["dpo.gain"])
            efficiency = a["dpo.kl_efficiency"] + share * (b["dpo.kl_efficiency"] - a["dpo.kl_efficiency"])
            return efficiency, a[BETA] * (b[BETA] / a[BETA]) ** share
    return np.nan, np.nan


def paired_at_equal_gain(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """For each beta of each objective but `baseline`, over seeds: `n`, the mean `gain`, and mean and 95 % interval of `difference`, the
    kl_efficiency less that of `baseline` with the same seed at the same gain. That is linear in gain through the two runs of
    `baseline` whose gains are nearest, and absent more than MARGIN beyond them, or if there is one run alone."""
    known = table.dropna(subset=["dpo.kl_efficiency"])
    own = known["objective"] == baseline
    seeds = pd.Series(
        list(map(tuple, known[[name for name in SEEDS if name in known]].to_numpy())), known.index, dtype=object
    )
    curves = dict(list(known[own].groupby(seeds[own])))
    found = known[~own].assign(
        difference=[
            row["dpo.kl_efficiency"] - _at(curves.get(seeds[place]), row["dpo.gain"])
            for place, row in known[~own].iterrows()
        ]
    )
    lines = []
    for (name, beta), runs in found.dropna(subset=["difference"]).groupby(["objective", BETA], sort=False):
        interval = t_interval(runs["difference"])
        ends = {"difference": interval["mean"], "low": interval["low"], "high": interval["high"]}
        lines.append({"objective": name, BETA: beta, "n": interval["n"], "gain": runs["dpo.gain"].mean(), **ends})
    return pd.DataFrame(lines)


def _at(curve: pd.DataFrame | None, gain: float) -> float:
    """kl_efficiency at `gain` on the line through the two runs of `curve` whose gains are nearest."""
    if curve is None or len(curve) < 2:
        return np.nan
    nearest = curve.iloc[(curve["dpo.gain"] - gain).abs().argsort()[:2]].sort_values("dpo.gain")
    (low, high), efficiencies = nearest["dpo.gain"], nearest["dpo.kl_efficiency"].to_numpy()
    if not low - MARGIN <= gain <= high + MARGIN or low == high:
        return np.nan
    return efficiencies[0] + (gain - low) / (high - low) * (efficiencies[1] - efficiencies[0])


def write_table(table: pd.DataFrame, path: Path) -> None:
    with files.write_atomic(path) as file:
        table.to_csv(file, index=False)
