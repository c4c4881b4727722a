"""candidates: SFT model, preference pairs -> data/pairs/, what DPO trains on: with preferences.source: policy the SFT model's own
stories of the same prompts, otherwise the same pairs; metrics/details/candidates.json"""

from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.datagen.describe import describe_preferences
from picollm.inference.candidates import Labelling, policy_pairs
from picollm.inference.settings import Limits
from picollm.model import runtime
from picollm.model.directory import load_model_and_tokenizer
from picollm.records.jsonl import read_preferences
from picollm.text.settings import Truncation


def main():
    p = config.load(Seed, Truncation, Labelling, Limits)
    pairs, numbers = {}, {}
    for split in ("train", "validation"):
        records = read_preferences(f"data/preferences/{split}.jsonl")
        numbers[f"preferences.{split}.prompts"] = len(records)
        if p.preferences.source == "policy":
            model, tokenizer = load_model_and_tokenizer("models/sft")
            model.to(runtime.set_up())
            drawn = policy_pairs(model, tokenizer, records, p.preferences, p.sample, p.truncate, p.seed)
            print(f"candidates: {split}: {len(drawn)} pairs of {len(records)} prompts", flush=True)
            records = drawn
        files.write_jsonl(f"data/pairs/{split}.jsonl", (record.to_dict() for record in records))
        pairs[split] = records
    files.write_json("metrics/details/candidates.json", numbers | describe_preferences(pairs))


if __name__ == "__main__":
    entry.run(main)
