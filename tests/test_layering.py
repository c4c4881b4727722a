"""Imports go strictly from a higher package to a lower one, never sideways."""

import shutil
from pathlib import Path

import pytest

from tests.imports import imported_modules

ROOT = Path(__file__).parents[1]

# The lowest layer first. A package may import those in the lines above its own.
LAYERS = [
    {"core"},
    {"records", "text"},
    {"stories", "model"},
    {"datagen", "batching"},
    {"logprobs", "inference"},
    {"training"},
    {"preference"},
    {"scoring", "evaluation"},
    {"lab"},
    {"parameters", "verdict", "write"},
    {"cli"},
    {"__main__"},
]


def package_of(module: str) -> str:
    return module.split(".")[1]


def layer_of(package: str) -> int:
    for number, members in enumerate(LAYERS):
        if package in members:
            return number
    raise AssertionError(f"{package} is in no layer; add it to LAYERS in tests/test_layering.py")


def violations(root: Path) -> list[str]:
    found = []
    for path in sorted((root / "picollm").rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        for name in sorted(imported_modules(path, root) - {"picollm", "stages"}):
            own, other = package_of(module), package_of(name)
            if name.startswith("stages") or (own != other and layer_of(other) >= layer_of(own)):
                found.append(f"{module} imports {name}")
    for path in sorted((root / "stages").glob("*.py")):
        imported = imported_modules(path, root)
        found += [f"{path.stem} imports {name}" for name in sorted(imported) if name.startswith("stages")]
    return found


def test_every_import_goes_to_a_lower_layer():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        (
            "picollm/training/loop.py",
            "from picollm.preference import losses",
            "picollm.training.loop imports picollm.preference.losses",
        ),
        (
            "picollm/text/tokenizer.py",
            "import picollm.records.jsonl",
            "picollm.text.tokenizer imports picollm.records.jsonl",
        ),
        (
            "picollm/stories/dread.py",
            "def f():\n    import picollm.datagen.corpus",
            "picollm.stories.dread imports picollm.datagen.corpus",
        ),
        ("picollm/cli.py", "from stages import dpo", "picollm.cli imports stages.dpo"),
        ("stages/sft.py", "from stages.dpo import main", "sft imports stages.dpo"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, file, line, expected):
    for folder in ("picollm", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    with open(tmp_path / file, "a") as module:
        module.write(f"\n{line}\n")
    assert expected in violations(tmp_path)
