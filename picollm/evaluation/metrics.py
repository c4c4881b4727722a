"""Losses, accuracies, rewards, KL and story measures of the base, SFT and DPO models, as flat numbers.

The SFT model is the reference of all implicit rewards, KL estimates and win rates.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from picollm.core import files
from picollm.core.errors import DataError
from picollm.evaluation import measures
from picollm.stories.dread import dread, horror_lexicon_count
from picollm.stories.spec import SLOTS, parse_prompt

MODELS = ("base", "sft", "dpo")
REFERENCE = "sft"
POLICY = "dpo"
SPLITS = ("test", "unseen")
# Keys of metrics/eval.json, in order, and their keys in metrics/details/eval.json.
HEADLINE = {
    "dpo.reward_acc": "dpo.test.reward_acc",
    "ceiling": "dpo.test.ceiling",
    "dpo.reward_acc_unseen": "dpo.unseen.reward_acc",
    "ceiling_unseen": "dpo.unseen.ceiling",
    "dpo.pref_acc": "dpo.test.pref_acc",
    "sft.pref_acc": "sft.test.pref_acc",
    "dpo.win_rate": "dpo.test.win_rate",
    "dpo.dread": "dpo.test.dread",
    "sft.dread": "sft.test.dread",
    "dpo.kl": "dpo.test.kl",
    "dpo.adherence": "dpo.test.adherence",
    "sft.adherence": "sft.test.adherence",
    "dpo.adherence_unseen": "dpo.unseen.adherence",
    "sft.adherence_unseen": "sft.unseen.adherence",
    "dpo.ended": "dpo.test.ended",
    "sft.ended": "sft.test.ended",
    "dpo.sft_loss": "dpo.sft_loss",
    "sft.sft_loss": "sft.sft_loss",
}


def read_table(path: str | Path) -> pd.DataFrame:
    """A JSONL file as a table."""
    return pd.DataFrame([row for _, row in files.read_jsonl(path)])


def read_pairs(model: str, split: str) -> pd.DataFrame:
    """The pairs of a split with their log-probs under `model` and the reference model."""
    pairs = read_table(f"data/preferences/{split}.jsonl")[["id", "p_chosen", "stratum"]]
    reference = read_table(f"data/scores/{REFERENCE}/pairs_{split}.jsonl").rename(
        columns=lambda name: f"reference_{name}"
    )
    scores = read_table(f"data/scores/{model}/pairs_{split}.jsonl")
    return _beside(_beside(pairs, scores), reference.rename(columns={"reference_id": "id"}))


def read_samples(model: str) -> pd.DataFrame:
    """The samples of `model` with their log-probs under `model` and the reference model."""
    samples = read_table(f"data/samples/{model}.jsonl")
    return pd.concat(
        _beside(rows, read_table(f"data/scores/{model}/samples_{split}.jsonl"))
        for split, rows in samples.groupby("split", sort=False)
    )


def _beside(rows: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Rows with their scores, which are in the same order. Raises DataError if they belong to other rows."""
    if rows["id"].tolist() != scores["id"].tolist():
        raise DataError("data/scores: not the scores of these rows; run the score stage again")
    return pd.concat([rows.reset_index(drop=True), scores.drop(columns="id")], axis=1)


def response_measures(responses: pd.DataFrame) -> dict[str, float]:
    """`sft_loss` in nats per response token, end-of-text included, and `bits_per_byte` of the responses."""
    nats = -float(responses["logps"].sum())
    return {
        "sft_loss": nats / int(responses["tokens"].sum()),
        "bits_per_byte": nats / np.log(2) / int(responses["bytes"].sum()),
    }


def pair_measures(pairs: pd.DataFrame, beta: float | None) -> dict[str, float]:
    """Of one split, as a whole and per stratum: accuracies with 95 % intervals, and the ceiling. With `beta`, that of the model's
    training, also the accuracies of its implicit rewards, and their mean margin over the split."""
    accuracies = {"pref_acc": (pairs["chosen_logps"], pairs["rejected_logps"])}
    numbers = {}
    if beta is not None:
        rewards = [
            beta * (pairs[f"{side}_logps"] - pairs[f"reference_{side}_logps"]) for side in ("chosen", "rejected")
        ]
        accuracies["reward_acc"] = tuple(rewards)
        numbers["margin"] = float((rewards[0] - rewards[1]).to_numpy().mean())
    groups = [("", pairs.index)]
    if pairs["stratum"].nunique() > 1:
        groups += [(f"{name}.", members.index) for name, members in pairs.groupby("stratum", sort=True)]
    for prefix, rows in groups:
        p_chosen = pairs.loc[rows, "p_chosen"]
        if p_chosen.notna().all():
            numbers[f"{prefix}ceiling"] = float(np.maximum(p_chosen, 1 - p_chosen).mean())
        for name, (chosen, rejected) in accuracies.items():
            accuracy = measures.accuracy(chosen[rows].to_numpy(), rejected[rows].to_numpy())
            low, high = measures.wilson_interval(accuracy * len(rows), len(rows))
            numbers |= {f"{prefix}{name}": accuracy, f"{prefix}{name}_low": low, f"{prefix}{name}_high": high}
    return numbers


def sample_measures(samples: pd.DataFrame, baseline: pd.DataFrame | None) -> dict[str, float]:
    """Measures of one model's samples on one split. `baseline`: the reference's samples for the same prompts, None for the
    reference itself. Dread, lexicon, win rate and adherence are absent if the prompts are not story specifications."""
    texts = samples["completion"].tolist()
    numbers: dict[str, float] = {}
    slots = slot_adherence(samples)
    if slots is not None:
        scores = np.array([dread(text) for text in texts])
        numbers |= dict(zip(("dread", "dread_low", "dread_high"), measures.mean_interval(scores), strict=True))
        if baseline is not None:
            baseline_scores = np.array([dread(text) for text in baseline["completion"]])
            win_rate = measures.win_rate(scores, baseline_scores)
            numbers |= dict(zip(("win_rate", "win_rate_low", "win_rate_high"), win_rate, strict=True))
    if baseline is not None:
        columns = (samples[name].to_numpy() for name in ("logps", "reference_logps", "tokens"))
        numbers |= dict(zip(("kl", "kl_per_token"), measures.kl_estimate(*columns), strict=True))
    numbers |= {
        "distinct_2": measures.distinct_2(texts),
        "repetition": measures.repetition(texts),
        "ended": float(samples["ended"].mean()),
        "length": float(np.mean([len(text.split()) for text in texts])),
    }
    if slots is not None:
        numbers["lexicon"] = float(np.mean([horror_lexicon_count(text) for text in texts]))
        numbers["adherence"] = float(slots.mean())
    return numbers


def slot_adherence(samples: pd.DataFrame) -> np.ndarray | None:
    """Share of samples in which each slot's value occurs [7], or None if the prompts are not story specifications."""
    specs = [parse_prompt(prompt) for prompt in samples["prompt"]]
    if any(spec is None for spec in specs):
        return None
    return measures.adherence(specs, samples["completion"].tolist()).mean(axis=0)


def adherence_rows(samples: dict[str, pd.DataFrame]) -> list[dict]:
    """The rows of plots/adherence.csv: model, split, slot, adherence."""
    rows = []
    for model, table in samples.items():
        for split, members in table.groupby("split", sort=False):
            slots = slot_adherence(members)
            if slots is not None:
                rows += [
                    {"model": model, "split": split, "slot": slot, "adherence": float(share)}
                    for slot, share in zip(SLOTS, slots, strict=True)
                ]
    return rows


def check_same_prompts(samples: dict[str, pd.DataFrame]) -> None:
    """Raise DataError unless every model's samples have the same prompts in the same order."""
    for name, table in samples.items():
        if not table[["id", "prompt"]].equals(samples[REFERENCE][["id", "prompt"]]):
            raise DataError(
                f"data/samples/{name}.jsonl: expected the ids and prompts of data/samples/{REFERENCE}.jsonl, in the same "
                "order; run the sample stages again"
            )


def splits_of(folder: str) -> Sequence[str]:
    """The splits for which `folder` has a file."""
    return [split for split in SPLITS if Path(f"{folder}/{split}.jsonl").exists()]
