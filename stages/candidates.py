"""candidates: SFT model, imported policy if any, preference pairs -> models/initial/, the initial policy of DPO and its reference: the
imported policy, else the SFT model; data/pairs/, what DPO trains on: with preferences.source: policy that policy's own stories of the
same prompts, otherwise the same pairs; metrics/details/candidates.json"""

import shutil
from pathlib import Path

from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.core.errors import CheckpointError
from picollm.datagen.describe import describe_preferences
from picollm.inference.candidates import Labelling, policy_pairs
from picollm.inference.settings import Limits
from picollm.model import runtime
from picollm.model.config_json import read_config
from picollm.model.directory import load_model_and_tokenizer
from picollm.records.jsonl import read_preferences
from picollm.text.settings import Truncation
from picollm.text.tokenizer import load_tokenizer

TOKENIZER = "tokenizer.json"


def main():
    p = config.load(Seed, Truncation, Labelling, Limits)
    initial = initial_policy(Path("data/policy/model"), Path("models/sft"))
    shutil.rmtree("models/initial", ignore_errors=True)
    shutil.copytree(initial, "models/initial", ignore=shutil.ignore_patterns("adapter"))
    pairs, numbers = {}, {}
    for split in ("train", "validation"):
        records = read_preferences(f"data/preferences/{split}.jsonl")
        numbers[f"preferences.{split}.prompts"] = len(records)
        if p.preferences.source == "policy":
            model, tokenizer = load_model_and_tokenizer("models/initial")
            model.to(runtime.set_up())
            drawn = policy_pairs(model, tokenizer, records, p.preferences, p.sample, p.truncate, p.seed)
            print(f"candidates: {split}: {len(drawn)} pairs of {len(records)} prompts", flush=True)
            records = drawn
        files.write_jsonl(f"data/pairs/{split}.jsonl", (record.to_dict() for record in records))
        pairs[split] = records
    files.write_json("metrics/details/candidates.json", numbers | describe_preferences(pairs))


def initial_policy(imported: Path, sft: Path) -> Path:
    """`imported`, if there is one, else `sft`. Raises CheckpointError unless both have one shape and tokenizer, which the KL from the
    SFT model needs; whether one was trained from the other cannot be seen."""
    if not imported.is_dir():
        return sft
    if read_config(imported) != read_config(sft):
        raise CheckpointError(
            f"policy.init_from: {imported}: another shape than {sft}; expected a policy trained from it"
        )
    tokenizers = [load_tokenizer(folder) for folder in (imported, sft)]
    same_ids = len({(tokenizer.bos_id, *sorted(tokenizer.stop_ids)) for tokenizer in tokenizers}) == 1
    # Compared as JSON: other libraries write the same tokenizer with other line breaks.
    if not same_ids or files.read_json(imported / TOKENIZER) != files.read_json(sft / TOKENIZER):
        raise CheckpointError(
            f"policy.init_from: {imported}: another tokenizer than {sft}; expected a policy trained from it"
        )
    return imported


if __name__ == "__main__":
    entry.run(main)
