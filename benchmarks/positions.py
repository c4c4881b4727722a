"""Where in a story is KL spent? python -m benchmarks.positions

In a folder with a complete `dvc repro`, in half a minute: the exact KL of DPO from SFT up to the Nth word of DPO's samples, and what the
optimum of the same reward has spent by then, at least: the KL between GROUPS groups of SFT's samples whose first N words have about
equally much dread. The last line is of whole stories.
"""

import numpy as np
import pandas as pd

from picollm.core import config, entry
from picollm.evaluation.optimum import optimum
from picollm.evaluation.settings import Labels
from picollm.evaluation.tables import POLICY, REFERENCE, by_prompt, read_samples
from picollm.model.directory import load_model, load_model_and_tokenizer
from picollm.scoring.scorer import Scorer
from picollm.stories.dread import dread
from picollm.text.tokenizer import Tokenizer

WORDS = (10, 20, 30, 60, 80, 120)
GROUPS = 6


def main():
    rule = config.load(Labels).preferences.rule
    samples = {name: read_samples(name, rule).query("not reader and split == 'test'") for name in (REFERENCE, POLICY)}
    rewards = by_prompt(samples[REFERENCE], "reward")
    best = optimum(rewards)
    t = np.interp(samples[POLICY]["reward"].mean(), best.rewards.mean(axis=0), best.ts)
    weights = np.exp(t * (rewards - rewards.max(axis=1, keepdims=True)))
    weights /= weights.sum(axis=1, keepdims=True)
    model, tokenizer = load_model_and_tokenizer("models/dpo")
    reference = load_model("models/sft")
    scorer = Scorer(tokenizer, model.config.max_position_embeddings, False, 32, "float32")
    print(f"{'words':>6} {'DPO, nats':>10} {'optimum':>8}   (t = {t:.3f})")
    for words in WORDS:
        cut = [_cut(row, words, tokenizer) for row in samples[POLICY].to_dict("records")]
        spent = np.mean([row["kl"] for row in scorer.samples(model, reference, cut)])
        print(f"{words:6} {spent:10.3f} {_between_groups(samples[REFERENCE], words, weights):8.3f}")
    kl = np.interp(t, best.ts, best.kls.mean(axis=0))
    print(f"{'end':>6} {samples[POLICY]['kl'].mean():10.3f} {kl:8.3f}")


def _cut(sample: dict, words: int, tokenizer: Tokenizer) -> dict:
    """The sample up to its Nth word, without end of text."""
    tokens = len(tokenizer.encode(" ".join(sample["completion"].split(" ")[:words])))
    return sample | {"completion_ids": sample["completion_ids"][:tokens], "end_ids": []}


def _between_groups(samples: pd.DataFrame, words: int, weights: np.ndarray) -> float:
    """KL (nats, mean over prompts) of the groups' shares under `weights` [P, N] from their shares among the samples, less what chance
    alone makes of it, to first order: (GROUPS - 1) / 2 of (sum of w^2 - 1/N)."""
    starts = samples.assign(dread=[dread(" ".join(text.split(" ")[:words])) for text in samples["completion"]])
    levels = by_prompt(starts, "dread")
    groups = np.digitize(levels, np.quantile(levels, np.arange(1, GROUPS) / GROUPS))
    one_of = groups[:, :, None] == np.arange(GROUPS)
    before, after = one_of.mean(axis=1), (one_of * weights[:, :, None]).sum(axis=1)
    ratios = np.log(np.where(after > 0, after, 1) / np.where(before > 0, before, 1))
    bias = (GROUPS - 1) / 2 * ((weights**2).sum(axis=1) - 1 / weights.shape[1])
    return float(((after * ratios).sum(axis=1) - bias).mean())


if __name__ == "__main__":
    entry.run(main)
