"""evaluate: samples and scores of all models -> metrics/eval.json, metrics/details/, plots/*.csv; runs no model"""

import pandas as pd

from picollm.core import config, entry, files
from picollm.evaluation import metrics, rows, tables, track
from picollm.evaluation.settings import ImplicitReward, Labels, Start, Tones
from picollm.evaluation.tables import MODELS, POLICY, REFERENCE


def main():
    p = config.load(ImplicitReward, Start, Tones, Labels)
    rule = p.preferences.rule
    # Whether DPO trained the margins that are measured here: those of whole responses, against the SFT model.
    trained = p.policy.init_from is None and p.dpo.temporal_decay == 1
    samples = {name: tables.read_samples(name, rule) for name in MODELS}
    tables.check_same_prompts(samples)
    exact = {name: table[~table["reader"]] for name, table in samples.items()}
    reference = dict(list(exact[REFERENCE].groupby("split")))
    numbers = {}
    for name in MODELS:
        responses = tables.read_table(f"data/scores/{name}/responses.jsonl")
        numbers |= {f"{name}.{key}": value for key, value in metrics.response_measures(responses).items()}
        pairs = {split: tables.read_pairs(name, split) for split in tables.splits_of("data/test_pairs")}
        if name == POLICY:
            write_pairs(pairs, p.dpo.beta, trained)
        for split, table in pairs.items():
            measured = metrics.pair_measures(table, p.dpo.beta if name == POLICY else None, trained)
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
        for split, drawn in samples[name].groupby("split", sort=False):
            measured = metrics.samples_of_split(name, split, drawn, reference[split])
            numbers |= {f"{name}.{split}.{key}": value for key, value in measured.items()}
    snapshots, validation = tables.read_track(rule), pd.read_csv("plots/dpo/val.csv")
    numbers |= {f"track.{key}": value for key, value in track.stopping_measures(snapshots, validation).items()}
    tracked = track.track_table(snapshots, reference["test"], validation)
    with files.write_atomic("metrics/details/track.csv") as file:
        tracked.to_csv(file, index=False)
    numbers |= metrics.loss_floor(tables.read_table("data/sft/test.jsonl"), responses, p.sft.mix.model_dump())
    files.write_json("metrics/details/eval.json", numbers)
    files.write_json("metrics/eval.json", metrics.headline(numbers))
    files.write_csv("metrics/details/samples.csv", *rows.sample_rows(exact))
    files.write_csv("plots/adherence.csv", rows.ADHERENCE, rows.adherence_rows(exact))
    files.write_csv("plots/optimum.csv", rows.OPTIMUM, rows.optimum_rows(reference["test"]))
    print("python -m picollm verdict: is this better than HEAD?")


def write_pairs(pairs, beta, trained):
    of_pairs = (row for split, table in pairs.items() for row in rows.pair_rows(table, split))
    files.write_csv("metrics/details/pairs.csv", rows.PAIRS, of_pairs)
    reliability = rows.reliability_rows(pairs["test"], beta) if trained else []
    files.write_csv("plots/calibration.csv", rows.RELIABILITY, reliability)


if __name__ == "__main__":
    entry.run(main)
