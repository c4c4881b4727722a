"""What dvc.yaml declares equals what the stages use: code, parameters, files."""

import ast
import fnmatch
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from picollm.core.config import SCALARS, SECTIONS
from tests.imports import closure

ROOT = Path(__file__).parents[1]
FOLDERS = ("data/", "models/", "metrics/", "plots/")
PRESET = "presets/${preset}.yaml"


def read_yaml(path: Path) -> dict:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def stages(root: Path) -> dict[str, dict]:
    return read_yaml(root / "dvc.yaml")["stages"]


def script_of(name: str, root: Path) -> Path:
    return root / "stages" / f"{name}.py"


def code_problems(root: Path) -> list[str]:
    """Stages whose code deps differ from what their script imports, directly or not."""
    found = []
    for name, stage in stages(root).items():
        declared = {dep for dep in stage["deps"] if dep.endswith(".py")}
        used = {path.relative_to(root).as_posix() for path in closure(script_of(name, root), root)}
        found += [f"{name}: {module} is imported and not declared" for module in sorted(used - declared)]
        found += [f"{name}: {module} is declared and not imported" for module in sorted(declared - used)]
    return found


def loaded_names(script: Path) -> list[str]:
    """The arguments of params.load in a stage script."""
    return [
        argument.value
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load"
        for argument in node.args
    ]


def keys_in(content: dict) -> set[str]:
    """Dotted keys down to the second level, where every parameter stands."""
    keys = set()
    for section, value in content.items():
        keys |= {f"{section}.{key}" for key in value} if isinstance(value, dict) else {section}
    return keys


def expand(declared: list[str], keys: set[str]) -> set[str]:
    """Keys that a list of dotted names in dvc.yaml covers; a name that covers none stays as it is."""
    covered = set()
    for name in declared:
        members = {key for key in keys if key == name or key.startswith(f"{name}.")}
        covered |= members or {name}
    return covered


def parameter_problems(root: Path, preset: str = "cpu") -> list[str]:
    """Stages whose params differ from the keys of the sections that their script loads."""
    available = {
        "params.yaml": keys_in(read_yaml(root / "params.yaml")),
        PRESET: keys_in(read_yaml(root / "presets" / f"{preset}.yaml")),
    }
    found = []
    for name, stage in stages(root).items():
        wanted = set()
        for loaded in loaded_names(script_of(name, root)):
            if loaded in SCALARS:
                wanted.add(loaded)
            else:
                wanted |= {f"{SECTIONS[loaded].section}.{field}" for field in SECTIONS[loaded].model_fields}
        declared = {"params.yaml": [], PRESET: []}
        for entry in stage.get("params", []):
            if isinstance(entry, str):
                declared["params.yaml"].append(entry)
            else:
                declared[PRESET] += entry[PRESET]
        for file, names in declared.items():
            used = wanted & available[file]
            listed = expand(names, available[file])
            found += [f"{name}: {key} of {file} is loaded and not declared" for key in sorted(used - listed)]
            found += [f"{name}: {key} of {file} is declared and not loaded" for key in sorted(listed - used)]
    return found


def path_patterns(file: Path) -> set[str]:
    """String literals of a file that name data; the variable parts of an f-string become `*`."""
    patterns, nodes = set(), list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    parts_of_others = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts_of_others:
            patterns.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
            patterns.add("".join(parts))
    return {pattern for pattern in patterns if pattern.startswith(FOLDERS) and " " not in pattern}


def declared_paths(stage: dict) -> set[str]:
    entries = [*stage["deps"], *stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    paths = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    return {path.replace("${item.model}", "*") for path in paths if path.startswith(FOLDERS)}


def touches(a: str, b: str) -> bool:
    """Whether one of two path patterns is, or lies in, the other."""
    short, long = sorted((a.split("/"), b.split("/")), key=len)
    return all(fnmatch.fnmatch(x, y) or fnmatch.fnmatch(y, x) for x, y in zip(short, long, strict=False))


def path_problems(root: Path) -> list[str]:
    """Stages that name a path they do not declare, or declare one that neither they nor their modules name."""
    found = []
    for name, stage in stages(root).items():
        script, declared = script_of(name, root), declared_paths(stage)
        own = path_patterns(script)
        anywhere = set().union(*(path_patterns(path) for path in closure(script, root)), own)
        found += [
            f"{name}: {pattern} is used and not declared"
            for pattern in sorted(own)
            if not any(touches(pattern, path) for path in declared)
        ]
        found += [
            f"{name}: {path} is declared and not used"
            for path in sorted(declared)
            if not any(touches(pattern, path) for pattern in anywhere)
        ]
    return found


def test_code_deps_are_the_import_closure_of_each_script():
    assert code_problems(ROOT) == []


@pytest.mark.parametrize("preset", ["cpu", "gpu", "gpu-large", "smoke"])
def test_params_are_the_sections_that_each_script_loads(preset):
    assert parameter_problems(ROOT, preset) == []


def test_paths_in_the_scripts_are_declared_deps_or_outs():
    assert path_problems(ROOT) == []


def test_every_script_is_a_stage_and_every_out_is_ignored_by_git_or_kept_in_it():
    names = {path.stem for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__"}
    assert names == set(stages(ROOT))
    ignored = (ROOT / ".gitignore").read_text().split()
    for name, stage in stages(ROOT).items():
        for out in [*stage.get("outs", []), *stage.get("plots", [])]:
            cached = isinstance(out, str)
            path = out if cached else next(iter(out))
            covered = any(path.startswith(line.strip("/")) for line in ignored if line.startswith("/"))
            assert covered == cached, f"{name}: {path}"


@pytest.fixture
def copy(tmp_path):
    for folder in ("picollm", "stages", "presets"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_an_import_that_is_not_declared_is_found(copy):
    replace(copy / "picollm/losses.py", "import torch\n", "import torch\n\nimport picollm.evaluation.measures\n")
    assert "dpo: picollm/measures.py is imported and not declared" in code_problems(copy)


def test_a_module_that_is_declared_in_vain_is_found(copy):
    replace(copy / "dvc.yaml", "      - stages/plot.py\n", "      - stages/plot.py\n      - picollm/model.py\n")
    assert code_problems(copy) == ["plot: picollm/model.py is declared and not imported"]


def test_a_section_that_is_not_declared_is_found(copy):
    replace(copy / "stages/reference.py", 'params.load("deterministic"', 'params.load("seed", "deterministic"')
    assert parameter_problems(copy) == ["reference: seed of params.yaml is loaded and not declared"]


def test_a_parameter_that_is_declared_in_vain_is_found(copy):
    replace(copy / "stages/dpo.py", '"seed", ', "")
    replace(copy / "stages/dpo.py", "p.seed", "1")
    assert parameter_problems(copy) == ["dpo: seed of params.yaml is declared and not loaded"]


def test_a_path_that_is_not_declared_is_found(copy):
    replace(copy / "stages/dpo.py", "models/sft", "models/base")
    assert "dpo: models/base is used and not declared" in path_problems(copy)
    assert "dpo: models/sft is declared and not used" in path_problems(copy)
