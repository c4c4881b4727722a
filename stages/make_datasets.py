"""make_datasets: data/raw/ and the embedded stories -> data/{corpus,sft,preferences}/, metrics/details/datasets.json"""

import shutil

from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.datagen import datasets, providers
from picollm.datagen.settings import Corpus, Preferences, SftData, Stories


def main():
    p = config.load(Seed, Corpus, Stories, SftData, Preferences)
    specs = datasets.Specifications(p.seed, p.stories.withheld)
    numbers = {}
    for split in ("train", "validation"):
        texts = datasets.corpus_texts(p.corpus, specs, split)
        counts = providers.write_corpus(f"data/corpus/{split}.parquet", texts)
        numbers |= {f"corpus.{split}.{name}": value for name, value in counts.items()}

    sft = datasets.make_sft(p.sft, specs)
    write(sft, "data/sft")
    files.write_jsonl("data/sft/monitor.jsonl", (r.to_dict() for r in datasets.make_monitor(p.sft, specs)))
    files.write_jsonl("data/sft/prompts.jsonl", datasets.prompts(sft))

    preferences = datasets.make_preferences(p.preferences, specs)
    write(preferences, "data/preferences")
    numbers |= datasets.describe_sft(sft) | datasets.describe_preferences(preferences)
    files.write_json("metrics/details/datasets.json", numbers)


def write(rows, folder):
    shutil.rmtree(folder, ignore_errors=True)  # a source without an unseen split leaves no file of an earlier one
    for split, records in rows.items():
        files.write_jsonl(f"{folder}/{split}.jsonl", (record.to_dict() for record in records))


if __name__ == "__main__":
    entry.run(main)
