"""A user's day with DVC, in a clone: a failure, experiments, the queue, the plots page, a colleague who pulls."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.project import AFTER_DPO, STAGES, Project, make_project

pytestmark = pytest.mark.slow

DRAWING = "        figure.savefig("
FAULT = '        file.write(b"half a figure")\n        raise RuntimeError("planted")\n'


class Begun(NamedTuple):
    """A project whose first run failed in its last stage and whose second, without the fault, did not."""

    project: Project
    failed: str
    status: str
    left: list[Path]
    repaired: str


class Chart(NamedTuple):
    """A chart as dvc.yaml declares it: the column of the x axis, and file and column of each series."""

    x: str
    series: list[tuple[str, str]]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    source = make_project(tmp_path_factory.mktemp("source"))
    project = source.clone(tmp_path_factory.mktemp("day") / "picollm")
    project.replace(DRAWING, FAULT + DRAWING, file="picollm/lab/drawing.py")
    failed = project.run("dvc", "repro", ok=False)
    status = project.status()
    left = [path for path in (project.folder / "plots").rglob("*") if path.is_file()]
    project.run("git", "checkout", "-q", "picollm/lab/drawing.py")
    repaired = project.run("dvc", "repro")
    # Before any experiment: DVC pushes one with the remote that its own commit names.
    project.run("dvc", "remote", "add", "-d", "store", str(tmp_path_factory.mktemp("store")))
    project.commit("first run")
    return Begun(project, failed, status, left, repaired)


@pytest.fixture
def project(begun):
    """The committed project; what a test changes is taken back after it."""
    yield begun.project
    begun.project.reset()


@pytest.fixture(scope="module")
def ipo(begun, tmp_path_factory):
    """The output of an experiment with the IPO loss, and a copy of its metrics/ and plots/."""
    output = begun.project.run("dvc", "exp", "run", "-S", "dpo.loss=ipo", "-n", "ipo")
    copy = tmp_path_factory.mktemp("ipo")
    for name in ("metrics", "plots"):
        shutil.copytree(begun.project.folder / name, copy / name)
    begun.project.reset()
    return output, copy


@pytest.fixture(scope="module")
def colleague(begun, ipo, tmp_path_factory):
    """A second clone, after the first one pushed its outputs, its run-cache and an experiment to a remote.

    The run-cache alone would not do: DVC 3.67 pushes what it knows of each run, not the outputs of runs that are in no commit.
    """
    begun.project.run("dvc", "push")
    begun.project.run("dvc", "push", "--run-cache")
    begun.project.run("dvc", "exp", "push", "origin", "ipo")
    return begun.project.clone(tmp_path_factory.mktemp("colleague") / "picollm")


def read_yaml(project: Project) -> dict:
    return yaml.safe_load((project.folder / "dvc.yaml").read_text())


def declared_charts(project: Project) -> dict[str, Chart]:
    """Every chart of dvc.yaml by its title: those under `plots`, and the outputs of stages that name a y."""
    dvc, charts = read_yaml(project), {}
    for title, settings in (next(iter(entry.items())) for entry in dvc["plots"] if isinstance(entry, dict)):
        columns = {file: [names] if isinstance(names, str) else names for file, names in settings["y"].items()}
        charts[title] = Chart(settings["x"], [(file, column) for file in columns for column in columns[file]])
    for stage in dvc["stages"].values():
        for file, settings in (next(iter(entry.items())) for entry in stage.get("plots", [])):
            if "y" in settings:
                charts[file] = Chart(settings["x"], [(file, settings["y"])])
    return charts


def declared_images(project: Project) -> set[str]:
    return set(re.findall(r"plots/\w+\.png", (project.folder / "dvc.yaml").read_text()))


def drawn_charts(page: str) -> dict[str, list[dict]]:
    """The data of every Vega-Lite chart of a page, by the chart's title."""
    starts = [match.end() for match in re.finditer(r"var spec = ", page)]
    charts = [json.JSONDecoder().raw_decode(page, start)[0] for start in starts]
    return {chart["title"]["text"]: chart["data"]["values"] for chart in charts}


def points(values: list[dict], revision: str, x: str, file: str, column: str) -> list[tuple[str, str]]:
    """The points of one series; DVC names field and file only in a chart that has several of them."""
    return [
        (value[x], value.get("dvc_inferred_y_value", value[column]))
        for value in values
        if value["rev"] == revision
        and value.get("field", column) == column
        and file.endswith(value.get("filename", ""))
    ]


def rows(path: Path, x: str, column: str) -> list[tuple[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return [(row[x], row[column]) for row in csv.DictReader(file)]


def check_page(project: Project, html: str, folders: dict[str, Path]) -> None:
    """A page has every declared chart and image, of every revision, with the content of that revision's folder."""
    page = (project.folder / html / "index.html").read_text()
    drawn, declared = drawn_charts(page), declared_charts(project)
    assert set(drawn) == set(declared)
    for title, chart in declared.items():
        for revision, folder in folders.items():
            for file, column in chart.series:
                expected = rows(folder / file, chart.x, column)
                assert points(drawn[title], revision, chart.x, file, column) == expected != [], f"{title}: {file}"
        drawn_rows = sum(
            len(rows(folder / file, chart.x, y)) for folder in folders.values() for file, y in chart.series
        )
        assert len(drawn[title]) == drawn_rows, title
    images = {(name, revision) for name in declared_images(project) for revision in folders}
    shown = {f"static/{revision}_{name.replace('/', '_')}": folders[revision] / name for name, revision in images}
    assert sorted(re.findall(r'src="(static/[^"]+)"', page)) == sorted(shown)
    for source, original in shown.items():
        assert (project.folder / html / source).read_bytes() == original.read_bytes(), source


def test_a_failed_last_stage_leaves_no_model_data_or_half_a_figure(begun):
    assert begun.project.ran(begun.failed) == STAGES
    assert "RuntimeError: planted" in begun.failed
    lines = begun.status.splitlines()
    assert [line for line in lines if not line.startswith("?? ")] == [" M picollm/lab/drawing.py"]
    new = [line.removeprefix("?? ") for line in lines if line.startswith("?? ")]
    assert [name for name in new if not re.fullmatch(r"dvc\.lock|metrics/\w+\.json|plots/[\w/]+\.csv", name)] == []
    assert {path.suffix for path in begun.left} == {".csv"}


def test_the_stage_that_failed_runs_alone_once_its_fault_is_gone(begun):
    assert begun.project.ran(begun.repaired) == {"check", "plot"}


def test_a_second_repro_runs_nothing_although_byte_code_was_written(project):
    assert list((project.folder / "picollm").rglob("*.pyc"))  # that of the stages; now that of every other module too
    project.run("python", "-m", "compileall", "-q", "picollm", "stages")
    output = project.run("dvc", "repro")
    assert project.ran(output) == project.restored(output) == set()
    assert project.status() == ""


def test_a_parameter_put_back_is_restored_from_the_run_cache_and_trains_nothing(project):
    before = project.hashes()
    project.replace("beta: 0.65", "beta: 0.5")
    assert project.ran(project.run("dvc", "repro")) == AFTER_DPO | {"check"}
    changed = {path for path, content in project.hashes().items() if before.get(path) != content}
    assert {"models/dpo/model.safetensors", "metrics/eval.json", "plots/dpo/val.csv", "plots/curves.png"} <= changed
    project.replace("beta: 0.5", "beta: 0.65")
    output = project.run("dvc", "repro")
    assert (project.ran(output), project.restored(output)) == (set(), AFTER_DPO | {"check"})
    assert project.hashes() == before
    assert project.status() == ""


def test_an_experiment_runs_what_its_parameter_concerns_and_is_kept(project, ipo):
    output, copy = ipo
    assert project.ran(output) == AFTER_DPO | {"check"}
    assert project.metrics(project.experiment("ipo")) == json.loads((copy / "metrics/eval.json").read_text())


def test_metrics_diff_names_every_number_that_an_experiment_changed(project, ipo):
    _, copy = ipo
    old, new = project.metrics(), json.loads((copy / "metrics/eval.json").read_text())
    changed = {name for name in old | new if old.get(name) != new.get(name)}
    difference = json.loads(project.run("dvc", "metrics", "diff", "HEAD", "ipo", "--json"))["metrics/eval.json"]
    assert set(difference) == changed >= {"dpo.sft_loss"}
    for name, found in difference.items():
        assert found == {"old": old[name], "new": new[name], "diff": pytest.approx(new[name] - old[name])}


def test_plots_show_draws_every_declared_series_and_image_of_the_working_tree(project):
    output = project.run("dvc", "plots", "show", "-o", "page")
    assert "WARNING" not in output and "ERROR" not in output
    check_page(project, "page", {"workspace": project.folder})


def test_plots_diff_draws_every_declared_series_and_image_of_both_revisions(project, ipo):
    _, copy = ipo
    output = project.run("dvc", "plots", "diff", "HEAD", "ipo", "-o", "page")
    assert "WARNING" not in output and "ERROR" not in output
    check_page(project, "page", {"HEAD": project.folder, "ipo": copy})


def test_two_workers_run_two_queued_seeds_beside_an_untouched_working_tree(project):
    before = project.hashes()
    for seed in (2, 3):
        project.run("dvc", "exp", "run", "--queue", "-S", f"seed={seed}", "-n", f"seed{seed}")
    try:
        # The workers hold the command's output open until the queue is empty, so that reading it waits for them.
        project.run("dvc", "queue", "start", "-j", "2")
        status = project.run("dvc", "queue", "status")
    finally:
        project.run("dvc", "queue", "stop", "--kill")
    tasks = [line.split() for line in status.splitlines() if "seed" in line]
    assert sorted((words[1], words[-1]) for words in tasks) == [("seed2", "Success"), ("seed3", "Success")]
    assert "Worker status: 0 active, 0 idle" in status
    assert project.hashes() == before
    assert project.status() == ""
    metrics = [project.metrics(), *(project.metrics(project.experiment(name)) for name in ("seed2", "seed3"))]
    assert len({content["dpo.sft_loss"] for content in metrics}) == 3
    project.run("dvc", "exp", "apply", "seed2")
    assert project.metrics() == metrics[1]
    assert project.ran(project.run("dvc", "repro")) == set()


def test_a_colleague_who_pulls_has_every_output_and_runs_nothing(project, colleague):
    colleague.run("dvc", "pull", "--run-cache")
    assert colleague.hashes() == project.hashes()
    assert colleague.ran(colleague.run("dvc", "repro")) == set()
    assert colleague.status() == ""


def test_a_colleague_applies_an_experiment_of_somebody_else_and_runs_nothing(colleague, ipo):
    _, copy = ipo
    colleague.run("dvc", "exp", "pull", "origin", "ipo")
    colleague.run("dvc", "exp", "apply", "ipo")
    assert colleague.metrics() == json.loads((copy / "metrics/eval.json").read_text())
    output = colleague.run("dvc", "repro")
    assert colleague.ran(output) == colleague.restored(output) == set()
