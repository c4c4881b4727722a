"""Runs that are really killed, under DVC, and end with the hashes of a run that was not."""

import os
import random
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.project import Project, make_project

pytestmark = pytest.mark.slow

STEPS = {"pretrain": 30, "sft": 24, "dpo": 16}  # of the project below
KILLED = {stage: sorted(random.Random(stage).sample(range(1, steps), 3)) for stage, steps in STEPS.items()}


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Project:
    """The project with more training steps, its state saved at each of them; nothing has run."""
    project = make_project(tmp_path_factory.mktemp("origin"))
    params, preset = project.folder / "params.yaml", project.folder / "presets/smoke.yaml"
    params.write_text(params.read_text().replace("steps: auto", "steps: 30").replace("epochs: auto", "epochs: 4"))
    preset.write_text(re.sub(r"checkpoint_every: \d+", "checkpoint_every: 1", preset.read_text()))
    project.commit("more steps")
    return project


@pytest.fixture(scope="module")
def undisturbed(origin, tmp_path_factory) -> Project:
    """The project after one run that nothing disturbed."""
    project = origin.clone(tmp_path_factory.mktemp("undisturbed") / "picollm")
    project.run("dvc", "repro")
    assert saved(project) == []
    return project


@pytest.fixture(scope="module")
def expected(undisturbed) -> dict[str, str]:
    return undisturbed.hashes()


@pytest.fixture
def project(origin, tmp_path) -> Project:
    return origin.clone(tmp_path / "picollm")


def saved(project: Project) -> list[Path]:
    return sorted(project.folder.glob(".resume/*/*/*.safetensors"))


def trainer(project: Project, stage: str) -> int:
    """The process that holds the stage's lock, wherever it runs."""
    locks = [*project.folder.glob(f".resume/{stage}/*/lock")]
    assert len(locks) == 1, locks
    return int(locks[0].read_text().split()[1])


def reaches(process: subprocess.Popen, project: Project, stage: str, step: int) -> bool:
    """Wait until the stage has saved its state of a step; False if the process ends before."""
    while not any(int(path.name[:8]) >= step for path in project.folder.glob(f".resume/{stage}/*/*.safetensors")):
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            continue
        return False
    return True


def disturb(project: Project, command: tuple[str, ...], stage: str, step: int, number: int, group: bool) -> str:
    """Start a command and send a signal, to it and all it started or to the trainer alone, at a step; what it printed."""
    with project.start(*command) as process:
        if not reaches(process, project, stage, step):
            raise AssertionError(process.stdout.read())
        os.killpg(process.pid, number) if group else os.kill(trainer(project, stage), number)
        output, _ = process.communicate()
    assert process.returncode != 0
    return output


def steps_of(project: Project) -> dict[str, list[int]]:
    """The steps in the logs of training, with log_every at 2, 2 and 1."""
    return {
        stage: [
            int(line.split(",")[0]) for line in (project.folder / f"plots/{stage}/train.csv").read_text().split()[1:]
        ]
        for stage in STEPS
    }


def test_repro_killed_nine_times_ends_as_if_it_had_not_been(project, expected):
    """kill -9 of DVC and the trainer together, three times in every training stage, at steps drawn at random."""
    for stage, steps in KILLED.items():
        for step in steps:
            disturb(project, ("dvc", "repro"), stage, step, signal.SIGKILL, group=True)
    project.run("dvc", "repro")
    assert project.hashes() == expected
    assert steps_of(project) == {"pretrain": [*range(2, 31, 2)], "sft": [*range(2, 25, 2)], "dpo": [*range(1, 17)]}
    assert saved(project) == []
    assert "no saved state" in project.run("python", "-m", "picollm", "clean")


@pytest.mark.parametrize(("number", "group"), [(signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGKILL, False)])
def test_repro_stopped_by_a_signal_saves_first_and_goes_on(number, group, project, expected):
    for stage, steps in KILLED.items():
        output = disturb(project, ("dvc", "repro"), stage, steps[1], number, group)
        if number != signal.SIGKILL:
            assert f"stopped by {number.name}; run the same command again to resume" in output
        assert "Traceback" not in output
        assert saved(project)
    project.run("dvc", "repro")
    assert project.hashes() == expected


def test_where_dvc_alone_was_killed_a_second_run_names_the_trainer_and_does_not_train_beside_it(project, expected):
    with project.start("dvc", "repro") as process:
        assert reaches(process, project, "pretrain", 3)
        pid = trainer(project, "pretrain")
        os.kill(pid, signal.SIGSTOP)  # so that it is still there when the second one looks
        process.kill()
        process.wait()
        before = saved(project)
        output = project.run("dvc", "repro", ok=False)
        assert f"already running in process {pid} on" in output
        assert saved(project) == before
        assert re.search(rf"in use by process {pid} on", project.run("python", "-m", "picollm", "clean"))
        os.kill(pid, signal.SIGKILL)
        process.stdout.read()  # until the trainer is gone
    project.run("dvc", "repro")
    assert project.hashes() == expected


def test_an_experiment_killed_in_every_stage_ends_as_if_it_had_not_been(project, expected):
    command = ("dvc", "exp", "run", "--temp", "-n", "killed")
    for stage, steps in KILLED.items():
        disturb(project, command, stage, steps[0], signal.SIGKILL, group=True)
    project.run(*command)
    project.run("dvc", "exp", "apply", "killed")
    assert project.hashes() == expected


def test_an_experiment_in_the_workspace_killed_in_every_stage_ends_as_if_it_had_not_been(project, expected):
    command = ("dvc", "exp", "run", "-n", "killed")
    for stage, steps in KILLED.items():
        disturb(project, command, stage, steps[2], signal.SIGKILL, group=True)
    project.run(*command)
    assert project.hashes() == expected


def test_a_queued_experiment_whose_trainer_is_killed_goes_on_when_it_is_queued_again(project, expected):
    try:
        for number, (stage, steps) in enumerate(KILLED.items()):
            project.run("dvc", "exp", "run", "--queue", "-n", f"killed{number}")
            # The worker holds this command's output open until the queue is empty.
            with project.start("dvc", "queue", "start") as process:
                while not any(int(path.name[:8]) >= steps[0] for path in saved(project) if f"/{stage}/" in str(path)):
                    with pytest.raises(subprocess.TimeoutExpired):
                        subprocess.run(
                            ["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL, timeout=0.01, check=True
                        )
                os.kill(trainer(project, stage), signal.SIGKILL)
                process.communicate()
            status = project.run("dvc", "queue", "status")
            assert re.search(rf"killed{number}\s.*Failed", status), status
        project.run("dvc", "exp", "run", "--queue", "-n", "whole")
        project.run("dvc", "queue", "start")
        assert re.search(r"whole\s.*Success", project.run("dvc", "queue", "status"))
    finally:
        project.run("dvc", "queue", "stop", "--kill")
    project.run("dvc", "exp", "apply", "whole")
    assert project.hashes() == expected


@pytest.mark.parametrize("after", ["save_model", "write_csv", "write_json"])
def test_a_kill_while_results_are_written_costs_no_training(after, project, expected):
    """The stage kills itself after its model, its first CSV, or its metrics are written: before its state is removed."""
    project.run("dvc", "repro", "reference")
    code = f"""
import os, signal
from picollm.core import files
from picollm.training import run
owner = run if "{after}" == "save_model" else files
real = owner.{after}
def killed(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
owner.{after} = killed
from stages import dpo
dpo.main()
"""
    project.run("python", "-c", code, ok=False)
    (last,) = {int(path.name[:8]) for path in saved(project)} & {STEPS["dpo"]}
    output = project.run("dvc", "repro")
    assert f"dpo: resuming from step {last}" in output
    assert project.hashes() == expected


def losses(project: Project) -> dict[str, list[float]]:
    found = {}
    for stage in STEPS:
        for name in ("train", "val"):
            header, *lines = (project.folder / f"plots/{stage}/{name}.csv").read_text().split()
            column = header.split(",").index("loss")
            found[f"{stage}/{name}"] = [float(line.split(",")[column]) for line in lines]
    return found


def test_a_run_goes_on_with_another_number_of_processes(project, undisturbed):
    """The runs differ by rounding alone, so losses are compared and not hashes."""
    for processes, step in (("2", 5), ("1", 10), ("2", 15)):
        project.environment["NPROC"] = processes
        disturb(project, ("dvc", "repro"), "sft", step, signal.SIGKILL, group=False)
        assert saved(project)
    project.run("dvc", "repro")
    assert saved(project) == []
    assert steps_of(project) == steps_of(undisturbed)
    expected = losses(undisturbed)
    for name, found in losses(project).items():
        assert found == pytest.approx(expected[name], abs=2e-4), name
