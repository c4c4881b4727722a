"""track: snapshots of the DPO run, SFT model, test prompts -> data/track/, samples at temperature 1 with their log-probs and KL"""

import shutil

from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.inference.sampling import exact_samples
from picollm.inference.settings import Sample
from picollm.logprobs.settings import Score
from picollm.model import runtime
from picollm.model.directory import load_model, load_model_and_tokenizer
from picollm.model.settings import Compute
from picollm.scoring.scorer import Scorer
from picollm.text.settings import Truncation


def main():
    p = config.load(Seed, Compute, Truncation, Sample, Score)
    device = runtime.set_up(p.deterministic, p.precision)
    shutil.rmtree("data/track", ignore_errors=True)  # snapshots of an earlier run must not remain
    prompts = [row for _, row in files.read_jsonl("data/sft/prompts.jsonl") if row["split"] == "test"]
    prompts = prompts[: p.sample.prompts]
    reference = load_model("models/sft").to(device)
    steps = files.read_json("models/snapshots/steps.json")
    for step in steps:
        print(f"track: step {step}", flush=True)
        model, tokenizer = load_model_and_tokenizer(f"models/snapshots/{step:06d}")
        model.to(device)
        samples = exact_samples(model, tokenizer, prompts, "dpo", p.sample, p.truncate, p.seed)
        scorer = Scorer(tokenizer, model.config.max_position_embeddings, p.truncate, p.score.batch_size, p.precision)
        scores = scorer.samples(model, reference, samples)
        rows = ({**sample, **score} for sample, score in zip(samples, scores, strict=True))
        files.write_jsonl(f"data/track/{step:06d}.jsonl", rows)
    files.write_json("data/track/steps.json", steps)


if __name__ == "__main__":
    entry.run(main)
