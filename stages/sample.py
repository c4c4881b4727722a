"""sample MODEL: model, test and unseen prompts -> data/samples/MODEL.jsonl, completions at temperature 1 and as a reader draws them"""

import sys

from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.inference.sampling import sample_rows
from picollm.inference.settings import Reader, Sample
from picollm.model import runtime
from picollm.model.directory import load_model_and_tokenizer
from picollm.text.settings import Truncation


def main():
    name = sys.argv[1]
    p = config.load(Seed, Truncation, Sample, Reader)
    device = runtime.set_up()
    model, tokenizer = load_model_and_tokenizer(f"models/{name}")
    prompts = [row for _, row in files.read_jsonl("data/sft/prompts.jsonl")]
    samples = sample_rows(model.to(device), tokenizer, prompts, name, p.sample, p.reader, p.truncate, p.seed)
    files.write_jsonl(f"data/samples/{name}.jsonl", samples)


if __name__ == "__main__":
    entry.run(main)
