"""CSV and JSON -> figures. Equal input gives equal bytes; no torch, no display."""

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from picollm import files
from picollm.errors import DataError
from picollm.stories.spec import SLOTS

# Okabe & Ito's colours, distinguishable by colour-blind readers; chosen and rejected keep theirs in every figure.
CHOSEN, REJECTED, MARGIN = "#0072B2", "#D55E00", "#555555"
MODEL_COLOURS = {"base": "#999999", "sft": "#0072B2", "dpo": "#D55E00"}
SPLITS = ("test", "unseen")
STAGES = {
    "pretrain": ("Pretraining", "nats per token"),
    "sft": ("SFT", "nats per response token"),
    "dpo": ("DPO", "nats per pair"),
}
DPI = 120


def curves(monitor_csv: str | Path, dpo_csv: str | Path) -> Figure:
    """Left: mean log-probs of the monitor pairs during SFT. Right: mean implicit rewards during DPO."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    monitor = _columns(monitor_csv, "step", "chosen_logps", "rejected_logps")
    _lines(left, monitor, {"chosen_logps": CHOSEN, "rejected_logps": REJECTED}, "_logps")
    _name(left, "SFT: log-probs of the monitor pairs", "step", "nats per response")
    rewards = _columns(dpo_csv, "step", "chosen_reward", "rejected_reward", "margin")
    _lines(right, rewards, {"chosen_reward": CHOSEN, "rejected_reward": REJECTED}, "_reward")
    right.plot(rewards["step"], rewards["margin"], color=MARGIN, linewidth=0.9, linestyle="--", label="margin")
    right.axhline(0, color="black", linewidth=0.6)
    right.legend(frameon=False)
    _name(right, "DPO: implicit rewards of the training pairs", "step", "beta * (policy - reference), nats")
    return figure


def losses(folders: dict[str, str]) -> Figure:
    """Training and validation loss of each training stage (its name: its folder of CSVs), the kept step marked."""
    figure = Figure(figsize=(14, 4), layout="constrained")
    (panels,) = figure.subplots(1, len(folders), squeeze=False)
    for axes, (stage, folder) in zip(panels, folders.items(), strict=True):
        title, unit = STAGES[stage]
        train = _columns(f"{folder}/train.csv", "step", "loss")
        validation = _columns(f"{folder}/val.csv", "step", "loss")
        if train["step"]:
            axes.plot(train["step"], train["loss"], color=MARGIN, linewidth=0.8, alpha=0.7, label="training")
        axes.plot(validation["step"], validation["loss"], color=CHOSEN, marker="o", markersize=3, label="validation")
        best = min(range(len(validation["loss"])), key=validation["loss"].__getitem__)
        axes.plot(
            validation["step"][best],
            validation["loss"][best],
            color=REJECTED,
            marker="*",
            markersize=12,
            linestyle="none",
            label=f"kept: step {validation['step'][best]:.0f}",
        )
        if stage == "dpo":
            axes.axhline(math.log(2), color="black", linewidth=0.6, linestyle=":", label="log 2")
        axes.legend(frameon=False)
        _name(axes, f"{title}: loss", "step", unit)
    return figure


def before_after(eval_json: str | Path, adherence_csv: str | Path) -> Figure:
    """Left: dread of the samples with 95 % intervals. Right: adherence per slot; the unseen splits are hatched."""
    numbers = files.read_json(eval_json)
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    splits = [split for split in SPLITS if f"sft.{split}.dread" in numbers]
    places = {(split, model): i for i, (split, model) in enumerate((s, m) for s in splits for m in MODEL_COLOURS)}
    for (split, model), place in places.items():
        _bar_with_interval(left, place + 0.5 * splits.index(split), numbers, f"{model}.{split}.dread", model, split)
    ticks = [place + 0.5 * splits.index(split) for (split, _), place in places.items()]
    left.set_xticks(ticks, [f"{model}\n{split}" for split, model in places], fontsize=8)
    left.axhline(0, color="black", linewidth=0.6)
    _name(left, "Dread of the samples", "", "dread per 100 words")
    _adherence(right, adherence_csv)
    return figure


def accuracies(eval_json: str | Path) -> Figure:
    """Preference and reward accuracy per split and stratum with 95 % intervals, and the ceiling of each group."""
    numbers = files.read_json(eval_json)
    suffix = ".pref_acc"
    groups = [key[len("sft.") : -len(suffix)] for key in numbers if key.startswith("sft.") and key.endswith(suffix)]
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    names = {"pref_acc": "Preference accuracy", "reward_acc": "Reward accuracy"}
    for axes, (measure, title) in zip(panels, names.items(), strict=True):
        for offset, model in enumerate(MODEL_COLOURS):
            for place, group in enumerate(groups):
                x = place + (offset - 1) * 0.26
                _bar_with_interval(axes, x, numbers, f"{model}.{group}.{measure}", model, "test", width=0.25)
        for place, group in enumerate(groups):
            if f"sft.{group}.ceiling" in numbers:
                label = "ceiling" if place == 0 else None
                axes.hlines(numbers[f"sft.{group}.ceiling"], place - 0.42, place + 0.42, color="black", label=label)
        axes.axhline(0.5, color="black", linewidth=0.6, linestyle=":")
        axes.set_xticks(range(len(groups)), [group.replace(".", "\n") for group in groups])
        axes.set_ylim(0, 1.05)
        _name(axes, title, "", "share of pairs")
    for model, colour in MODEL_COLOURS.items():
        panels[1].bar(0, 0, color=colour, label=model)
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Write a PNG without a date or a version in it, whole or not at all."""
    FigureCanvasAgg(figure)
    with files.write_atomic(path, "wb") as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def _adherence(axes: Axes, adherence_csv: str | Path) -> None:
    table = _columns(adherence_csv, "model", "split", "slot", "adherence")
    rows = dict(zip(zip(table["model"], table["split"], table["slot"], strict=True), table["adherence"], strict=True))
    _name(axes, "Adherence: the specification's values that occur in the sample", "", "share of samples")
    if not rows:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no adherence: the prompts are not specifications", ha="center", transform=axes.transAxes)
        return
    bars = [(model, split) for model in ("sft", "dpo") for split in SPLITS if (model, split, SLOTS[0]) in rows]
    width = 0.8 / len(bars)
    for offset, (model, split) in enumerate(bars):
        x = [place + (offset - (len(bars) - 1) / 2) * width for place in range(len(SLOTS))]
        heights = [rows[model, split, slot] for slot in SLOTS]
        axes.bar(x, heights, width * 0.95, label=f"{model}, {split}", **_style(model, split))
    axes.set_xticks(range(len(SLOTS)), SLOTS)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, ncols=len(bars), loc="upper center", bbox_to_anchor=(0.5, -0.1))


def _style(model: str, split: str) -> dict:
    fill = {"test": {}, "unseen": {"hatch": "///", "edgecolor": "white"}}[split]
    return {"color": MODEL_COLOURS[model], "linewidth": 0, **fill}


def _bar_with_interval(
    axes: Axes, x: float, numbers: dict, key: str, model: str, split: str, width: float = 0.8
) -> None:
    missing = [name for name in (key, f"{key}_low", f"{key}_high") if name not in numbers]
    if missing:
        raise DataError(f"metrics/eval.json: no {missing[0]}; run the evaluate stage again")
    value = numbers[key]
    # The interval of a share of 0 or 1 begins at the share; rounding may put it on the wrong side by an ulp.
    spread = [[max(0.0, value - numbers[f"{key}_low"])], [max(0.0, numbers[f"{key}_high"] - value)]]
    axes.bar(x, value, width, yerr=spread, capsize=3, error_kw={"linewidth": 0.9}, **_style(model, split))


def _lines(axes: Axes, table: dict[str, list], colours: dict[str, str], suffix: str) -> None:
    for name, colour in colours.items():
        axes.plot(table["step"], table[name], color=colour, label=name.removesuffix(suffix))
    axes.legend(frameon=False)


def _name(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)


def _columns(path: str | Path, *names: str) -> dict[str, list]:
    table = files.read_csv(path)
    for name in names:
        if name not in table:
            raise DataError(f"{path}: no column {name}; found {', '.join(table)}")
    return table
