import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from picollm.core.errors import ResumeError
from picollm.training import resume
from picollm.training.resume import State
from tests.tiny import training

ROOT = Path(__file__).parents[2]


@pytest.fixture
def state(tmp_path) -> State:
    return State(tmp_path / "state")


def save(state: State, step: int) -> None:
    state.save(step, {"weight": torch.full((3,), float(step))}, {"step": step, "third": 1 / 3})


def names(state: State) -> list[str]:
    return sorted(path.name.split("-")[0] for path in state.folder.iterdir())


def test_what_is_saved_is_loaded_to_the_bit(state):
    assert state.load() is None
    tensors = {
        "a": torch.tensor([0.1, -0.0, float("inf")]),
        "b": torch.tensor(3),
        "c": torch.rand(2, 3, dtype=torch.float64),
    }
    state.save(7, tensors, {"loss": 0.1 + 0.2, "rows": [{"x": 1e-300}]})
    loaded, progress = state.load()
    assert progress == {"loss": 0.1 + 0.2, "rows": [{"x": 1e-300}]}
    assert {name: tensor.dtype for name, tensor in loaded.items()} == {
        name: tensor.dtype for name, tensor in tensors.items()
    }
    assert all(loaded[name].numpy().tobytes() == tensor.numpy().tobytes() for name, tensor in tensors.items())


def test_the_newest_two_are_kept_and_the_newest_is_loaded(state):
    for step in (2, 4, 6):
        save(state, step)
    assert names(state) == ["00000004", "00000006"]
    assert state.load()[1]["step"] == 6


def test_a_second_state_of_a_step_takes_the_place_of_the_first(state):
    save(state, 2)
    save(state, 4)
    state.save(4, {"weight": torch.zeros(3)}, {"step": 4, "third": 0.5})
    assert names(state) == ["00000002", "00000004"]
    assert state.load()[1]["third"] == 0.5


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_newest_file_falls_back_to_the_one_before_and_says_so(state, damage, capsys):
    save(state, 2)
    save(state, 4)
    newest = max(state.folder.iterdir())
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes({"flip": content, "cut": content[:40], "empty": b""}[damage])
    assert state.load()[1]["step"] == 2
    assert f"{newest}: damaged" in capsys.readouterr().err
    save(state, 3)  # the run that fell back goes on: the damaged file of a later step must not push out a good one
    assert names(state) == ["00000002", "00000003"]


def test_if_every_file_is_damaged_nothing_is_loaded(state):
    for step in (2, 4):
        save(state, step)
    for path in state.folder.iterdir():
        path.write_bytes(b"nothing")
    assert state.load() is None


def test_a_disk_that_is_full_is_an_error_and_leaves_the_state_before_usable(tmp_path):
    """The kernel refuses to let the file grow beyond the limit, as a full disk would."""
    code = f"""
import resource, signal, torch
from picollm.training.resume import State
state = State(__import__("pathlib").Path({str(tmp_path / "state")!r}))
state.save(1, {{"weight": torch.ones(10)}}, {{"step": 1}})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
state.save(2, {{"weight": torch.ones(100_000)}}, {{"step": 2}})
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "ResumeError" in ended.stderr
    assert "the state of step 2 could not be written" in ended.stderr
    state = State(tmp_path / "state")
    assert names(state) == ["00000001"]
    assert state.load()[1]["step"] == 1


def test_a_folder_that_cannot_be_written_is_a_resume_error(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(ResumeError, match="could not be written"):
        save(State(tmp_path / "state"), 1)


def test_a_kill_in_the_middle_of_a_save_leaves_a_whole_state(tmp_path):
    """kill -9 at a dozen moments, most of them within a save: what is loaded is always whole, and at most one step old."""
    code = f"""
import torch
from pathlib import Path
from picollm.training.resume import State
state, step = State(Path({str(tmp_path / "state")!r})), 0
while True:
    step += 1
    state.save(step, {{"weight": torch.full((500_000,), float(step))}}, {{"step": step}})
    print(step, flush=True)
"""
    for lines in range(1, 13):
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
        with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(lines % 4 + 1):
                said = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            process.wait()
        tensors, progress = State(tmp_path / "state").load()
        assert progress["step"] >= said
        assert torch.equal(tensors["weight"], torch.full((500_000,), float(progress["step"])))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "dvc.yaml").write_text("stages: {sft: {cmd: x, deps: [data, code.py]}, dpo: {cmd: x, deps: [code.py]}}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows.jsonl").write_text("{}\n")
    (tmp_path / "code.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def parameters(**changes) -> SimpleNamespace:
    return SimpleNamespace(seed=1, sft=training(**changes))


def test_the_fingerprint_changes_with_a_parameter_an_input_and_the_code_and_with_nothing_else(project):
    first = resume.fingerprint("sft", parameters())
    (project / "other.txt").write_text("not a dependency")
    assert resume.fingerprint("sft", parameters()) == first
    found = {first, resume.fingerprint("sft", parameters(lr=0.5)), resume.fingerprint("dpo", parameters())}
    (project / "data/rows.jsonl").write_text("{} \n")
    found.add(resume.fingerprint("sft", parameters()))
    (project / "code.py").write_text("x = 2\n")
    found.add(resume.fingerprint("sft", parameters()))
    assert len(found) == 5


def test_state_is_in_the_parent_repository_of_a_queued_experiment(project, tmp_path_factory, monkeypatch):
    parent = tmp_path_factory.mktemp("parent")
    monkeypatch.setenv("DVC_ROOT", str(parent))
    state = resume.acquire("sft", parameters())
    assert state.folder.parent == parent / ".resume/sft"
    assert (project / ".resume/sft.lock").is_file()


def test_acquire_removes_the_drafts_of_a_killed_process_and_remove_the_whole_state(project):
    folder = State(project / ".resume/sft" / resume.fingerprint("sft", parameters())[:32]).folder
    folder.mkdir(parents=True)
    (folder / "00000009.tmp").write_text("half")
    state = resume.acquire("sft", parameters())
    assert state.folder.samefile(folder)
    assert names(state) == ["lock"]
    state.remove()
    assert not folder.exists()


def test_saved_runs_are_listed_with_step_size_and_holder(project):
    assert resume.saved_runs() == []
    state = State(project / ".resume/sft/0123")
    save(state, 3)
    (saved,) = resume.saved_runs()
    assert (saved.folder.resolve(), saved.step, saved.holder) == (state.folder, 3, None)
    assert saved.size == sum(path.stat().st_size for path in state.folder.iterdir())
    resume.acquire("dpo", parameters())
    assert any(saved.holder and saved.holder.startswith("process ") for saved in resume.saved_runs())
