"""plot: CSV and JSON files of the other stages -> plots/{curves,losses,before_after,accuracy}.png"""

from picollm.core import entry
from picollm.lab import figures as plots


def main():
    plots.save(plots.curves("plots/sft/monitor.csv", "plots/dpo/train.csv"), "plots/curves.png")
    plots.save(plots.losses({stage: f"plots/{stage}" for stage in ("pretrain", "sft", "dpo")}), "plots/losses.png")
    plots.save(plots.before_after("metrics/details/eval.json", "plots/adherence.csv"), "plots/before_after.png")
    plots.save(plots.accuracies("metrics/details/eval.json"), "plots/accuracy.png")


if __name__ == "__main__":
    entry.run(main)
