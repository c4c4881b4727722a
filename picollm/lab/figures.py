"""The figures of stage plot: curves, losses, samples before and after DPO, accuracies. Equal inputs give equal bytes."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import SymmetricalLogLocator

from picollm.lab.drawing import (
    BLUE,
    DARK_GREY,
    MODEL_COLOURS,
    VERMILION,
    Evaluation,
    annotate,
    legend,
    plain_style,
    read_table,
)

CHOSEN, REJECTED, MARGIN = BLUE, VERMILION, DARK_GREY
STAGES = {
    "pretrain": ("Pretraining", "nats per token"),
    "sft": ("SFT", "nats per response token"),
    "dpo": ("DPO", "nats per pair"),
}
# What is compared if the prompts are no story specifications: measure, title, unit, models. KL is DPO's alone, from SFT.
SAMPLE_MEASURES = {
    "length": ("Length of the samples", "words", tuple(MODEL_COLOURS)),
    "ended": ("Samples that reached end of text", "share of samples", tuple(MODEL_COLOURS)),
    "repetition": ("Repetition within a sample", "share of repeated 4-grams", tuple(MODEL_COLOURS)),
    "kl": ("KL(DPO || SFT)", "nats per sample", ("dpo",)),
}
BAR = {"edgecolor": "white", "linewidth": 0}  # the edge's colour is the hatching's


@plain_style
def curves(monitor_csv: str | Path, dpo_csv: str | Path) -> Figure:
    """Mean log-probs of the monitor pairs during SFT, if there are any; mean implicit rewards during DPO."""
    logps = read_table(monitor_csv, ("step", "logps/chosen", "logps/rejected"), may_be_empty=True)
    monitored = len(logps) > 0
    figure = Figure(figsize=(11 if monitored else 6, 4.2), layout="constrained")
    *left, right = figure.subplots(1, 2 if monitored else 1, squeeze=False)[0]
    for axes in left:
        _plot(axes, logps, "logps/chosen", CHOSEN)
        _plot(axes, logps, "logps/rejected", REJECTED)
        values = logps[["logps/chosen", "logps/rejected"]]
        if values.min(axis=None) < 10 * values.max(axis=None):  # from random weights the first is far below all others
            axes.set_yscale("symlog")
            axes.yaxis.set_major_locator(SymmetricalLogLocator(axes.yaxis.get_transform(), subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
        annotate(axes, "SFT: log-probs of the monitor pairs", "step", "nats per response")
        legend(axes)
    rewards = read_table(dpo_csv, ("step", "rewards/chosen", "rewards/rejected", "rewards/margins"))
    _plot(right, rewards, "rewards/chosen", CHOSEN)
    _plot(right, rewards, "rewards/rejected", REJECTED)
    _plot(right, rewards, "rewards/margins", MARGIN, linewidth=0.9, linestyle="--")
    right.axhline(0, color="black", linewidth=0.6)
    annotate(right, "DPO: implicit rewards of the training pairs", "step", "beta * (policy - reference), nats")
    legend(right)
    return figure


@plain_style
def losses(folders: Mapping[str, str | Path]) -> Figure:
    """Training and validation loss of each training stage (its name: its folder of CSVs), the kept step marked."""
    figure = Figure(figsize=(14, 4), layout="constrained")
    (panels,) = figure.subplots(1, len(folders), squeeze=False)
    for axes, (stage, folder) in zip(panels, folders.items(), strict=True):
        title, unit = STAGES[stage]
        train = read_table(
            f"{folder}/train.csv", ("step", "loss"), may_be_empty=True
        )  # an imported base is not trained
        validation = read_table(f"{folder}/val.csv", ("step", "loss"))
        if len(train):
            axes.plot(train["step"], train["loss"], color=DARK_GREY, linewidth=0.8, alpha=0.7, label="training")
        axes.plot(validation["step"], validation["loss"], color=BLUE, marker="o", markersize=3, label="validation")
        step, loss = validation.loc[validation["loss"].idxmin(), ["step", "loss"]]
        star = {"color": VERMILION, "marker": "*", "markersize": 12, "linestyle": "none"}
        axes.plot(step, loss, label=f"kept: step {step:.0f}", **star)
        # If policy == reference the sigmoid loss is log 2; another loss, or an SFT term in it, starts elsewhere.
        if stage == "dpo" and math.isclose(validation["loss"][0], math.log(2), abs_tol=1e-3):
            axes.axhline(math.log(2), color="black", linewidth=0.6, linestyle=":", label="log 2")
        annotate(axes, f"{title}: loss", "step", unit)
        legend(axes)
    return figure


@plain_style
def before_after(eval_json: str | Path, adherence_csv: str | Path) -> Figure:
    """The samples of the three models; bars of the unseen split are hatched.

    Dread with 95 % intervals, or the share that ended if the prompts are no story specifications, and adherence per label. If the
    prompts are not made of labelled lines, so that the CSV has no rows: length, share that ended, repetition, and KL from SFT.
    """
    numbers = Evaluation(eval_json)
    adherence = read_table(adherence_csv, ("adherence",), ("model", "split", "slot"), may_be_empty=True)
    figure = Figure(figsize=(13, 4.6 if len(adherence) else 3.8), layout="constrained")
    if len(adherence):
        left, right = figure.subplots(1, 2, width_ratios=(1, 2))
        if "dpo.test.dread" in numbers:
            _bars(left, numbers, "dread", numbers.groups("dread"), tuple(MODEL_COLOURS))
            left.axhline(0, color="black", linewidth=0.6)
            annotate(left, "Dread of the samples, temperature 1", "", "dread per 100 words")
        else:
            _bars(left, numbers, "ended", numbers.groups("ended"), tuple(MODEL_COLOURS))
            annotate(left, *SAMPLE_MEASURES["ended"][:1], "", SAMPLE_MEASURES["ended"][1])
        legend(left, below=0.1)
        _adherence(right, adherence)
        return figure
    panels = figure.subplots(1, len(SAMPLE_MEASURES))
    for axes, (measure, (title, unit, models)) in zip(panels, SAMPLE_MEASURES.items(), strict=True):
        _bars(axes, numbers, measure, numbers.groups(measure), models, interval=False)
        annotate(axes, title, "", unit)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


@plain_style
def accuracies(eval_json: str | Path) -> Figure:
    """Preference and reward accuracy per split and stratum with 95 % intervals, and the ceiling of each group.

    Reward accuracy is DPO's alone. The SFT model is the reference: all its rewards are 0, all pairs ties. The base model's
    would say what SFT did to the pairs, with the sign reversed, and nothing about DPO.
    """
    numbers = Evaluation(eval_json)
    groups = numbers.groups("pref_acc")
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _bars(left, numbers, "pref_acc", groups, tuple(MODEL_COLOURS))
    _bars(right, numbers, "reward_acc", groups, ("dpo",))
    ceilings = {place: numbers[key] for place, g in enumerate(groups) if (key := f"dpo.{g}.ceiling") in numbers}
    for axes, half in ((left, "0.5: chance"), (right, "0.5: the reference (sft), by construction")):
        axes.axhline(0.5, color="black", linewidth=0.8, linestyle=":", label=half)
        if ceilings:
            starts = [place - 0.42 for place in ceilings]
            axes.hlines(list(ceilings.values()), starts, [x + 0.84 for x in starts], color="black", label="ceiling")
        legend(axes, below=0.2)
    left.set_ylim(0, 1.05)
    note = "below 0.5: for most pairs the rejected response has the higher log-prob"
    annotate(left, "Preference accuracy: log-prob of chosen > rejected", note, "share of pairs")
    note = "implicit reward: beta * (log-prob under dpo - under sft)"
    annotate(right, "Reward accuracy: reward of chosen > rejected", note, "")
    return figure


def _plot(axes: Axes, table: pd.DataFrame, name: str, colour: str, **line) -> None:
    axes.plot(table["step"], table[name], color=colour, label=name.split("/")[1], **line)


def _bars(
    axes: Axes, numbers: Evaluation, measure: str, groups: list[str], models: Sequence[str], interval: bool = True
) -> None:
    """A cluster of bars per group, one bar per model, with its 95 % interval or else with its value above it."""
    width = 0.8 / max(2, len(models))
    for position, model in enumerate(models):
        x = [place + (position - (len(models) - 1) / 2) * width for place in range(len(groups))]
        keys = [f"{model}.{group}.{measure}" for group in groups]
        heights = [numbers[key] for key in keys]
        hatches = ["///" if group.startswith("unseen") else "" for group in groups]
        bars = axes.bar(x, heights, width * 0.95, color=MODEL_COLOURS[model], hatch=hatches, label=model, **BAR)
        if interval:
            below = [height - numbers[f"{key}_low"] for height, key in zip(heights, keys, strict=True)]
            above = [numbers[f"{key}_high"] - height for height, key in zip(heights, keys, strict=True)]
            axes.errorbar(x, heights, [below, above], fmt="none", ecolor="black", elinewidth=0.9, capsize=3)
        else:
            axes.bar_label(bars, fmt="%.3g", fontsize=8)
            axes.update_datalim([(0, 1e-3)])  # if all are 0 the axis still begins at 0 and ends above
    axes.set_xlim(-0.6, len(groups) - 0.4)
    axes.set_xticks(range(len(groups)), [group.replace(".", "\n", 1) for group in groups])


def _adherence(axes: Axes, table: pd.DataFrame) -> None:
    bars = [(model, split) for model in ("sft", "dpo") for split in table["split"].unique()]
    width = 0.8 / len(bars)
    slots = list(table["slot"].unique())  # not all prompts of other data have the same
    for position, (model, split) in enumerate(bars):
        rows = table[(table["model"] == model) & (table["split"] == split)]
        x = [slots.index(slot) + (position - (len(bars) - 1) / 2) * width for slot in rows["slot"]]
        hatch = "///" if split == "unseen" else ""
        fill = {"color": MODEL_COLOURS[model], "hatch": hatch, "label": f"{model}, {split}"}
        axes.bar(x, rows["adherence"], width * 0.95, **fill, **BAR)
    crowded = sum(map(len, slots)) > 70
    axes.set_xticks(range(len(slots)), slots, rotation=30 if crowded else 0, ha="right" if crowded else "center")
    axes.set_ylim(0, 1.02)
    annotate(axes, "Adherence: the prompt's labelled values that occur in the sample", "", "share of samples")
    legend(axes, below=0.3 if crowded else 0.1)
