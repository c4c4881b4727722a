"""What training did: losses, accuracies, rewards, KL and story measures of base, SFT and DPO model, as flat numbers.

Definitions are those of the README's table; the reference of every implicit reward and of every KL is the SFT model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picollm import measures
from picollm.data.encode import encode_pairs, encode_sft
from picollm.data.pairs import ceiling
from picollm.data.records import PreferenceRecord, SFTRecord
from picollm.data.rows import PairRows, ResponseRows
from picollm.errors import DataError
from picollm.model import Transformer
from picollm.scoring import pair_logps, response_bytes, response_tokens, row_logps
from picollm.stories.dread import dread, horror_lexicon_count
from picollm.stories.spec import SLOTS, parse_prompt
from picollm.tokenizer import Tokenizer

MODELS = ("base", "sft", "dpo")
REFERENCE = "sft"


@dataclass(frozen=True)
class Scorer:
    """How rows are encoded and scored; the same for every model."""

    tokenizer: Tokenizer
    context: int
    truncate: bool
    batch_size: int
    precision: str

    def responses(self, model: Transformer, records: Sequence[SFTRecord]) -> dict[str, float]:
        """`sft_loss` in nats per response token, end-of-text included, and `bits_per_byte` of the responses."""
        rows = ResponseRows(*encode_sft(records, self.tokenizer, self.context, self.truncate))
        nats = -float(row_logps(model, rows, self.batch_size, self.precision).sum(dtype=np.float64))
        return {
            "sft_loss": nats / response_tokens(rows),
            "bits_per_byte": nats / np.log(2) / response_bytes(records),
        }

    def pairs(self, model: Transformer, records: Sequence[PreferenceRecord]) -> np.ndarray:
        """Summed log-probs of every pair [pairs, 2]: chosen, rejected."""
        rows = PairRows(*encode_pairs(records, self.tokenizer, self.context, self.truncate))
        return pair_logps(model, rows, self.batch_size, self.precision)

    def samples(self, model: Transformer, samples: Sequence[dict]) -> np.ndarray:
        """Summed log-prob of every sample's own tokens [samples], its end of text where it was reached."""
        sequences = [np.array(row["prompt_ids"] + _sampled_ids(row, self.tokenizer)) for row in samples]
        rows = ResponseRows(sequences, [len(row["prompt_ids"]) for row in samples])
        return row_logps(model, rows, self.batch_size, self.precision)


def _sampled_ids(row: dict, tokenizer: Tokenizer) -> list[int]:
    return row["completion_ids"] + ([tokenizer.eos_id] if row["ended"] else [])


def pair_measures(
    logps: np.ndarray, reference: np.ndarray, records: Sequence[PreferenceRecord], beta: float
) -> dict[str, float]:
    """Accuracies with 95 % intervals, margin and ceiling of one split, whole and per stratum: logps [pairs, 2]."""
    rewards = beta * (logps.astype(np.float64) - reference)
    numbers = {"margin": float((rewards[:, 0] - rewards[:, 1]).mean())}
    strata = sorted({record.stratum for record in records})
    groups = {"": np.ones(len(records), dtype=bool)}
    if len(strata) > 1:
        groups |= {f"{name}.": np.array([record.stratum == name for record in records]) for name in strata}
    for prefix, inside in groups.items():
        members = [record for record, is_in in zip(records, inside, strict=True) if is_in]
        if all(record.p_chosen is not None for record in members):
            numbers[f"{prefix}ceiling"] = ceiling(members)
        for name, values in (("pref_acc", logps), ("reward_acc", rewards)):
            share = measures.accuracy(values[inside, 0], values[inside, 1])
            low, high = measures.wilson_interval(share * len(members), len(members))
            numbers |= {
                f"{prefix}{name}": share,
                f"{prefix}{name}_low": low,
                f"{prefix}{name}_high": high,
            }
    return numbers


def sample_measures(
    samples: Sequence[dict], baseline: Sequence[dict], logps: np.ndarray, reference: np.ndarray, tokenizer: Tokenizer
) -> dict[str, float]:
    """Story measures of one model's samples on one split; `baseline` are the SFT model's for the same prompts."""
    texts = [row["completion"] for row in samples]
    scores = np.array([dread(text) for text in texts])
    baseline_scores = np.array([dread(row["completion"]) for row in baseline])
    mean, low, high = measures.mean_interval(scores)
    won, won_low, won_high = measures.win_rate(scores, baseline_scores)
    lengths = np.array([len(_sampled_ids(row, tokenizer)) for row in samples])
    kl, kl_per_token = measures.kl_estimate(logps, reference, lengths)
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
        "ended": float(np.mean([row["ended"] for row in samples])),
        "length": float(np.mean([len(text.split()) for text in texts])),
        "lexicon": float(np.mean([horror_lexicon_count(text) for text in texts])),
    }
    slots = slot_adherence(samples)
    if slots is not None:
        numbers["adherence"] = float(slots.mean())
    return numbers


def slot_adherence(samples: Sequence[dict]) -> np.ndarray | None:
    """Share of samples in which each slot's value occurs [7], or None where the prompts are no specifications."""
    specs = [parse_prompt(row["prompt"]) for row in samples]
    if any(spec is None for spec in specs):
        return None
    return measures.adherence(specs, [row["completion"] for row in samples]).mean(axis=0)


def adherence_rows(samples: dict[str, dict[str, list[dict]]]) -> list[dict]:
    """The rows of plots/adherence.csv: model, split, slot, adherence."""
    rows = []
    for model, splits in samples.items():
        for split, members in splits.items():
            slots = slot_adherence(members)
            if slots is not None:
                rows += [
                    {"model": model, "split": split, "slot": slot, "adherence": float(share)}
                    for slot, share in zip(SLOTS, slots, strict=True)
                ]
    return rows


def by_split(samples: Sequence[dict]) -> dict[str, list[dict]]:
    """Samples grouped by their split, in the order in which splits occur."""
    groups: dict[str, list[dict]] = {}
    for row in samples:
        groups.setdefault(row["split"], []).append(row)
    return groups


def check_same_prompts(samples: dict[str, list[dict]]) -> None:
    """Raise DataError unless every model's samples answer the same prompts in the same order."""
    for name in samples:
        asked, expected = ([(row["id"], row["prompt"]) for row in samples[key]] for key in (name, REFERENCE))
        if asked != expected:
            raise DataError(f"data/samples/{name}.jsonl: other prompts than data/samples/{REFERENCE}.jsonl")
