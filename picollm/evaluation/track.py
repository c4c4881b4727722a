"""True reward along DPO's training, from its snapshots, and what stopping by validation loss costs. No torch."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from picollm.evaluation.metrics import sample_measures
from picollm.evaluation.tables import by_prompt
from picollm.evaluation.truth import Truth, truth_measures

SAMPLED = (
    "reward",
    "reward_low",
    "reward_high",
    "dread",
    "gain",
    "kl",
    "kl_low",
    "kl_high",
    "kl_efficiency",
    "adherence",
    "ended",
    "length",
)
TRACK = ("step", *SAMPLED, "entropy", "validation_loss", "rewards/accuracies", "logps/chosen", "logps/rejected")


def track_table(
    snapshots: Mapping[int, pd.DataFrame], reference: pd.DataFrame, validation: pd.DataFrame
) -> pd.DataFrame:
    """TRACK, one row a snapshot: means over its samples on test prompts, `entropy` = -log p of a sample in nats, and of the run's
    `validation` log, val.csv, the row of the same step. What is unknown is missing."""
    rows = []
    for step, samples in snapshots.items():
        measured = sample_measures(samples) | {"entropy": -float(samples["logps"].mean())}
        if "reward" in samples:
            truth = Truth(by_prompt(reference, "reward"), by_prompt(samples, "reward"), by_prompt(samples, "kl"))
            measured |= truth_measures(truth)
        logged = validation[validation["step"] == step].iloc[0]
        rows.append({"step": step, **measured, "validation_loss": logged["loss"], **logged.drop(["step", "loss"])})
    return pd.DataFrame(rows, columns=list(TRACK))


def stopping_measures(snapshots: Mapping[int, pd.DataFrame], validation: pd.DataFrame) -> dict[str, float]:
    """`kept_step`, that of the snapshot with the lowest validation loss (the run keeps the weights of the lowest of all validations),
    `best_step`, that of the snapshot with the highest mean reward, and `regret`, by how much the reward of the best is above that of
    the kept one.

    The best of several noisy means is too high, so the step is chosen on every other prompt and `regret` measured on the rest, and
    the other way round; the regret is the mean of both. Empty without two prompts, two snapshots, or a true reward.
    """
    steps = list(snapshots)
    if len(steps) < 2 or not all("reward" in samples for samples in snapshots.values()):
        return {}
    rewards = np.stack(
        [by_prompt(samples, "reward").mean(axis=1) for samples in snapshots.values()]
    )  # [steps, prompts]
    if rewards.shape[1] < 2:
        return {}
    losses = validation.set_index("step")["loss"]
    kept = int(losses[steps].to_numpy().argmin())
    halves = rewards[:, ::2], rewards[:, 1::2]
    regrets = []
    for chosen_on, measured_on in (halves, halves[::-1]):
        means = measured_on.mean(axis=1)
        regrets.append(means[chosen_on.mean(axis=1).argmax()] - means[kept])
    best = int(rewards.mean(axis=1).argmax())
    return {"kept_step": steps[kept], "best_step": steps[best], "regret": float(np.mean(regrets))}
