import gc
import json
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from picollm.core.errors import DataError, ParamsError
from picollm.lab import study
from picollm.lab.frontier import of_experiments
from picollm.lab.study import read_study, run_study

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # DVC leaves Git packs open
PIPELINE = """
stages:
  evaluate:
    cmd: python evaluate.py
    deps: [evaluate.py]
    params: [dpo, preset, presets/tiny.yaml: [dpo]]
    outs: [metrics/details]
    metrics: [metrics/eval.json: {cache: false}]
"""
EVALUATE = """
import json, pathlib, yaml
dpo = yaml.safe_load(open("params.yaml"))["dpo"]
if dpo["beta"] < 0:
    raise SystemExit("error: dpo.beta: -1: expected more")
pathlib.Path("metrics/details").mkdir(parents=True, exist_ok=True)
gain = 10 / dpo["beta"] + dpo["seed"]
for path, content in {
    "metrics/eval.json": {"dpo.gain": gain, "dpo.kl": 2.0},
    "metrics/details/eval.json": {"dpo.test.length": 7.5},
    "metrics/details/dpo.json": {"best_loss": 0.25, "steps": 3},
}.items():
    json.dump(content, open(path, "w"))
"""
STUDY = """
grid:
  - {dpo.loss: sigmoid, dpo.beta: [1, 2]}
  - {dpo.loss: {sigmoid: 0.5, hinge: 1}, dpo.beta: [-1]}
seeds: {dpo.seed: [1, 2]}
baseline: {dpo.loss: sigmoid, dpo.beta: 1}
"""


def write(folder, text=STUDY):
    (folder / "studies").mkdir(exist_ok=True)
    path = folder / "studies/betas.yaml"
    path.write_text(text)
    return path


def test_a_block_stands_for_all_combinations_of_its_values_and_seeds_vary_together(tmp_path):
    text = STUDY.replace("{dpo.seed: [1, 2]}", "{dpo.seed: [1, 2], seed: [7, 8]}")
    found = read_study(write(tmp_path, text))
    assert [values["dpo.beta"] for values in found.configurations] == [1, 2, -1]
    assert found.seeds == [{"dpo.seed": 1, "seed": 7}, {"dpo.seed": 2, "seed": 8}]
    assert len(found.runs()) == 6
    assert found.runs()[3] == {"dpo.loss": "sigmoid", "dpo.beta": 1, "dpo.seed": 2, "seed": 8}


def test_every_run_has_the_common_parameters(tmp_path):
    found = read_study(write(tmp_path, STUDY.replace("grid:", "common: {dpo.lr: 0.1}\ngrid:")))
    assert found.runs()[0] == {"dpo.lr": 0.1, "dpo.loss": "sigmoid", "dpo.beta": 1, "dpo.seed": 1}
    assert found.baseline == {"dpo.lr": 0.1, "dpo.loss": "sigmoid", "dpo.beta": 1}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds:", "seed:", "betas.yaml: seeds: Field required"),
        ("[1, 2]}\n  -", "[1, 1.0]}\n  -", "the run .* occurs twice"),
        ("{dpo.seed: [1, 2]}", "{dpo.seed: [1, 1]}", "the run .* occurs twice"),
        ("{dpo.seed: [1, 2]}", "{dpo.beta: [1, 2]}", "dpo.beta: in grid and in seeds"),
        ("grid:", "common: {dpo.beta: 1}\ngrid:", "dpo.beta: in common and in grid or baseline"),
        ("[-1]", "[]", "grid: .*: an empty list"),
        ("dpo.beta: 1}", "dpo.beta: 3}", "baseline: .*: expected one of the grid's configurations"),
        ("{dpo.seed: [1, 2]}", "{dpo.seed: [1, 2], seed: [1]}", "seeds: expected .* the same number of values"),
        ("{dpo.seed: [1, 2]}", "{}", "seeds: expected one or more"),
        ("{dpo.seed: [1, 2]}", "{dpo.seed: one}", "betas.yaml: seeds.dpo.seed: 'one': Input should be a valid list"),
        ("grid:", "grid: {", "betas.yaml:3: not YAML"),
    ],
)
def test_a_file_that_is_no_study_is_named_with_what_was_expected(tmp_path, old, new, message):
    assert old in STUDY
    with pytest.raises(ParamsError, match=message):
        read_study(write(tmp_path, STUDY.replace(old, new, 1)))


def test_a_value_is_written_as_dvc_takes_it():
    assert study.hydra({"sigmoid": 0.8, "bco_pair": 2}) == "{sigmoid: 0.8, bco_pair: 2}"
    assert [study.hydra(value) for value in (None, True, 1e-5, "js")] == ["null", "true", "1e-05", "js"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A DVC project whose gain is 10 / beta + seed, and whose evaluation fails if beta is below 0."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "evaluate.py").write_text(EVALUATE)
    (folder / "params.yaml").write_text("preset: tiny\ndpo: {loss: sigmoid, beta: 5, seed: 0, lr: auto}\n")
    (folder / "presets").mkdir()
    (folder / "presets/tiny.yaml").write_text("dpo: {lr: 0.5}\n")
    (folder / ".gitignore").write_text("/metrics/details\n")
    write(folder)
    python = [sys.executable, "-m", "dvc"]
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["git", "init", "-q"], [*python, "init", "-q"], [*python, "repro", "-q"], ["git", "add", "-A"],
                    [*git, "commit", "-qm", "project"]):  # fmt: skip
        subprocess.run(command, cwd=folder, check=True)
    for key, value in (("user.name", "a"), ("user.email", "a@b")):
        subprocess.run(["git", "config", key, value], cwd=folder, check=True)
    yield folder
    gc.collect()


def experiments(folder) -> set[str]:
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "exp", "list", "--name-only"], cwd=folder, capture_output=True, text=True
    )
    return set(listed.stdout.split())


def test_a_study_runs_what_it_has_no_row_of_and_names_what_failed(project, monkeypatch):
    monkeypatch.chdir(project)
    found = read_study(project / "studies/betas.yaml")
    table = run_study(found, jobs=2)
    assert table["dpo.beta"].tolist() == [1, 2, -1, 1, 2, -1]
    assert table["dpo.gain"].tolist()[:2] + table["dpo.gain"].tolist()[3:5] == [11, 6, 12, 7]
    assert table["dpo.length"].dropna().tolist() == [7.5] * 4
    assert table["validation.loss"].dropna().tolist() == [0.25] * 4
    assert table["dpo.loss"].tolist()[2] == "{sigmoid: 0.5, hinge: 1}"
    failed = table[table["error"].notna()]
    assert failed["dpo.beta"].tolist() == [-1, -1]
    assert failed["error"].tolist() == ["error: dpo.beta: -1: expected more"] * 2
    assert (table["seconds"] >= table["dvc_seconds"]).all() and (table["dvc_seconds"] > 0).all()
    assert table["seconds"].sum() > table["dvc_seconds"].sum()

    before = experiments(project)
    assert set(table[table["error"].isna()]["experiment"]) == before and len(before) == 4
    # Without its row an experiment that finished is read and not run again; what failed runs again.
    pd.read_csv(found.csv).drop(index=0).to_csv(found.csv, index=False)
    again = run_study(found, jobs=2)
    assert experiments(project) == before
    assert not list((project / ".git").glob("*.lock")) and (project / "params.yaml").read_text().count("beta: 5") == 1
    assert math.isnan(again["seconds"][0]) and again["dpo.gain"][0] == 11
    rest = ["dpo.gain", "experiment", "commit"]
    pd.testing.assert_frame_equal(again[rest], table[rest])


def test_a_study_of_changed_files_is_refused(project, monkeypatch):
    monkeypatch.chdir(project)
    before = (project / "evaluate.py").read_text()
    (project / "evaluate.py").write_text(before + "\n")
    try:
        with pytest.raises(ParamsError, match=r"evaluate\.py: changed since the last commit"):
            run_study(read_study(project / "studies/betas.yaml"), jobs=1)
    finally:
        (project / "evaluate.py").write_text(before)


def test_edits_in_the_meantime_do_not_reach_a_study(project, monkeypatch):
    """The code is changed as the first of its experiments ends."""
    monkeypatch.chdir(project)
    text = STUDY.replace("[1, 2]", "[4, 5]", 1).replace("dpo.beta: 1}", "dpo.beta: 4}").replace("[-1]", "[8]")
    path = project / "studies/later.yaml"
    path.write_text(text)
    write_rows, before = study.write_rows, (project / "evaluate.py").read_text()

    def change(found, rows):
        (project / "evaluate.py").write_text(before.replace("gain = 10", "gain = 1000"))
        write_rows(found, rows)

    monkeypatch.setattr(study, "write_rows", change)
    try:
        table = run_study(read_study(path), jobs=1)
    finally:
        (project / "evaluate.py").write_text(before)
    assert table["dpo.gain"].tolist() == [3.5, 3.0, 2.25, 4.5, 4.0, 3.25]


def test_the_saved_states_of_stages_that_were_stopped_outlive_the_clone(project, monkeypatch):
    monkeypatch.chdir(project)
    found = read_study(Path("studies/betas.yaml"))
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    for _ in range(2):
        folder = study._clone(found, head)
        (folder / ".resume").mkdir(exist_ok=True)
        (folder / ".resume/state").touch()
        study._clone(found, head)
        assert (folder / ".resume/state").exists() and not folder.with_suffix(".resume").exists()


def test_an_experiments_name_says_whatever_differs_even_if_two_files_have_it(project, monkeypatch):
    monkeypatch.chdir(project)
    run = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "-q", "evaluate"]
    for lr in ("0.25", "0.125"):
        subprocess.run([*run, "-n", f"lr{lr}", "-S", f"dpo.lr={lr}"], check=True)
    subprocess.run([*run, "-n", "sum", "-S", "dpo.loss={sigmoid: 0.5, hinge: 2}"], check=True)
    names = set(of_experiments()["objective"])
    assert {f"sigmoid, params.yaml:dpo.lr {lr}" for lr in ("0.25", "0.125")} <= names
    assert "0.5 sigmoid + 2 hinge, params.yaml:dpo.lr auto" in names


def test_rows_that_the_grid_has_no_more_stay_in_the_file_and_not_in_the_table(tmp_path):
    found = read_study(write(tmp_path))
    columns = dict.fromkeys(("experiment", "commit", "seconds", "dvc_seconds", "error"), "")
    study.write_rows(found, [{"parameters": values, **columns, "dpo.gain": 1.0} for values in found.runs()])
    less = read_study(write(tmp_path, STUDY.replace("[1, 2]", "[1]", 1)))
    study.write_rows(less, study.read_rows(less))
    assert len(pd.read_csv(less.csv)) == 6 and len(run_study(less, 1)) == 4


def test_a_csv_file_of_something_else_is_refused(tmp_path):
    found = read_study(write(tmp_path))
    found.csv.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"betas\.csv: no column parameters"):
        study.read_rows(found)


def test_rows_keep_every_digit(tmp_path):
    found = read_study(write(tmp_path))
    row = {
        "parameters": found.runs()[0],
        "experiment": "e",
        "commit": "c",
        "seconds": 1.5,
        "dvc_seconds": 0.5,
        "error": "",
    }
    row["dpo.gain"] = 0.1 + 0.2
    for rows in ([row], None):
        study.write_rows(found, rows or study.read_rows(found))
    assert study.read_rows(found)[0]["dpo.gain"] == "0.30000000000000004"
    assert json.loads(pd.read_csv(found.csv)["parameters"][0]) == found.runs()[0]
