"""Real processes on loopback, started by NPROC as a user starts them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from picollm.core import files
from picollm.core.errors import ParamsError
from picollm.training import distributed

ROOT = Path(__file__).parents[2]


def start(
    folder: Path, processes: int, objective="language_modelling", strategy="ddp", every=100, stop="none", compile="off"
):
    """Run tests.many in so many processes; the ended process."""
    environment = {**os.environ, "NPROC": str(processes), "DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.many", str(folder / "state"), str(folder / f"out{processes}.json")]
    command += [objective, strategy, str(every), stop, compile]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def result(folder: Path, processes: int) -> dict:
    return files.read_json(folder / f"out{processes}.json")


def assert_close(found: dict, expected: dict, loss=1e-5, norm=1e-4, weights=1e-4) -> None:
    for kind in ("train", "validation"):
        assert len(found["history"][kind]) == len(expected["history"][kind])
        for row, other in zip(found["history"][kind], expected["history"][kind], strict=True):
            assert row.get("num_tokens") == other.get("num_tokens")
            assert row["loss"] == pytest.approx(other["loss"], abs=loss)
            assert row.get("grad_norm") == pytest.approx(other.get("grad_norm"), abs=norm)
    for name, weight in expected["weights"].items():
        assert np.allclose(found["weights"][name], weight, atol=weights), name


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """The results of one process, per objective."""
    found = {}
    for objective in ("language_modelling", "preference", "lora", "muon"):
        folder = tmp_path_factory.mktemp(objective)
        ended = start(folder, 1, objective)
        assert ended.returncode == 0, ended.stderr
        found[objective] = result(folder, 1)
    return found


@pytest.mark.parametrize("objective", ["language_modelling", "preference", "lora"])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_have_the_losses_of_one(strategy, objective, single, tmp_path):
    """A batch of 7 and 5 validation rows, so that the two shares differ in size and in micro-batches."""
    ended = start(tmp_path, 2, objective, strategy)
    assert ended.returncode == 0, ended.stderr
    assert_close(result(tmp_path, 2), single[objective])


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_with_muon_which_rounds_to_bfloat16_two_processes_have_nearly_the_losses_of_one(strategy, single, tmp_path):
    ended = start(tmp_path, 2, "muon", strategy)
    assert ended.returncode == 0, ended.stderr
    assert_close(result(tmp_path, 2), single["muon"], loss=1e-3, norm=1e-2, weights=2e-3)


@pytest.mark.slow  # it waits for the C++ compiler
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_compiled_processes_have_the_losses_of_one_that_is_not(strategy, single, tmp_path):
    ended = start(tmp_path, 2, "language_modelling", strategy, compile="on")
    assert ended.returncode == 0, ended.stderr
    assert "compiling the model" in ended.stdout
    assert_close(result(tmp_path, 2), single["language_modelling"])


@pytest.mark.parametrize(("first", "second", "strategy"), [(2, 1, "fsdp"), (1, 2, "ddp")])
def test_a_run_goes_on_with_another_number_of_processes(first, second, strategy, single, tmp_path):
    stopped = start(tmp_path, first, strategy=strategy, every=1, stop="0:SIGKILL:8")
    assert stopped.returncode != 0
    ended = start(tmp_path, second, strategy=strategy, every=1)
    assert "resuming from step" in ended.stdout
    assert_close(result(tmp_path, second), single["language_modelling"])


def test_a_dead_process_ends_the_job_with_its_error(tmp_path):
    ended = start(tmp_path, 2, stop="1:SIGKILL:4")
    assert ended.returncode == 1
    assert "error: tests.many: process 1 of 2 was killed by SIGKILL; the others were stopped" in ended.stderr
    assert not (tmp_path / "out2.json").exists()


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_stops_all_of_them_at_the_same_step_with_their_state_saved(rank, single, tmp_path):
    ended = start(tmp_path, 2, stop=f"{rank}:SIGTERM:5")
    assert ended.returncode == 143
    (state,) = (tmp_path / "state").iterdir()
    assert state.suffix == ".safetensors"
    again = start(tmp_path, 2)
    assert "resuming from step" in again.stdout
    assert again.returncode == 0
    assert_close(result(tmp_path, 2), single["language_modelling"])


@pytest.mark.parametrize("value", ["two", "0", "-1", "1.5", "2000"])
def test_an_impossible_number_of_processes_is_an_error(value, monkeypatch):
    monkeypatch.setenv("NPROC", value)
    with pytest.raises(ParamsError, match=f"NPROC={value}: expected a whole number"):
        distributed.set_up(False, "float32")


def test_one_process_needs_no_group(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.delenv("NPROC", raising=False)
    assert distributed.set_up(False, "float32").type == "cpu"
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert (distributed.all_reduce_max(3), distributed.broadcast(4)) == (3, 4)
    assert distributed.all_reduce_sum(torch.tensor([5, 6])).tolist() == [5, 6]


@pytest.mark.parametrize(
    ("codes", "first"),
    [
        ({0: 1, 1: -9}, (1, -9)),  # killed; rank 0 then failed for want of its peer
        ({0: -15, 1: 1}, (1, 1)),  # failed; torchrun then stopped rank 0
        ({0: 143, 1: 1, 2: 1}, (1, 1)),  # the same, while rank 0 was training
        ({0: 143, 1: 143}, (0, 143)),
        ({0: -2, 1: -15}, (0, -2)),
    ],
)
def test_the_process_that_failed_first_is_distinguished_from_those_that_were_stopped(codes, first):
    assert distributed._first_failure(codes) == first
