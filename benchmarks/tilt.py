"""What has DPO learned to raise? python -m benchmarks.tilt

In a folder with a complete `dvc repro`, in two minutes on one core. Prints

- how few positions of DPO's samples hold its KL from SFT, and what part of it the classes of the rule's lexicon hold (dread, comfort and
  neither: the KL between the shares of the three);
- how DPO's log-ratio to SFT grows with the reward of SFT's samples, below and above their mean, and the share of its variance that the
  reward explains among DPO's own stories (SFT's samples, weighted by the ratio); the optimum's is 1;
- what it costs to raise each word of the lexicon by its weight, whatever the story: the policy SFT * exp(strength * weight).
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from picollm.batching.rows import ResponseRows
from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.evaluation.optimum import optimum
from picollm.evaluation.settings import Labels
from picollm.evaluation.tables import POLICY, REFERENCE, by_prompt, read_samples
from picollm.inference.sampling import exact_samples
from picollm.inference.settings import Sample
from picollm.logprobs.logps import token_kl
from picollm.model.directory import load_model, load_model_and_tokenizer
from picollm.scoring.scorer import Scorer
from picollm.stories.dread import dread
from picollm.text.tokenizer import Tokenizer

SHARES = (0.01, 0.05, 0.1)
STRENGTHS = (0.2, 0.4, 0.8)
SAMPLES = 32  # of a prompt, of SFT's


def main():
    p = config.load(Seed, Labels, Sample)
    rule = p.preferences.rule
    samples = {name: read_samples(name, rule).query("not reader and split == 'test'") for name in (REFERENCE, POLICY)}
    policy, tokenizer = load_model_and_tokenizer("models/dpo")
    reference = load_model("models/sft")
    weights = lexicon_weights(tokenizer)
    scorer = Scorer(tokenizer, policy.config.max_position_embeddings, False, 32, "float32")
    concentration(policy, reference, samples[POLICY].to_dict("records"), weights)
    log_ratios(scorer, policy, reference, samples[REFERENCE].query(f"number < {SAMPLES}").reset_index(drop=True))

    rewards = by_prompt(samples[REFERENCE], "reward")
    best = optimum(rewards)
    prompts = [row for _, row in files.read_jsonl("data/sft/prompts.jsonl") if row["split"] == "test"]
    tilted = load_model("models/sft")
    for strength in STRENGTHS:
        tilted.lm_head = Tilted(reference.lm_head, strength * weights)
        drawn = exact_samples(
            tilted, tokenizer, prompts[: p.sample.prompts], POLICY, p.sample, truncate=False, seed=p.seed
        )
        reward = np.mean([rule.reward(row["completion"]) for row in drawn])
        kl = np.mean([row["kl"] for row in scorer.samples(tilted, reference, drawn)])
        least = np.interp(reward, best.rewards.mean(axis=0), best.kls.mean(axis=0), right=np.nan)
        print(
            f"words raised by {strength} * weight: reward {reward:.1f}, {kl:.2f} nats, kl_efficiency {least / kl:.2f}"
        )


class Tilted(nn.Module):
    """An output head with `bias` [V] added to its logits."""

    def __init__(self, head: nn.Module, bias: Tensor):
        super().__init__()
        self.head, self.bias = head, bias

    def forward(self, hidden: Tensor) -> Tensor:
        return self.head(hidden) + self.bias


def lexicon_weights(tokenizer: Tokenizer) -> Tensor:
    """The rule's weight of each token that is a whole word of its lexicon, 0 of any other: [V]."""
    texts = [tokenizer.decode([i]) for i in range(tokenizer.vocab_size)]
    # The dread of a text of one word is 100 * 2 * weight / 21.
    return torch.tensor([dread(text) * 21 / 200 if len(text.split()) == 1 else 0.0 for text in texts])


@torch.inference_mode()
def concentration(policy, reference, samples: list[dict], weights: Tensor) -> None:
    classes = torch.stack([weights > 0, weights < 0, weights == 0], dim=1).float()
    kls, of_classes = [], 0.0
    for row in samples:
        ids = row["prompt_ids"] + row["completion_ids"] + row["end_ids"]
        batch = ResponseRows([np.array(ids)], [len(row["prompt_ids"])]).batch(np.arange(1))
        hidden = (m.hidden(batch.input_ids, batch.layout, batch.predictors) for m in (policy, reference))
        logps = [m.lm_head(h).log_softmax(dim=-1) for m, h in zip((policy, reference), hidden, strict=True)]
        kls.append(token_kl(*logps))
        of_classes += token_kl(*((table.exp() @ classes).clamp(min=1e-12).log() for table in logps)).sum().item()
    ordered = torch.cat(kls).sort(descending=True).values
    held = [
        f"{share:.0%} hold {(ordered[: int(share * len(ordered))].sum() / ordered.sum()).item():.0%}"
        for share in SHARES
    ]
    print(f"KL {ordered.sum().item() / len(samples):.2f} nats; of the positions {', '.join(held)} of it")
    print(f"KL between the shares of dread, comfort and other words: {of_classes / len(samples):.2f} nats")


def log_ratios(scorer: Scorer, policy, reference, samples: pd.DataFrame) -> None:
    scored = pd.DataFrame(scorer.samples(policy, reference, samples.to_dict("records")))
    ratio = (scored["logps"] - scored["reference_logps"]).groupby(samples["id"])
    reward = samples["reward"].groupby(samples["id"])
    y, x = (values.transform(lambda of_prompt: of_prompt - of_prompt.mean()) for values in (ratio, reward))
    for name, half in (("below", x < 0), ("above", x >= 0)):
        print(f"log-ratio {name} the mean reward: {np.polyfit(x[half], y[half], 1)[0]:.3f} nats a point")
    w = np.exp(scored["logps"] - scored["reference_logps"])
    w /= w.groupby(samples["id"]).transform("sum")
    y, x = (v - (w * v).groupby(samples["id"]).transform("sum") for v in (y, x))
    explained = (w * x * y).sum() ** 2 / ((w * x * x).sum() * (w * y * y).sum())
    print(f"share of the log-ratio's variance among DPO's stories that the reward explains: {explained:.2f}")


if __name__ == "__main__":
    entry.run(main)
