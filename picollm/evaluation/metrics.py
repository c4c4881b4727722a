"""Losses, accuracies, rewards, KL and story measures of the base, SFT and DPO models, as flat numbers with 95 % intervals.

The SFT model is the reference of all implicit rewards, KLs, win rates and of the optimum.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from picollm.evaluation import measures, optimum
from picollm.evaluation.calibration import calibration_measures
from picollm.evaluation.intervals import mean_interval, share_interval, wilson_interval
from picollm.evaluation.length import length_measures
from picollm.evaluation.tables import DERIVED, POLICY, REFERENCE, by_prompt, logratios
from picollm.evaluation.truth import Truth, truth_measures
from picollm.stories.spec import parse_prompt
from picollm.stories.story import story_logp

# Keys of metrics/eval.json, in order, and their keys in metrics/details/eval.json.
HEADLINE = {
    "dpo.gain": "dpo.test.gain",
    "dpo.kl": "dpo.test.kl",
    "dpo.kl_efficiency": "dpo.test.kl_efficiency",
    "dpo.regret": "dpo.test.regret",
    "dpo.ended": "dpo.test.ended",
    "sft.ended": "sft.test.ended",
    "dpo.reward_acc": "dpo.test.reward_acc",
    "ceiling": "dpo.test.ceiling",
    "dpo.reward_acc_unseen": "dpo.unseen.reward_acc",
    "dpo.pref_acc": "dpo.test.pref_acc",
    "dpo.calibration": "dpo.test.calibration",
    "dpo.dread": "dpo.test.dread",
    "sft.dread": "sft.test.dread",
    "dpo.win_rate": "dpo.test.win_rate",
    "dpo.adherence": "dpo.test.adherence",
    "sft.adherence": "sft.test.adherence",
    "dpo.adherence_unseen": "dpo.unseen.adherence",
    "sft.adherence_unseen": "sft.unseen.adherence",
    "dpo.derived": "dpo.test.derived",
    "sft.derived": "sft.test.derived",
    "dpo.reader_dread": "dpo.test.reader_dread",
    "dpo.sft_loss": "dpo.sft_loss",
}
INTERVALS = {
    "dread": mean_interval,
    "reward": mean_interval,
    "kl": mean_interval,
    "length": mean_interval,
    "ended": share_interval,
    "adherence": share_interval,
    "derived": share_interval,
}


def headline(numbers: dict[str, float]) -> dict[str, float]:
    """The numbers of metrics/eval.json, those that there are."""
    return {key: numbers[name] for key, name in HEADLINE.items() if name in numbers}


def samples_of_split(name: str, split: str, samples: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, float]:
    """All measures of the samples of model `name` on a split; `baseline` are the reference's at temperature 1. Names of what was drawn
    as by a reader begin with `reader_`; what they cannot say, such as KL, is absent."""
    exact, as_read = samples[~samples["reader"]], samples[samples["reader"]]
    numbers = sample_measures(exact) | {f"reader_{key}": value for key, value in sample_measures(as_read).items()}
    if name != REFERENCE:
        numbers |= comparison_measures(exact, baseline)
    if split == "test":  # the unseen split has one sample a prompt
        numbers |= reward_measures(exact, baseline) if name == POLICY else {}
        numbers |= best_of_n_measures(exact) if name == REFERENCE else {}
    return numbers


def response_measures(responses: pd.DataFrame) -> dict[str, float]:
    """`sft_loss` in nats per response token, end-of-text included, and `bits_per_byte` of the responses."""
    nats = -float(responses["logps"].sum())
    return {
        "sft_loss": nats / int(responses["tokens"].sum()),
        "bits_per_byte": nats / np.log(2) / int(responses["bytes"].sum()),
    }


def loss_floor(rows: pd.DataFrame, responses: pd.DataFrame, mix: Mapping[str, float]) -> dict[str, float]:
    """`sft_loss_floor`, the `sft_loss` of the grammar that wrote the responses, in nats per token of the model's tokenizer.

    Empty unless the grammar writes every response of `rows`, the tones drawn by the weights `mix`, and all were scored as a whole.
    """
    specs = [parse_prompt(prompt) for prompt in rows["prompt"]]
    whole = [len(text.encode()) for text in rows["response"]] == responses["bytes"].tolist()  # not truncated
    if not (whole and all(specs)):
        return {}
    logp = sum(story_logp(text, spec, mix) for text, spec in zip(rows["response"], specs, strict=True))
    return {"sft_loss_floor": -logp / int(responses["tokens"].sum())} if np.isfinite(logp) else {}


def pair_measures(pairs: pd.DataFrame, beta: float | None, trained: bool = True) -> dict[str, float]:
    """Of one split, as a whole and per stratum: accuracies with 95 % intervals, and the ceiling. With `beta`, that of the model's
    training, also the accuracies of its implicit rewards, and over the split their mean margin. If these margins are the ones that
    training saw (`trained`), also their calibration, and how much of them is about length."""
    accuracies = {"pref_acc": (pairs["chosen_logps"], pairs["rejected_logps"])}
    numbers = {}
    if beta is not None:
        rewards = [beta * logratios(pairs, side) for side in ("chosen", "rejected")]
        accuracies["reward_acc"] = tuple(rewards)
        margins = (rewards[0] - rewards[1]).to_numpy()
        numbers["margin"] = float(margins.mean())
        if trained and pairs["p_chosen"].notna().all():
            differences = (pairs["chosen_score"] - pairs["rejected_score"]).to_numpy()
            p_chosen = pairs["p_chosen"].to_numpy(float)
            numbers |= calibration_measures(margins, differences, p_chosen)
            numbers |= length_measures(margins, pairs["dread"].to_numpy(), pairs["words"].to_numpy(), p_chosen)
    groups = [("", pairs.index)]
    if pairs["stratum"].nunique() > 1:
        groups += [(f"{name}.", members.index) for name, members in pairs.groupby("stratum", sort=True)]
    for prefix, rows in groups:
        p_chosen = pairs.loc[rows, "p_chosen"]
        if p_chosen.notna().all():
            numbers[f"{prefix}ceiling"] = float(np.maximum(p_chosen, 1 - p_chosen).mean())
        for name, (chosen, rejected) in accuracies.items():
            accuracy = measures.accuracy(chosen[rows].to_numpy(), rejected[rows].to_numpy())
            low, high = wilson_interval(accuracy * len(rows), len(rows))
            numbers |= {f"{prefix}{name}": accuracy, f"{prefix}{name}_low": low, f"{prefix}{name}_high": high}
    return numbers


def sample_measures(samples: pd.DataFrame) -> dict[str, float]:
    """Measures of the texts of one model on one split, all drawn in the same way; means are over prompts, so that their intervals
    allow for samples of one prompt being alike. Those that need columns which the table lacks are absent."""
    columns = samples.rename(columns={"words": "length"})
    numbers: dict[str, float] = {}
    for name, interval in INTERVALS.items():
        if name in columns:
            known = columns[columns["number"] < DERIVED] if name == "derived" else columns
            if known[name].notna().all():
                values = interval(by_prompt(known, name).astype(float).mean(axis=1))
                numbers |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
    texts = samples["completion"].tolist()
    one_each = samples.loc[samples["number"] == 0, "completion"].tolist()  # distinct_2 falls with the number of texts
    numbers |= {
        "distinct_2": measures.distinct_2(one_each),
        "repetition": measures.repetition(texts),
    }
    return numbers


def comparison_measures(samples: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, float]:
    """`kl_per_token` of a model's samples and, if there is a true reward, `win_rate`, the share of all pairs (sample, sample of the
    reference) of a prompt in which the model's has more."""
    numbers = {"kl_per_token": float(samples["kl"].sum() / samples["tokens"].sum())}
    if "reward" in samples:
        rates = measures.win_rates(by_prompt(samples, "reward"), by_prompt(baseline, "reward"))
        numbers |= dict(zip(("win_rate", "win_rate_low", "win_rate_high"), share_interval(rates), strict=True))
    return numbers


def reward_measures(samples: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, float]:
    """What the policy gained in true reward for its KL (`truth.py`), and `rank_correlation`, that of log p_policy - log p_reference
    and true reward within a prompt, averaged over prompts. Empty if there is no true reward."""
    if "reward" not in samples:
        return {}
    rewards = by_prompt(samples, "reward")
    numbers = truth_measures(Truth(by_prompt(baseline, "reward"), rewards, by_prompt(samples, "kl")))
    implicit = by_prompt(samples.assign(implicit=samples["logps"] - samples["reference_logps"]), "implicit")
    correlations = measures.rank_correlations(implicit, rewards)
    correlations = correlations[np.isfinite(correlations)]
    if len(correlations):
        names = ("rank_correlation", "rank_correlation_low", "rank_correlation_high")
        numbers |= dict(zip(names, mean_interval(correlations), strict=True))
    return numbers


def best_of_n_measures(samples: pd.DataFrame) -> dict[str, float]:
    """`best_of_n`, the mean reward of the best of n samples, for n = 2, 4, 8, ... up to a quarter of the samples of a prompt."""
    if "reward" not in samples:
        return {}
    rewards = by_prompt(samples, "reward")
    numbers = {}
    for n in (2**power for power in range(1, 20) if 2**power <= rewards.shape[1] // 4):
        names = (f"best_of_{n}", f"best_of_{n}_low", f"best_of_{n}_high")
        numbers |= dict(zip(names, mean_interval(optimum.best_of_n(rewards, n)), strict=True))
    return numbers
