"""What training did: losses, accuracies, rewards, KL and story measures of base, SFT and DPO model, as flat numbers.

Definitions are those of the README's table; the reference of every implicit reward and of every KL is the SFT model.
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
SPLITS = ("test", "unseen")


def read_table(path: str | Path) -> pd.DataFrame:
    """A JSONL file as a table."""
    return pd.DataFrame([row for _, row in files.read_jsonl(path)])


def read_pairs(model: str, split: str) -> pd.DataFrame:
    """The pairs of a split with their log-probs under a model and under the reference."""
    pairs = read_table(f"data/preferences/{split}.jsonl")[["id", "p_chosen", "stratum"]]
    reference = read_table(f"data/scores/{REFERENCE}/pairs_{split}.jsonl").set_index("id").add_prefix("reference_")
    scores = read_table(f"data/scores/{model}/pairs_{split}.jsonl").set_index("id")
    return pairs.join(scores, on="id").join(reference, on="id")


def read_samples(model: str) -> pd.DataFrame:
    """A model's samples with their log-probs under the model and under the reference."""
    samples = read_table(f"data/samples/{model}.jsonl")
    paths = [Path(f"data/scores/{model}/samples_{split}.jsonl") for split in samples["split"].unique()]
    return samples.join(pd.concat([read_table(path) for path in paths]).set_index("id"), on="id")


def response_measures(responses: pd.DataFrame) -> dict[str, float]:
    """`sft_loss` in nats per response token, end-of-text included, and `bits_per_byte` of the responses."""
    nats = -float(responses["logps"].sum())
    return {
        "sft_loss": nats / int(responses["tokens"].sum()),
        "bits_per_byte": nats / np.log(2) / int(responses["bytes"].sum()),
    }


def pair_measures(pairs: pd.DataFrame, beta: float) -> dict[str, float]:
    """Accuracies with 95 % intervals, margin and ceiling of one split, whole and per stratum."""
    rewards = {
        name: beta * (pairs[f"{name}_logps"] - pairs[f"reference_{name}_logps"]) for name in ("chosen", "rejected")
    }
    pairs = pairs.assign(chosen_reward=rewards["chosen"], rejected_reward=rewards["rejected"])
    numbers = {"margin": float((pairs["chosen_reward"] - pairs["rejected_reward"]).to_numpy().mean())}
    groups = [("", pairs)]
    if pairs["stratum"].nunique() > 1:
        groups += [(f"{name}.", members) for name, members in pairs.groupby("stratum", sort=True)]
    for prefix, members in groups:
        if members["p_chosen"].notna().all():
            p = members["p_chosen"].to_numpy(dtype=np.float64)
            numbers[f"{prefix}ceiling"] = sum(np.maximum(p, 1 - p).tolist()) / len(p)
        for name, column in (("pref_acc", "logps"), ("reward_acc", "reward")):
            share = measures.accuracy(members[f"chosen_{column}"], members[f"rejected_{column}"])
            low, high = measures.wilson_interval(share * len(members), len(members))
            numbers |= {f"{prefix}{name}": share, f"{prefix}{name}_low": low, f"{prefix}{name}_high": high}
    return numbers


def sample_measures(samples: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, float]:
    """Story measures of one model's samples on one split; `baseline` are the SFT model's for the same prompts."""
    texts = samples["completion"].tolist()
    scores, baseline_scores = (np.array([dread(text) for text in rows["completion"]]) for rows in (samples, baseline))
    mean, low, high = measures.mean_interval(scores)
    won, won_low, won_high = measures.win_rate(scores, baseline_scores)
    kl, kl_per_token = measures.kl_estimate(samples["logps"], samples["reference_logps"], samples["tokens"])
    numbers = {
        "dread": mean,
        "dread_low": low,
        "dread_high": high,
        "win_rate": won,
        "win_rate_low": won_low,
        "win_rate_high": won_high,
        "kl": kl,
        "kl_per_token": kl_per_token,
        "distinct_2": measures.distinct_2(texts),
        "repetition": measures.repetition(texts),
        "ended": float(samples["ended"].mean()),
        "length": float(np.mean([len(text.split()) for text in texts])),
        "lexicon": float(np.mean([horror_lexicon_count(text) for text in texts])),
    }
    slots = slot_adherence(samples)
    if slots is not None:
        numbers["adherence"] = float(slots.mean())
    return numbers


def slot_adherence(samples: pd.DataFrame) -> np.ndarray | None:
    """Share of samples in which each slot's value occurs [7], or None if the prompts are no specifications."""
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
    """Raise DataError unless every model's samples answer the same prompts in the same order."""
    for name, table in samples.items():
        if not table[["id", "prompt"]].equals(samples[REFERENCE][["id", "prompt"]]):
            raise DataError(f"data/samples/{name}.jsonl: other prompts than data/samples/{REFERENCE}.jsonl")


def splits_of(folder: str, prefix: str = "") -> Sequence[str]:
    """The splits for which a folder holds a file."""
    return [split for split in SPLITS if Path(f"{folder}/{prefix}{split}.jsonl").exists()]
