"""check_lengths: data sets, tokenizer -> data/lengths_checked.txt, metrics/details/lengths.json

Encodes every row before any training, so that a row that is too long is an error here and not hours later. The content of the
text file is constant: stages that depend on it wait for it without becoming out of date.
"""

from pathlib import Path

from picollm.batching.encode import encode
from picollm.core import config, entry, files
from picollm.model.config_json import read_config
from picollm.model.settings import ModelShape
from picollm.records.jsonl import read_preferences, read_sft
from picollm.text.prompts import encode_prompts
from picollm.text.settings import NewTokens, Truncation
from picollm.text.tokenizer import load_tokenizer

READERS = {
    **{f"data/sft/{split}.jsonl": read_sft for split in ("train", "validation", "test")},
    "data/sft/monitor.jsonl": read_preferences,
    **{f"data/preferences/{split}.jsonl": read_preferences for split in ("train", "validation")},
    **{f"data/test_pairs/{split}.jsonl": read_preferences for split in ("test", "unseen")},
}


def main():
    p = config.load(ModelShape, Truncation, NewTokens)
    tokenizer = load_tokenizer("data/tokenizer")
    base = Path("data/base/model")
    context = (read_config(base) if base.is_dir() else p.model).max_position_embeddings
    rows = [row for _, row in files.read_jsonl("data/sft/prompts.jsonl")]
    prompts, names = ([row[key] for row in rows] for key in ("prompt", "id"))
    encode_prompts(prompts, tokenizer, context, p.sample.max_new_tokens, p.truncate, names)
    numbers = {}
    for path, read in READERS.items():
        records = read(path) if Path(path).exists() else []
        if records:
            encoded = encode(records, tokenizer)
            counts = encoded.fit(context, p.truncate).truncation_counts(encoded)
            numbers |= {f"{Path(path).parent.name}.{Path(path).stem}.{key}": value for key, value in counts.items()}
            if counts["truncated_prompts"]:
                print(
                    f"{path}: {counts['rows']} rows, {counts['truncated_prompts']} of them longer than {context} tokens (at most "
                    f"{counts['tokens_max']}): prompts truncated from the left, then {counts['truncated_responses']} responses "
                    "from the right",
                    flush=True,
                )
    files.write_json("metrics/details/lengths.json", numbers)
    with files.write_atomic("data/lengths_checked.txt") as file:
        file.write("Every row was compared with the model's context.\n")


if __name__ == "__main__":
    entry.run(main)
