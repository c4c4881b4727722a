"""Settings and sets for the tests of data sets."""

from pathlib import Path

from picollm.datagen.settings import Corpus, Preferences, SftData
from picollm.datagen.sources.templates import Specifications

ROOT = Path(__file__).parents[2]
SEED, WITHHELD = 5, 0.15
DREAD = {"dread": 1.0, "length": 0.0, "ending": 0.0}  # the rule of params.yaml


def corpus(**changes):
    settings = {
        "source": "everyday",
        "weights": {"everyday": 1.0, "tinystories": 0.0, "files": 1.0},
        "specification_share": 1.0,
        "tinystories": {"path": "nowhere/to-be-found", "revision": "0" * 40},
        "files": "*.txt",
        "documents": 60,
        "validation_documents": 30,
    }
    return Corpus(**{**settings, **changes})


def sft(**changes):
    settings = {
        "source": "templates",
        "files": "data/raw/sft*.jsonl",
        "monitor": "data/raw/monitor*.jsonl",
        "mix": {"wholesome": 0.4, "eerie": 0.3, "dark": 0.3},
        "invented": 0.0,
        "rows": 30,
        "validation_rows": 20,
        "test_rows": 10,
        "monitor_pairs": 8,
    }
    return SftData(**{**settings, **changes})


def preferences(**changes):
    settings = {
        "seed": 1,
        "source": "templates",
        "files": "data/raw/preferences*.jsonl",
        "temperature": 9.5,
        "rule": DREAD,
        "noise": 0.0,
        "contrast": 0.5,
        "rows": 30,
        "validation_rows": 20,
        "test_rows": 10,
    }
    return Preferences(**{**settings, **changes})


def specifications():
    return Specifications(SEED, WITHHELD)
