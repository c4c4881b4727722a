"""make_datasets: data/raw/, embedded stories -> data/{corpus,sft,preferences,test_pairs}/, metrics/details/datasets.json"""

import shutil

from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.datagen.corpus import corpus_texts, write_corpus
from picollm.datagen.datasets import make_monitor, make_preferences, make_prompts, make_sft
from picollm.datagen.describe import describe_preferences, describe_sft
from picollm.datagen.settings import Corpus, Preferences, SftData, Stories
from picollm.datagen.sources.templates import Specifications


def main():
    p = config.load(Seed, Corpus, Stories, SftData, Preferences)
    specs = Specifications(p.seed, p.stories.withheld)
    numbers = {}
    for split in ("train", "validation"):
        counts = write_corpus(f"data/corpus/{split}.parquet", corpus_texts(p.corpus, specs, split))
        numbers |= {f"corpus.{split}.{name}": value for name, value in counts.items()}

    sft = make_sft(p.sft, specs)
    write(sft, "data/sft")
    files.write_jsonl("data/sft/monitor.jsonl", (r.to_dict() for r in make_monitor(p.sft, specs)))
    files.write_jsonl("data/sft/prompts.jsonl", make_prompts(sft))

    preferences = make_preferences(p.preferences, specs)
    training = {split: preferences[split] for split in ("train", "validation")}
    write(training, "data/preferences")
    write({split: pairs for split, pairs in preferences.items() if split not in training}, "data/test_pairs")
    numbers |= describe_sft(sft) | describe_preferences(preferences)
    files.write_json("metrics/details/datasets.json", numbers)


def write(rows, folder):
    shutil.rmtree(folder, ignore_errors=True)  # an unseen split of an earlier source must not remain
    for split, records in rows.items():
        files.write_jsonl(f"{folder}/{split}.jsonl", (record.to_dict() for record in records))


if __name__ == "__main__":
    entry.run(main)
