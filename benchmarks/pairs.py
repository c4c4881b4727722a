"""kl_efficiency against the number of pairs: python -m benchmarks.pairs [--csv docs/pairs.csv] [--figure docs/pairs.png]

Runs one DVC experiment per row of RUNS in the folder that it is started in, which must hold a complete `dvc repro`, and writes its
numbers to the CSV as it ends. Rows that the CSV has are not run again, so a stopped run goes on. Efficiencies compare at equal gain:
the learning rates are guesses that should bring the gain near 0.9, and the figure shows what it is. Run it with preset cpu in a clone of
its own: the settings of the last experiment stay in its workspace.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from picollm.core import entry
from picollm.lab.drawing import BLUE, DARK_GREY, annotate, plain_style, save

# The default when the figure was made.
SETTINGS = (
    "dpo.beta=0.3",
    "presets/cpu.yaml:preferences.validation_rows=96",
    "presets/cpu.yaml:dpo.batch_size=8",
    "presets/cpu.yaml:dpo.validate_every=30",
)
RUNS = {  # pairs, learning rate
    240: 6e-5,
    480: 4e-5,
    960: 2e-5,
    1920: 1.3e-5,
    3840: 8e-6,
    8000: 8e-6,
}
MEASURES = (
    "gain",
    "kl",
    "kl_efficiency",
    "kl_efficiency_low",
    "kl_efficiency_high",
    "ended",
    "adherence",
    "derived",
    "reward_acc",
)
COLUMNS = ("pairs", "lr", *MEASURES)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pairs", description=__doc__.split(":")[0])
    parser.add_argument("--csv", type=Path, default=Path("docs/pairs.csv"))
    parser.add_argument("--figure", type=Path, default=Path("docs/pairs.png"))
    options = parser.parse_args()
    rows = pd.read_csv(options.csv).to_dict("records") if options.csv.exists() else []
    for pairs, lr in RUNS.items():
        if any(row["pairs"] == pairs for row in rows):
            continue
        settings = [*SETTINGS, f"presets/cpu.yaml:preferences.rows={pairs}", f"dpo.lr={lr}"]
        command = [sys.executable, "-m", "dvc", "exp", "run"]
        subprocess.run([*command, *(f"-S{setting}" for setting in settings), "evaluate"], check=True)
        measured = json.loads(Path("metrics/details/eval.json").read_text(encoding="utf-8"))
        rows.append({"pairs": pairs, "lr": lr} | {name: measured.get(f"dpo.test.{name}") for name in MEASURES})
        pd.DataFrame(rows, columns=COLUMNS).to_csv(options.csv, index=False)
    save(draw(pd.DataFrame(rows).astype(float).sort_values("pairs")), options.figure)


@plain_style
def draw(table: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    low, high = table.kl_efficiency - table.kl_efficiency_low, table.kl_efficiency_high - table.kl_efficiency
    axes.errorbar(table.pairs, table.kl_efficiency, yerr=[low, high], fmt="o-", color=BLUE, capsize=3)
    for row in table.dropna(subset="kl_efficiency_high").itertuples():
        axes.annotate(f"gain {row.gain:.2f}", (row.pairs, row.kl_efficiency_high), (0, 4), textcoords="offset points",
                      ha="center", fontsize=8, color=DARK_GREY)  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(table.pairs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.1, y=0.15)
    axes.set_ylim(0, None)
    annotate(axes, "kl_efficiency of DPO, test prompts, 95 % intervals", "preference pairs", "least KL / DPO's KL")
    return figure


if __name__ == "__main__":
    entry.run(main)
