"""The figure of true reward along DPO's training, and of the step that validation loss keeps."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from picollm.lab.drawing import BLUE, DARK_GREY, GREEN, VERMILION, Evaluation, annotate, plain_style

NONE = """No true reward along this run.

With dpo.snapshots=8, say, this shows reward and KL at temperature 1 without top-p.
It needs a rule, two prompts and two snapshots."""


@plain_style
def track(track_csv: str | Path, eval_json: str | Path) -> Figure:
    """True reward, KL and efficiency, validation loss and log-probs of the snapshots over steps, with lines at the step of the lowest
    validation loss and at that of the most reward. Without snapshots, or without a true reward, it says so."""
    table, numbers = pd.read_csv(track_csv), Evaluation(eval_json)
    if "track.regret" not in numbers:
        figure = Figure(figsize=(7, 1.5), layout="constrained")
        axes = figure.subplots()
        axes.text(0.5, 0.5, NONE, ha="center", va="center")
        axes.set_axis_off()
        return figure
    figure = Figure(figsize=(12.5, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    (reward, losses), (kl, logps) = panels
    _with_interval(reward, table, "reward")
    regret = numbers["track.regret"]
    annotate(reward, f"True reward; stopping by validation loss costs {regret:.2g}", "step", "reward")
    _with_interval(kl, table, "kl")
    annotate(kl, "KL from SFT, and its efficiency (right)", "step", "nats per sample")
    efficiency = kl.twinx()
    efficiency.plot(table["step"], table["kl_efficiency"], color=GREEN, marker="s")
    efficiency.set_ylim(0, None)
    efficiency.set_ylabel("least KL / KL", color=GREEN)
    losses.plot(table["step"], table["validation_loss"], color=VERMILION, marker="o")
    annotate(losses, "Validation loss", "step", "nats per pair")
    for side, colour in (("chosen", BLUE), ("rejected", DARK_GREY)):
        logps.plot(table["step"], table[f"logps/{side}"], color=colour, marker="o", label=side)
    annotate(logps, "Log-probs of the validation pairs", "step", "nats per response")
    logps.legend(frameon=False, fontsize=9)
    for axes in np.ravel(panels):
        axes.axvline(
            numbers["track.kept_step"], color=VERMILION, linewidth=1, linestyle="--", label="lowest validation loss"
        )
        axes.axvline(numbers["track.best_step"], color=BLUE, linewidth=1, linestyle=":", label="most reward")
    reward.legend(frameon=False, fontsize=9)
    return figure


def _with_interval(axes: Axes, table: pd.DataFrame, name: str) -> None:
    axes.plot(table["step"], table[name], color=BLUE, marker="o")
    axes.fill_between(table["step"], table[f"{name}_low"], table[f"{name}_high"], color=BLUE, alpha=0.2, linewidth=0)
