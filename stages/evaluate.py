"""evaluate: samples and scores of all models -> metrics/eval.json, metrics/details/, plots/*.csv; runs no model"""

from picollm.core import config, entry, files
from picollm.evaluation import metrics, rows, tables
from picollm.evaluation.settings import Beta
from picollm.evaluation.tables import MODELS, POLICY, REFERENCE


def main():
    p = config.load(Beta)
    samples = {name: tables.read_samples(name) for name in MODELS}
    tables.check_same_prompts(samples)
    exact = {name: table[~table["reader"]] for name, table in samples.items()}
    numbers = {}
    for name in MODELS:
        measured = metrics.response_measures(tables.read_table(f"data/scores/{name}/responses.jsonl"))
        numbers |= {f"{name}.{key}": value for key, value in measured.items()}
        for split in tables.splits_of("data/preferences"):
            beta = p.dpo.beta if name == POLICY else None
            measured = metrics.pair_measures(tables.read_pairs(name, split), beta)
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
        for split, drawn in samples[name].groupby("split", sort=False):
            measured = metrics.samples_of_split(name, drawn, exact[REFERENCE][exact[REFERENCE]["split"] == split])
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
    files.write_json("metrics/details/eval.json", numbers)
    files.write_json("metrics/eval.json", metrics.headline(numbers))
    write_rows(p.dpo.beta, exact)
    print("python -m picollm verdict: is this better than HEAD?")


def write_rows(beta, exact):
    pairs = {split: tables.read_pairs(POLICY, split) for split in tables.splits_of("data/preferences")}
    reference = exact[REFERENCE][exact[REFERENCE]["split"] == "test"]
    files.write_csv("metrics/details/samples.csv", *rows.sample_rows(exact))
    of_pairs = (row for split, table in pairs.items() for row in rows.pair_rows(table, split))
    files.write_csv("metrics/details/pairs.csv", rows.PAIRS, of_pairs)
    files.write_csv("plots/adherence.csv", rows.ADHERENCE, rows.adherence_rows(exact))
    files.write_csv("plots/optimum.csv", rows.OPTIMUM, rows.optimum_rows(reference))
    files.write_csv("plots/calibration.csv", rows.RELIABILITY, rows.reliability_rows(pairs["test"], beta))


if __name__ == "__main__":
    entry.run(main)
