"""score MODEL: model, SFT model, test rows, pairs, samples of the model -> data/scores/MODEL/, log-probs and exact KL in nats"""

import sys
from pathlib import Path

from picollm.core import config, entry, files
from picollm.logprobs.settings import Score
from picollm.model import runtime
from picollm.model.directory import load_model, load_model_and_tokenizer
from picollm.model.settings import Compute
from picollm.records.jsonl import read_preferences, read_sft
from picollm.scoring.scorer import Scorer
from picollm.text.settings import Truncation

SPLITS = ("test", "unseen")


def main():
    name = sys.argv[1]
    p = config.load(Compute, Truncation, Score)
    device = runtime.set_up(p.deterministic, p.precision)
    model, tokenizer = load_model_and_tokenizer(f"models/{name}")
    model.to(device)
    scorer = Scorer(tokenizer, model.config.max_position_embeddings, p.truncate, p.score.batch_size, p.precision)
    files.write_jsonl(f"data/scores/{name}/responses.jsonl", scorer.responses(model, read_sft("data/sft/test.jsonl")))
    for split in SPLITS:
        if Path(f"data/test_pairs/{split}.jsonl").exists():
            pairs = scorer.pairs(model, read_preferences(f"data/test_pairs/{split}.jsonl"))
            files.write_jsonl(f"data/scores/{name}/pairs_{split}.jsonl", pairs)
    if name != "sft":  # its KL from itself is 0
        reference = load_model("models/sft").to(device)
        samples = [row for _, row in files.read_jsonl(f"data/samples/{name}.jsonl") if not row["reader"]]
        files.write_jsonl(f"data/scores/{name}/samples.jsonl", scorer.samples(model, reference, samples))


if __name__ == "__main__":
    entry.run(main)
