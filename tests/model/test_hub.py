"""The real client of the hub, in a process of its own, because it reads its variables when it is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from picollm.core.files import read_json
from picollm.model.directory import save_model
from picollm.model.settings import InitFrom
from picollm.text.tokenizer import train_bpe
from tests.model.hub_server import COMMIT, hub_of
from tests.tiny import tiny_model

ROOT = Path(__file__).parents[2]
IMPORT = "import sys; from pathlib import Path; from stages.import_models import import_model\n"
IMPORT += "import_model(sys.argv[1], Path(sys.argv[2]))"


@pytest.fixture
def hub(tmp_path):
    """The folder of a hub with the model tiny/model, and its address."""
    tokenizer = train_bpe(iter(["the cat sat on the mat"]), 270)
    folder = tmp_path / "hub/tiny/model"
    save_model(folder, tiny_model(vocab_size=tokenizer.vocab_size), tokenizer)
    for name in ("README.md", "pytorch_model.bin", "consolidated.safetensors", "onnx/config.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not read")
    with hub_of(tmp_path / "hub") as address:
        yield folder, address


def import_from(hub_id: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", IMPORT, hub_id, str(tmp_path / "base")]
    return subprocess.run(command, cwd=ROOT, env=kept | own | variables, capture_output=True, text=True, timeout=120)


def test_a_model_of_the_hub_is_downloaded_once_and_copied(hub, tmp_path):
    folder, address = hub
    for variables in ({"HF_ENDPOINT": address}, {"HF_HUB_OFFLINE": "1"}):  # then from the cache alone
        run = import_from("tiny/model@main", tmp_path, **variables)
        assert run.returncode == 0, run.stderr
        assert read_json(tmp_path / "base/init_from.json") == {"init_from": "tiny/model@main", "commit": COMMIT}
        names = {path.name for path in (tmp_path / "base/model").iterdir()}
        assert names == {
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        }
        for name in names:
            assert (tmp_path / "base/model" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("hub_id", "offline", "reason"),
    [
        ("tiny/other@main", False, "RepositoryNotFoundError: 404"),
        ("tiny/model@v2", False, "RevisionNotFoundError: 404"),
        ("tiny/model@main", True, "LocalEntryNotFoundError"),
    ],
)
def test_a_model_that_cannot_be_downloaded_is_named_with_the_reason(hub, tmp_path, hub_id, offline, reason):
    where = {"HF_HUB_OFFLINE": "1"} if offline else {"HF_ENDPOINT": hub[1]}
    run = import_from(hub_id, tmp_path, **where)
    message = run.stderr.splitlines()[-1]
    assert message.startswith(f"picollm.core.errors.CheckpointError: {hub_id}: cannot be downloaded ({reason}")
    assert "Expected ORG/NAME@REVISION" in message
    assert not (tmp_path / "base/model").exists()


def test_an_architecture_that_is_not_supported_is_refused_before_its_weights_are_downloaded(hub, tmp_path):
    folder, address = hub
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"llama"', '"gemma2"'))
    run = import_from("tiny/model@main", tmp_path, HF_ENDPOINT=address)
    assert "config.json: model_type 'gemma2' is not supported" in run.stderr
    assert list((tmp_path / "home").rglob("config.json")) and not list((tmp_path / "home").rglob("*.safetensors"))


@pytest.mark.parametrize(
    "init_from",
    [
        "tiny/model",
        "tiny/model@../x",
        "../..@main",
        "tiny/model@",
        "@main",
        "model@main",
        "a/b/c@main",
        "tiny/model@a b",
    ],
)
def test_a_hub_id_needs_a_revision(init_from):
    with pytest.raises(ValidationError, match=r"expected a directory in data/raw/.*or a model .*ORG/NAME@REVISION"):
        InitFrom(init_from=init_from)


def test_a_revision_is_a_branch_a_tag_or_a_commit():
    for revision in ("main", "v1.0", COMMIT, "refs/pr/1"):
        assert InitFrom(init_from=f"tiny/model@{revision}").init_from.endswith(revision)
