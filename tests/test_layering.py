"""Imports go strictly from a higher layer to a lower one, never sideways."""

import shutil
from pathlib import Path

import pytest

from tests.imports import imported_modules

ROOT = Path(__file__).parents[1]

# The lowest layer first. A module may import what stands in a line above its own, and nothing of its own line.
LAYERS = [
    {"errors", "shape", "attention"},
    {
        "files",
        "params",
        "entry",
        "lock",
        "layout",
        "stories.lexicon",
        "stories.parts",
        "stories.spec",
        "stories.everyday_words",
        "byte_level",
    }
    | {f"stories.patterns_{shade}" for shade in ("wholesome", "eerie", "dark")},
    {"cache"},
    {"stories.everyday_frames", "stories.compose", "stories.templates", "stories.dread", "data.records", "tokenizer"}
    | {"model", "losses", "data.batch", "measures", "plots", "runtime"},
    {"stories.everyday", "data.tokens", "data.encode", "data.pairs", "checkpoint", "generate", "initialise"}
    | {"distributed", "optim"},
    {"providers", "data.rows", "objectives", "sampling", "interrupt", "resume"},
    {"scoring", "run", "datasets"},
    {"train", "evaluate", "cli"},
    {"__main__"},
]


def layer_of(module: str) -> int:
    name = module.removeprefix("picollm.")
    for number, members in enumerate(LAYERS):
        if name in members:
            return number
    raise AssertionError(f"{module} stands in no layer; give it one in tests/test_layering.py")


def violations(root: Path) -> list[str]:
    found = []
    for path in sorted((root / "picollm").rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        if path.name == "__init__.py":
            continue
        for name in sorted(imported_modules(path, root)):
            if (root / name.replace(".", "/")).is_dir():
                continue  # a package: what is imported from it is checked by its own name
            if name.startswith("stages") or layer_of(name) >= layer_of(module):
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
        ("picollm/losses.py", "from picollm import train", "picollm.losses imports picollm.train"),
        ("picollm/losses.py", "import picollm.model", "picollm.losses imports picollm.model"),
        ("picollm/params.py", "from picollm.files import read_json", "picollm.params imports picollm.files"),
        ("picollm/cli.py", "from stages import dpo", "picollm.cli imports stages.dpo"),
        ("stages/sft.py", "from stages.dpo import main", "sft imports stages.dpo"),
        (
            "picollm/stories/dread.py",
            "def f():\n    import picollm.providers",
            "picollm.stories.dread imports picollm.providers",
        ),
    ],
)
def test_a_planted_violation_is_found(tmp_path, file, line, expected):
    for folder in ("picollm", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    with open(tmp_path / file, "a") as module:
        module.write(f"\n{line}\n")
    assert expected in violations(tmp_path)
