"""sample MODEL: model, test and unseen prompts -> data/samples/MODEL.jsonl, one completion per prompt"""

import sys

from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.inference.sampling import sample_rows
from picollm.inference.settings import Sample
from picollm.model import runtime
from picollm.model.directory import load_model_and_tokenizer
from picollm.text.settings import Truncation


def main():
    name = sys.argv[1]
    p = config.load(Seed, Truncation, Sample)
    device = runtime.set_up()
    model, tokenizer = load_model_and_tokenizer(f"models/{name}")
    prompts = [row for _, row in files.read_jsonl("data/sft/prompts.jsonl")]
    samples = sample_rows(model.to(device), tokenizer, prompts, p.sample, p.truncate, p.seed)
    files.write_jsonl(f"data/samples/{name}.jsonl", samples)


if __name__ == "__main__":
    entry.run(main)
