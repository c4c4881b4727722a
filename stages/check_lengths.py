"""check_lengths: data sets, tokenizer -> data/lengths_checked.txt, metrics/details/lengths.json

Encodes every row before any training, so that a row that is too long is an error here and not hours later. The content of the
text file is constant: stages that depend on it wait for it without becoming out of date.
"""

from pathlib import Path

from picollm.batching.encode import encode
from picollm.core import config, entry, files
from picollm.model.directory import read_config
from picollm.model.settings import ModelShape
from picollm.records.jsonl import read_preferences, read_sft
from picollm.text.prompts import encode_prompts
from picollm.text.settings import NewTokens, Truncation
from picollm.text.tokenizer import load_tokenizer

SFT = [f"data/sft/{split}.jsonl" for split in ("train", "validation", "test")]
PAIRS = [f"data/preferences/{split}.jsonl" for split in ("train", "validation", "test", "unseen")] + [
    "data/sft/monitor.jsonl"
]


def main():
    p = config.load(ModelShape, Truncation, NewTokens)
    tokenizer = load_tokenizer("data/tokenizer")
    base = Path("data/base/model")
    context = (read_config(base) if base.is_dir() else p.model).max_position_embeddings
    encode_prompts(
        [row["prompt"] for _, row in files.read_jsonl("data/sft/prompts.jsonl")],
        tokenizer,
        context,
        p.sample.max_new_tokens,
        p.truncate,
    )
    numbers = {}
    for path in [*SFT, *PAIRS]:
        records = (read_sft if path in SFT else read_preferences)(path) if Path(path).exists() else []
        if records:
            encoded = encode(records, tokenizer)
            name = f"{Path(path).parent.name}.{Path(path).stem}"
            counts = encoded.fit(context, p.truncate).truncation_counts(encoded)
            numbers |= {f"{name}.{key}": value for key, value in counts.items()}
            if counts["truncated_prompts"]:
                print(f"{path}: truncated {counts}", flush=True)
    files.write_json("metrics/details/lengths.json", numbers)
    with files.write_atomic("data/lengths_checked.txt") as file:
        file.write("the rows were compared with the model's context\n")


if __name__ == "__main__":
    entry.run(main)
