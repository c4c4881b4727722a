"""evaluate: samples and scores of all models -> metrics/eval.json, metrics/details/eval.json, plots/adherence.csv; runs no model"""

from picollm.core import config, entry, files
from picollm.evaluation import metrics
from picollm.evaluation.metrics import HEADLINE, MODELS, POLICY, REFERENCE
from picollm.evaluation.settings import Beta


def main():
    p = config.load(Beta)
    samples = {name: metrics.read_samples(name) for name in MODELS}
    metrics.check_same_prompts(samples)
    baseline = samples[REFERENCE]
    numbers = {}
    for name in MODELS:
        measured = metrics.response_measures(metrics.read_table(f"data/scores/{name}/responses.jsonl"))
        numbers |= {f"{name}.{key}": value for key, value in measured.items()}
        for split in metrics.splits_of("data/preferences"):
            beta = p.dpo.beta if name == POLICY else None
            measured = metrics.pair_measures(metrics.read_pairs(name, split), beta)
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
        for split, rows in samples[name].groupby("split", sort=False):
            others = None if name == REFERENCE else baseline[baseline["split"] == split]
            measured = metrics.sample_measures(rows, others)
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
    files.write_json("metrics/details/eval.json", numbers)
    files.write_json("metrics/eval.json", {key: numbers[name] for key, name in HEADLINE.items() if name in numbers})
    files.write_csv("plots/adherence.csv", ["model", "split", "slot", "adherence"], metrics.adherence_rows(samples))


if __name__ == "__main__":
    entry.run(main)
