"""plot: CSV and JSON files of the other stages -> plots/{curves,losses,before_after,accuracy,reward_kl,track}.png"""

from picollm.core import entry
from picollm.lab import figures
from picollm.lab.drawing import save
from picollm.lab.reward_kl import reward_kl
from picollm.lab.track import track

EVALUATION = "metrics/details/eval.json"


def main():
    save(figures.curves("plots/sft/monitor.csv", "plots/dpo/train.csv"), "plots/curves.png")
    save(figures.losses({stage: f"plots/{stage}" for stage in ("pretrain", "sft", "dpo")}), "plots/losses.png")
    save(figures.before_after(EVALUATION, "plots/adherence.csv"), "plots/before_after.png")
    save(figures.accuracies(EVALUATION), "plots/accuracy.png")
    save(track("metrics/details/track.csv", EVALUATION), "plots/track.png")
    save(reward_kl(EVALUATION, "plots/optimum.csv", "plots/calibration.csv"), "plots/reward_kl.png")


if __name__ == "__main__":
    entry.run(main)
