"""The samples, pairs and scores that evaluation reads, as tables, and the columns that it adds to them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from picollm.core import files
from picollm.core.errors import DataError
from picollm.evaluation import measures
from picollm.stories.dread import dread
from picollm.stories.rule import Rule
from picollm.stories.spec import parse_prompt
from picollm.stories.story import derived_share

MODELS = ("base", "sft", "dpo")
REFERENCE = "sft"
POLICY = "dpo"
SPLITS = ("test", "unseen")
DERIVED = 8  # samples of a prompt whose sentences are looked up in the grammar, which takes milliseconds each


def read_table(path: str | Path) -> pd.DataFrame:
    """A JSONL file as a table."""
    return pd.DataFrame([row for _, row in files.read_jsonl(path)])


def read_pairs(model: str, split: str) -> pd.DataFrame:
    """The pairs of a split, `words` and `dread`, those of the chosen response less those of the rejected, and the log-probs under
    `model` and the reference model."""
    columns = ["id", "p_chosen", "stratum", "chosen_score", "rejected_score", "words", "dread"]
    pairs = read_table(f"data/test_pairs/{split}.jsonl")
    for name, measure in (("words", lambda text: len(text.split())), ("dread", dread)):
        pairs[name] = pairs["chosen"].map(measure) - pairs["rejected"].map(measure)
    pairs = pairs[columns]
    reference = read_table(f"data/scores/{REFERENCE}/pairs_{split}.jsonl").rename(
        columns=lambda name: f"reference_{name}"
    )
    scores = read_table(f"data/scores/{model}/pairs_{split}.jsonl")
    return _beside(_beside(pairs, scores, ["id"]), reference.rename(columns={"reference_id": "id"}), ["id"])


def read_samples(model: str, rule: Rule) -> pd.DataFrame:
    """The samples of `model`, and for each `words`, `labels`, `adherence`, `dread` and `reward`, that of the rule, and for the first
    DERIVED of a prompt `derived`, the share of sentences that the grammar of the stories derives; for those at temperature 1, but for the
    reference's own, also `kl`, `logps`, `reference_logps` and `tokens`.

    `labels` (whether each of the prompt's labelled values occurs) and `adherence`, the share that does, are absent unless all prompts
    are made of labelled lines, `dread`, `reward` and `derived` unless all are story specifications: of other texts they say nothing.
    """
    samples = _measured(read_table(f"data/samples/{model}.jsonl"), rule)
    if model == REFERENCE:
        return samples
    exact = samples[~samples["reader"]]
    scored = _beside(exact, read_table(f"data/scores/{model}/samples.jsonl"), ["id", "number"])
    return pd.concat([scored, samples[samples["reader"]]], ignore_index=True)


def read_track(rule: Rule) -> dict[int, pd.DataFrame]:
    """The samples of each snapshot of the DPO run by its step, as `read_samples` gives those of a policy at temperature 1."""
    steps = files.read_json("data/track/steps.json")
    return {step: _measured(read_table(f"data/track/{step:06d}.jsonl"), rule) for step in steps}


def _measured(samples: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    samples["words"] = [len(text.split()) for text in samples["completion"]]
    found = labels_found(samples)
    if all(found):
        samples["labels"] = found
        samples["adherence"] = [float(np.mean(list(of_sample.values()))) for of_sample in found]
    specs = {prompt: parse_prompt(prompt) for prompt in samples["prompt"].unique()}
    if all(specs.values()):
        samples["dread"] = [dread(text) for text in samples["completion"]]
        samples["reward"] = [rule.reward(text) for text in samples["completion"]]
        samples["derived"] = [
            derived_share(row.completion, specs[row.prompt]) if row.number < DERIVED else np.nan
            for row in samples.itertuples()
        ]
    return samples


def logratios(pairs: pd.DataFrame, side: str) -> pd.Series:
    """log p_model - log p_reference of the chosen or rejected responses, in nats."""
    return pairs[f"{side}_logps"] - pairs[f"reference_{side}_logps"]


def labels_found(samples: pd.DataFrame) -> list[dict[str, bool]]:
    """Whether each labelled value of its prompt occurs in the sample, for each sample."""
    values = {prompt: measures.labelled_values(prompt) for prompt in samples["prompt"].unique()}
    rows = zip(samples["prompt"], samples["completion"], strict=True)
    return [measures.adherence(values[prompt], completion) for prompt, completion in rows]


def by_prompt(samples: pd.DataFrame, column: str) -> np.ndarray:
    """A column of samples as [P, N]: P prompts in their order, N samples each. Raises DataError unless every prompt has N."""
    ids, count = samples["id"].to_numpy(), samples["id"].nunique()
    if len(ids) % count or (ids.reshape(count, -1) != ids.reshape(count, -1)[:, :1]).any():
        raise DataError("data/samples: expected equally many samples of each prompt; run the sample stages again")
    return samples[column].to_numpy().reshape(count, -1)


def check_same_prompts(samples: dict[str, pd.DataFrame]) -> None:
    """Raise DataError unless the samples of all models have the same prompts in the same order."""
    prompts = {
        name: table[["split", "reader", "id", "prompt"]].drop_duplicates().reset_index(drop=True)
        for name, table in samples.items()
    }
    for name, table in prompts.items():
        if not table.equals(prompts[REFERENCE]):
            raise DataError(
                f"data/samples/{name}.jsonl: expected the ids and prompts of data/samples/{REFERENCE}.jsonl, in the same "
                "order; run the sample stages again"
            )


def splits_of(folder: str) -> Sequence[str]:
    """The splits for which `folder` has a file."""
    return [split for split in SPLITS if Path(f"{folder}/{split}.jsonl").exists()]


def _beside(rows: pd.DataFrame, scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows with their scores, which are in the same order. Raises DataError if they belong to other rows."""
    if rows[keys].values.tolist() != scores[keys].values.tolist():
        raise DataError("data/scores: not the scores of these rows; run the score stage again")
    return pd.concat([rows.reset_index(drop=True), scores.drop(columns=keys)], axis=1)
