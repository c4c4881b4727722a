"""What dvc.yaml declares equals what the stages use: code, parameters, files."""

import ast
import fnmatch
import shutil
from pathlib import Path

import pytest
import yaml

from picollm.core.config import Settings
from picollm.parameters import SETTINGS
from tests.imports import closure

ROOT = Path(__file__).parents[1]
FOLDERS = ("data/", "models/", "metrics/", "plots/")
PRESET = "presets/${preset}.yaml"
CHECKED = "data/checked.txt"


def read_yaml(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def stages(root: Path) -> dict[str, dict]:
    return read_yaml(root / "dvc.yaml")["stages"]


def script_of(name: str, root: Path) -> Path:
    return root / "stages" / f"{name}.py"


def code_problems(root: Path) -> list[str]:
    """Stages that import, directly or not, what lies under no dep of theirs, or declare a package that they do not import."""
    found = []
    for name, stage in stages(root).items():
        declared = {dep for dep in stage["deps"] if dep.split("/")[0] in ("picollm", "stages")}
        used = {path.relative_to(root).as_posix() for path in closure(script_of(name, root), root)}
        under = {module: {dep for dep in declared if module == dep or module.startswith(f"{dep}/")} for module in used}
        found += [f"{name}: {module} is imported and not declared" for module in sorted(used) if not under[module]]
        needless = declared - set().union(*under.values())
        found += [f"{name}: {dep} is declared and not imported" for dep in sorted(needless)]
    return found


def loaded_settings(script: Path) -> list[type[Settings]]:
    """The settings that a stage script loads."""
    known = {model.__name__: model for model in SETTINGS}
    return [
        known[ast.unparse(argument)]
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "config.load"
        for argument in node.args
    ]


def keys_in(content: dict) -> set[str]:
    """Dotted keys down to the second level, that of the parameters."""
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
    """Stages whose params differ from the keys of the settings that their script loads."""
    available = {
        "params.yaml": keys_in(read_yaml(root / "params.yaml")),
        PRESET: keys_in(read_yaml(root / "presets" / f"{preset}.yaml")),
    }
    found = []
    for name, stage in stages(root).items():
        wanted = {
            f"{model.section}.{field}" if model.section else field
            for model in loaded_settings(script_of(name, root))
            for field in model.model_fields
        }
        declared = {"params.yaml": [], PRESET: []}
        for entry in stage.get("params", []):
            if isinstance(entry, str):
                declared["params.yaml"].append(entry)
            else:  # of a matrix, what all its stages declare together
                models = stage.get("matrix", {}).get("model", [""])
                declared[PRESET] += [key.replace("${item.model}", model) for key in entry[PRESET] for model in models]
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
    """Stages that name a path, themselves or in a module, that they do not declare, or declare one that nothing names. Settings
    compare paths with data/raw without reading it."""
    found = []
    for name, stage in stages(root).items():
        script, declared = script_of(name, root), declared_paths(stage)
        own = path_patterns(script)
        anywhere = set().union(*(path_patterns(path) for path in closure(script, root)), own)
        found += [
            f"{name}: {pattern} is used and not declared"
            for pattern in sorted(own | anywhere - {"data/raw"})
            if not any(touches(pattern, path) for path in declared)
        ]
        found += [
            f"{name}: {path} is declared and not used"
            for path in sorted(declared - {CHECKED, "data/lengths_checked.txt"})
            if not any(touches(pattern, path) for pattern in anywhere)
        ]
    return found


def test_code_deps_are_the_import_closure_of_each_script():
    assert code_problems(ROOT) == []


@pytest.mark.parametrize("preset", ["cpu", "cpu-long", "gpu", "gpu-large", "smoke"])
def test_params_are_the_sections_that_each_script_loads(preset):
    assert parameter_problems(ROOT, preset) == []


def test_paths_in_the_scripts_are_declared_deps_or_outs():
    assert path_problems(ROOT) == []


def test_pretraining_waits_for_the_lengths():
    assert "data/lengths_checked.txt" in stages(ROOT)["pretrain"]["deps"]


def test_what_no_stage_declares_imports_nothing_of_the_project_and_no_library():
    tree = ast.parse((ROOT / "picollm/__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import os"]


def test_every_stage_waits_for_the_check():
    assert [name for name, stage in stages(ROOT).items() if CHECKED not in stage["deps"]] == ["check"]


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
    replace(copy / "picollm/training/optim.py", "import torch\n", "import torch\n\nimport picollm.stories.dread\n")
    assert "dpo: picollm/stories/dread.py is imported and not declared" in code_problems(copy)


def test_a_package_that_is_declared_in_vain_is_found(copy):
    replace(copy / "dvc.yaml", "picollm/evaluation, picollm/lab", "picollm/evaluation, picollm/lab, picollm/model")
    assert code_problems(copy) == ["plot: picollm/model is declared and not imported"]


def test_settings_that_are_not_declared_are_found(copy):
    replace(copy / "stages/reference.py", "config.load(Compute", "config.load(Seed, Compute")
    assert parameter_problems(copy) == ["reference: seed of params.yaml is loaded and not declared"]


def test_a_parameter_that_is_declared_in_vain_is_found(copy):
    replace(copy / "stages/dpo.py", "config.load(Seed, ", "config.load(")
    assert parameter_problems(copy) == ["dpo: seed of params.yaml is declared and not loaded"]


def test_a_path_in_a_module_that_is_not_declared_is_found(copy):
    with open(copy / "picollm/evaluation/metrics.py", "a") as module:
        module.write('\nTEST = read_table("data/sft/unseen.jsonl")\n')
    assert path_problems(copy) == ["evaluate: data/sft/unseen.jsonl is used and not declared"]


def test_a_path_that_is_not_declared_is_found(copy):
    replace(copy / "stages/reference.py", "models/initial", "models/base")
    assert "reference: models/base is used and not declared" in path_problems(copy)
    assert "reference: models/initial is declared and not used" in path_problems(copy)
