"""evaluate: the models' samples and scores -> metrics/eval.json, plots/adherence.csv; arithmetic alone"""

from picollm.core import config, entry, files
from picollm.evaluation import metrics
from picollm.evaluation.metrics import MODELS, REFERENCE
from picollm.evaluation.settings import Beta


def main():
    p = config.load(Beta)
    samples = {name: metrics.read_samples(name) for name in MODELS}
    metrics.check_same_prompts(samples)
    numbers = {}
    for name in MODELS:
        measured = metrics.response_measures(metrics.read_table(f"data/scores/{name}/responses.jsonl"))
        numbers |= {f"{name}.{key}": value for key, value in measured.items()}
        for split in metrics.splits_of("data/preferences"):
            measured = metrics.pair_measures(metrics.read_pairs(name, split), p.dpo.beta)
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
        for split, rows in samples[name].groupby("split", sort=False):
            baseline = samples[REFERENCE]
            measured = metrics.sample_measures(rows, baseline[baseline["split"] == split])
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
    files.write_json("metrics/eval.json", numbers)
    files.write_csv("plots/adherence.csv", ["model", "split", "slot", "adherence"], metrics.adherence_rows(samples))


if __name__ == "__main__":
    entry.run(main)
