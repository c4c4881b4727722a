"""docs/extension.md: each of its diffs applies to the project as it is, and what it adds works."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOSS, METRIC, SOURCE = range(3)  # the order of the page
CALLS = {
    LOSS: """
import torch
from picollm.core import config
from picollm.preference.scores import PairScores
from picollm.preference.settings import Dpo
pair = PairScores(*(torch.tensor([value]) for value in (-6.0, -10.0, -7.0, -3.0, 3.0, 5.0)))
found = [function(pair).item() for function, _ in config.load(Dpo).dpo.losses()]
""",
    METRIC: """
import pandas as pd
from picollm.evaluation.metrics import sample_measures
texts = ["It ran. It fell! It\\nran.", "it fell! Then it"]
samples = {"id": ["a", "b"], "number": 0, "prompt": "p", "completion": texts, "ended": [True, False]}
found = sample_measures(pd.DataFrame(samples))["repeated_sentences"]
""",
    SOURCE: """
from picollm.core import config
from picollm.datagen.datasets import make_sft
from picollm.datagen.settings import SftData
rows = make_sft(config.load(SftData).sft, None)
found = {split: [(row.prompt, row.response) for row in records] for split, records in rows.items()}
""",
}


def diffs() -> list[str]:
    return re.findall(r"^```diff\n(.*?)^```$", (ROOT / "docs/extension.md").read_text(), re.MULTILINE | re.DOTALL)


def changed(folder: Path, diff: str) -> Path:
    """A copy of the project with a diff of the page applied."""
    for name in ("picollm", "presets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "params.yaml", folder)
    # Inside another repository git would skip what lies outside its working tree.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    applied = subprocess.run(
        ["git", "apply", "-"], input=diff, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert not applied.returncode, applied.stderr
    return folder


def choose(folder: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text in params.yaml."""
    text = (folder / "params.yaml").read_text()
    assert old in text
    (folder / "params.yaml").write_text(text.replace(old, new, 1))


def call(folder: Path, code: str):
    """What the code calls `found`, computed by the copy's modules."""
    code = f"{code}\nimport json, picollm; print(json.dumps([picollm.__file__, found]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    path, found = json.loads(done.stdout)
    assert Path(path).is_relative_to(folder)
    return found


def test_the_page_has_three_short_diffs():
    assert len(diffs()) == 3
    assert max(len(diff.splitlines()) for diff in diffs()) <= 30


def test_the_loss_of_the_page_can_be_chosen(tmp_path):
    folder = changed(tmp_path / "copy", diffs()[LOSS])
    choose(folder, "loss: sigmoid", "loss: cpo")
    choose(folder, "beta: 0.65", "beta: 0.1")
    # 0.1 * (-6 + 10) = 0.4.
    assert call(folder, CALLS[LOSS]) == pytest.approx([math.log(1 + math.exp(-0.4))])


def test_the_metric_of_the_page_is_among_the_measures_of_samples(tmp_path):
    folder = changed(tmp_path / "copy", diffs()[METRIC])
    # "it ran." and "it fell!", twice each; "then it" has no end.
    assert call(folder, CALLS[METRIC]) == 0.5


def test_the_source_of_the_page_can_be_chosen(tmp_path):
    folder = changed(tmp_path / "copy", diffs()[SOURCE])
    choose(folder, "source: templates", "source: alpaca")
    (folder / "data/raw").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        row = {"instruction": f"Translate {split}.", "input": "Hallo", "output": "Hello"}
        (folder / f"data/raw/sft_{split}.jsonl").write_text(json.dumps(row) + "\n")
    assert call(folder, CALLS[SOURCE]) == {
        split: [[f"Translate {split}.\n\nHallo\n\n", "Hello"]] for split in ("train", "validation", "test")
    }
