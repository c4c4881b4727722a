"""CSV and JSON -> figures. Equal input gives equal bytes, whatever the user's matplotlibrc; no torch, no display."""

import math
from collections.abc import Mapping
from pathlib import Path

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, SymmetricalLogLocator

from picollm.core import files
from picollm.core.errors import DataError
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
plain_style = style.context("default")  # DejaVu Sans and Matplotlib's own defaults, while drawing and while saving


class Evaluation:
    """The flat numbers of metrics/eval.json; a key that is absent or no number is a DataError naming file and key."""

    def __init__(self, path: str | Path):
        self.path, self.content = path, files.read_json(path)
        if not isinstance(self.content, dict):
            raise DataError(f"{path}: expected a JSON object of flat numbers")

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def __getitem__(self, key: str) -> float:
        if key not in self.content:
            raise DataError(f"{self.path}: no {key}; run the evaluate stage again")
        if type(self.content[key]) not in (int, float):
            raise DataError(f"{self.path}: {key} is {self.content[key]!r}, expected a number")
        return self.content[key]

    def splits(self, *measures: str) -> list[str]:
        """test, and unseen where any model has one of the measures on it."""
        return [split for split in SPLITS if split == "test" or len(self.groups(split, *measures)) > 0]

    def groups(self, split: str, *measures: str) -> list[str]:
        """The split, whole and per stratum (`test`, `test.degree`), as far as any model has one of the measures."""
        keys = [key.split(".", 1)[1].rpartition(".") for key in self.content if key.split(".")[0] in MODEL_COLOURS]
        found = [group for group, _, name in keys if name in measures and group.split(".")[0] == split]
        return list(dict.fromkeys(["test", *found] if split == "test" else found))


@plain_style
def curves(monitor_csv: str | Path, dpo_csv: str | Path) -> Figure:
    """Left: mean log-probs of the monitor pairs during SFT. Right: mean implicit rewards during DPO."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    monitor = _series(monitor_csv, "step", "chosen_logps", "rejected_logps")
    _lines(left, monitor, {"chosen_logps": CHOSEN, "rejected_logps": REJECTED}, "_logps")
    left.set_yscale("symlog")  # before training they are many times as low as ever after
    left.yaxis.set_major_locator(SymmetricalLogLocator(left.yaxis.get_transform(), subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:.0f}")
    _name(left, "SFT: log-probs of the monitor pairs", "step", "nats per response")
    _legend(left)
    rewards = _series(dpo_csv, "step", "chosen_reward", "rejected_reward", "margin")
    _lines(right, rewards, {"chosen_reward": CHOSEN, "rejected_reward": REJECTED}, "_reward")
    right.plot(rewards["step"], rewards["margin"], color=MARGIN, linewidth=0.9, linestyle="--", label="margin")
    right.axhline(0, color="black", linewidth=0.6)
    _name(right, "DPO: implicit rewards of the training pairs", "step", "beta * (policy - reference), nats")
    _legend(right)
    return figure


@plain_style
def losses(folders: Mapping[str, str | Path]) -> Figure:
    """Training and validation loss of each training stage (its name: its folder of CSVs), the kept step marked."""
    figure = Figure(figsize=(14, 4), layout="constrained")
    (panels,) = figure.subplots(1, len(folders), squeeze=False)
    for axes, (stage, folder) in zip(panels, folders.items(), strict=True):
        title, unit = STAGES[stage]
        train = _series(f"{folder}/train.csv", "step", "loss", at_least=0)  # no rows: a base that came trained
        validation = _series(f"{folder}/val.csv", "step", "loss")
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
        # Where policy == reference the sigmoid loss is log 2; another loss, or an SFT term in it, starts elsewhere.
        if stage == "dpo" and math.isclose(validation["loss"][0], math.log(2), abs_tol=1e-3):
            axes.axhline(math.log(2), color="black", linewidth=0.6, linestyle=":", label="log 2")
        _name(axes, f"{title}: loss", "step", unit)
        _legend(axes)
    return figure


@plain_style
def before_after(eval_json: str | Path, adherence_csv: str | Path) -> Figure:
    """Left: dread of the samples with 95 % intervals. Right: adherence per slot; the unseen splits are hatched."""
    numbers = Evaluation(eval_json)
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    splits = numbers.splits("dread")
    places = {(split, model): i for i, (split, model) in enumerate((s, m) for s in splits for m in MODEL_COLOURS)}
    for (split, model), place in places.items():
        _bar_with_interval(left, place + 0.5 * splits.index(split), numbers, model, split, "dread")
    ticks = [place + 0.5 * splits.index(split) for (split, _), place in places.items()]
    left.set_xticks(ticks, [f"{model}\n{split}" for split, model in places], fontsize=8)
    left.axhline(0, color="black", linewidth=0.6)
    _name(left, "Dread of the samples", "", "dread per 100 words")
    _adherence(right, adherence_csv)
    return figure


@plain_style
def accuracies(eval_json: str | Path) -> Figure:
    """Preference and reward accuracy per split and stratum with 95 % intervals, and the ceiling of each group."""
    numbers = Evaluation(eval_json)
    names = {"pref_acc": "Preference accuracy", "reward_acc": "Reward accuracy"}
    groups = [group for split in numbers.splits(*names) for group in numbers.groups(split, *names)]
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    handles = [Patch(color=colour, label=model) for model, colour in MODEL_COLOURS.items()]
    ceilings = {place: numbers[f"sft.{g}.ceiling"] for place, g in enumerate(groups) if f"sft.{g}.ceiling" in numbers}
    if ceilings:
        handles.append(Line2D([], [], color="black", label="ceiling"))
    for axes, (measure, title) in zip(panels, names.items(), strict=True):
        for offset, model in enumerate(MODEL_COLOURS):
            for place, group in enumerate(groups):
                _bar_with_interval(axes, place + (offset - 1) * 0.26, numbers, model, group, measure, width=0.25)
        for place, share in ceilings.items():
            axes.hlines(share, place - 0.42, place + 0.42, color="black")
        axes.axhline(0.5, color="black", linewidth=0.6, linestyle=":")
        axes.set_xticks(range(len(groups)), [group.replace(".", "\n") for group in groups])
        axes.set_ylim(0, 1.05)
        _name(axes, title, "", "share of pairs")
    figure.legend(handles=handles, loc="outside right center", frameon=False)
    return figure


@plain_style
def save(figure: Figure, path: str | Path) -> None:
    """Write a PNG without a date or a version in it, whole or not at all."""
    FigureCanvasAgg(figure)
    with files.write_atomic(path, "wb") as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def _adherence(axes: Axes, adherence_csv: str | Path) -> None:
    table = _columns(adherence_csv, "model", "split", "slot", "adherence")
    _check_numbers(adherence_csv, table, "adherence")
    rows = dict(zip(zip(table["model"], table["split"], table["slot"], strict=True), table["adherence"], strict=True))
    _name(axes, "Adherence: the specification's values that occur in the sample", "", "share of samples")
    if not rows:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no adherence: the prompts are not specifications", ha="center", transform=axes.transAxes)
        return
    splits = [split for split in SPLITS if split == "test" or split in table["split"]]
    bars = [(model, split) for model in ("sft", "dpo") for split in splits]
    missing = [(*bar, slot) for bar in bars for slot in SLOTS if (*bar, slot) not in rows]
    if missing:
        raise DataError(f"{adherence_csv}: no row of {', '.join(missing[0])}; run the evaluate stage again")
    width = 0.8 / len(bars)
    for offset, (model, split) in enumerate(bars):
        x = [place + (offset - (len(bars) - 1) / 2) * width for place in range(len(SLOTS))]
        heights = [rows[model, split, slot] for slot in SLOTS]
        axes.bar(x, heights, width * 0.95, label=f"{model}, {split}", **_style(model, split))
    axes.set_xticks(range(len(SLOTS)), SLOTS)
    axes.set_ylim(0, 1.02)
    _legend(axes, below=0.1)


def _style(model: str, split: str) -> dict:
    fill = {"test": {}, "unseen": {"hatch": "///", "edgecolor": "white"}}[split]
    return {"color": MODEL_COLOURS[model], "linewidth": 0, **fill}


def _bar_with_interval(
    axes: Axes, x: float, numbers: Evaluation, model: str, group: str, measure: str, width: float = 0.8
) -> None:
    value, low, high = (numbers[f"{model}.{group}.{measure}{end}"] for end in ("", "_low", "_high"))
    # The interval of a share of 0 or 1 begins at the share; rounding may put it on the wrong side by an ulp.
    spread = [[max(0.0, value - low)], [max(0.0, high - value)]]
    fill = _style(model, group.partition(".")[0])
    axes.bar(x, value, width, yerr=spread, capsize=3, error_kw={"linewidth": 0.9}, **fill)


def _lines(axes: Axes, table: dict[str, list], colours: dict[str, str], suffix: str) -> None:
    for name, colour in colours.items():
        axes.plot(table["step"], table[name], color=colour, label=name.removesuffix(suffix))


def _name(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    if x == "step":
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def _legend(axes: Axes, below: float = 0.16) -> None:
    """One line under the axes, where it covers no data."""
    axes.legend(frameon=False, ncols=5, fontsize=9, columnspacing=1.2, loc="upper center", bbox_to_anchor=(0.5, -below))


def _series(path: str | Path, *names: str, at_least: int = 1) -> dict[str, list[float]]:
    table = _columns(path, *names)
    _check_numbers(path, table, *names)
    if len(table[names[0]]) < at_least:
        raise DataError(f"{path}: no rows; expected at least {at_least}")
    return table


def _check_numbers(path: str | Path, table: dict[str, list], *names: str) -> None:
    for name in names:
        for line, cell in enumerate(table[name], start=2):
            if not _is_finite(cell):
                raise DataError(f"{path}:{line}: {name} is {cell!r}, expected a finite number")


def _is_finite(cell: str | float) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _columns(path: str | Path, *names: str) -> dict[str, list]:
    table = files.read_csv(path)
    for name in names:
        if name not in table:
            raise DataError(f"{path}: no column {name}; found {', '.join(table)}")
    return table
