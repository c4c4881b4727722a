"""The figure of true reward against KL, beside the best that is possible, and of the calibration of the implicit reward."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from picollm.evaluation.optimum import best_of_n_kl
from picollm.lab.drawing import (
    DARK_GREY,
    GREEN,
    MODEL_COLOURS,
    Evaluation,
    annotate,
    legend,
    plain_style,
    read_table,
)

TICKS = (0, 0.1, 0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640)
OPTIMUM = ("kl", "reward", "reward_low", "reward_high")
NO_RULE = "No rule labelled this data, so the true reward\nof a sample and the optimum are unknown."


@plain_style
def reward_kl(eval_json: str | Path, optimum_csv: str | Path, calibration_csv: str | Path) -> Figure:
    """Left: mean true reward and KL from the SFT model of SFT, DPO, the optimum and best-of-n, at temperature 1 without top-p, with 95 %
    intervals. Right: the rule's probability of a label against the policy's, sigmoid(implicit margin).

    Without a true reward, or without labels of a rule, a panel says so.
    """
    numbers = Evaluation(eval_json)
    figure = Figure(figsize=(12.5, 5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.7, 1))
    kl, low, high = (numbers[f"dpo.test.kl{end}"] for end in ("", "_low", "_high"))
    if "dpo.test.reward" in numbers:
        _trade(left, numbers, read_table(optimum_csv, OPTIMUM, may_be_empty=True))
    else:
        _say(left, f"{NO_RULE}\n\nKL(DPO || SFT): {kl:.3g} nats per sample ({low:.3g} to {high:.3g})")
    annotate(left, "True reward against KL from SFT, temperature 1 without top-p", "KL, nats per sample", "reward")
    reliability = read_table(calibration_csv, ("predicted", "rule"), may_be_empty=True)
    if len(reliability):
        right.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":", label="calibrated")
        right.plot(reliability["predicted"], reliability["rule"], color=MODEL_COLOURS["dpo"], marker="o", label="dpo")
        right.set_aspect("equal")
        legend(right, below=0.12)
    else:
        _say(right, "No rule labelled this data, so the\nprobability of a label is unknown.")
    title = "Calibration of the implicit reward"
    if "dpo.test.calibration" in numbers:
        title += f": slope {numbers['dpo.test.calibration']:.2f} of 1"
    annotate(right, title, "sigmoid(implicit margin)", "probability under the rule")
    return figure


def _trade(axes: Axes, numbers: Evaluation, optimum) -> None:
    if len(optimum):
        axes.fill_between(
            optimum["kl"], optimum["reward_low"], optimum["reward_high"], color=GREEN, alpha=0.25, linewidth=0
        )
        axes.plot(optimum["kl"], optimum["reward"], color=GREEN, label="optimum, as far as it is known")
    best = {int(key.rsplit("_", 1)[1]): value for key, value in numbers.items() if _is_best_of(key)}
    kls = [best_of_n_kl(n) for n in best]
    axes.plot(kls, best.values(), color=DARK_GREY, marker="^", linestyle="none", label="best of n of SFT")
    for n, x, y in zip(best, kls, best.values(), strict=True):
        axes.annotate(f"{n}", (x, y), textcoords="offset points", xytext=(6, -9), fontsize=8, color=DARK_GREY)
    for model in ("sft", "dpo"):
        x, spread = (0.0, None) if model == "sft" else _interval(numbers, "dpo.test.kl")
        y, height = _interval(numbers, f"{model}.test.reward")
        colour = MODEL_COLOURS[model]
        axes.errorbar(
            x, y, height, spread, color=colour, marker="o", markersize=5, capsize=3, linestyle="none", label=model
        )
    kl, reward = numbers["dpo.test.kl"], numbers["dpo.test.reward"]
    if "dpo.test.kl_efficiency" in numbers:
        least = kl * numbers["dpo.test.kl_efficiency"]
        axes.plot([least, kl], [reward, reward], color="black", linewidth=0.8, linestyle=":")
        text = f"the same reward for {least:.2g} nats\ninstead of {kl:.3g}"
        axes.annotate(text, (kl, reward), textcoords="offset points", xytext=(-8, -32), fontsize=9, ha="right")
    largest = max(kl, *(optimum["kl"] if len(optimum) else [0]), *kls, 1.0)
    # A square root: along the optimum the reward grows with the root of the KL at first, and 40 nats still fit beside 0.5.
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    axes.set_xlim(-0.002 * largest, 1.15 * largest)
    ticks = [tick for tick in TICKS if tick <= 1.15 * largest]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    legend(axes, below=0.12)


def _is_best_of(key: str) -> bool:
    return key.startswith("sft.test.best_of_") and key.rsplit("_", 1)[1].isdecimal()


def _interval(numbers: Evaluation, key: str) -> tuple[float, list[list[float]]]:
    value = numbers[key]
    return value, [[value - numbers[f"{key}_low"]], [numbers[f"{key}_high"] - value]]


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
