"""plot: the CSV and JSON of the other stages -> the four figures"""

from picollm import entry, plots


def main():
    plots.curves("plots/sft/monitor.csv", "plots/dpo/train.csv", "plots/curves.png")
    plots.losses("plots", "plots/losses.png")
    plots.before_after("metrics/eval.json", "plots/adherence.csv", "plots/before_after.png")
    plots.accuracy_bars("metrics/eval.json", "plots/accuracy.png")


if __name__ == "__main__":
    entry.run(main)
