"""evaluate: three models, their samples, test data -> metrics/eval.json, plots/adherence.csv"""

from pathlib import Path

from picollm import entry, evaluate, files, params, runtime
from picollm.checkpoint import load_model_and_tokenizer
from picollm.data.records import read_preferences, read_sft
from picollm.evaluate import MODELS, REFERENCE


def main():
    p = params.load("deterministic", "truncate", "precision", "dpo", "evaluate")
    device = runtime.set_up(p.deterministic, p.precision)
    loaded = {name: load_model_and_tokenizer(f"models/{name}") for name in MODELS}
    models = {name: model.to(device) for name, (model, _) in loaded.items()}
    reference, tokenizer = models[REFERENCE], loaded[REFERENCE][1]
    context = reference.config.max_position_embeddings
    scorer = evaluate.Scorer(tokenizer, context, p.truncate, p.evaluate.batch_size, p.precision)

    test = read_sft("data/sft/test.jsonl")
    splits = [split for split in ("test", "unseen") if Path(f"data/preferences/{split}.jsonl").exists()]
    pairs = {split: read_preferences(f"data/preferences/{split}.jsonl") for split in splits}
    raw = {name: [row for _, row in files.read_jsonl(f"data/samples/{name}.jsonl")] for name in MODELS}
    evaluate.check_same_prompts(raw)
    samples = {name: evaluate.by_split(rows) for name, rows in raw.items()}

    reference_logps = {split: scorer.pairs(reference, records) for split, records in pairs.items()}
    numbers = {}
    for name, model in models.items():
        numbers |= {f"{name}.{key}": value for key, value in scorer.responses(model, test).items()}
        for split, records in pairs.items():
            logps = reference_logps[split] if name == REFERENCE else scorer.pairs(model, records)
            measured = evaluate.pair_measures(logps, reference_logps[split], records, p.dpo.beta)
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
        for split, rows in samples[name].items():
            logps = scorer.samples(model, rows)
            base = logps if name == REFERENCE else scorer.samples(reference, rows)
            measured = evaluate.sample_measures(rows, samples[REFERENCE][split], logps, base, tokenizer)
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
    files.write_json("metrics/eval.json", numbers)
    files.write_csv("plots/adherence.csv", ["model", "split", "slot", "adherence"], evaluate.adherence_rows(samples))


if __name__ == "__main__":
    entry.run(main)
