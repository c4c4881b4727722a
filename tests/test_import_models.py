import pytest
from pydantic import ValidationError

from picollm.core.errors import CheckpointError, TokenizerError
from picollm.core.files import read_json
from picollm.model.directory import load_model_and_tokenizer, save_model
from picollm.model.settings import InitFrom
from picollm.text.tokenizer import train_bpe
from stages.import_models import import_model
from tests.tiny import tiny_model


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """The checkpoint data/raw/own of the folder that is now the current one."""
    monkeypatch.chdir(tmp_path)
    tokenizer = train_bpe(iter(["the cat sat on the mat"]), 270)
    folder = tmp_path / "data/raw/own"
    save_model(folder, tiny_model(vocab_size=tokenizer.vocab_size), tokenizer)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "README.md").write_text("about it")
    return folder


def test_a_checkpoint_is_copied_without_what_is_not_read(checkpoint, tmp_path):
    base = tmp_path / "data/base"
    import_model("data/raw/own", base)
    kept = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    assert sorted(path.name for path in (base / "model").iterdir()) == sorted(kept)
    for name in kept:
        assert (base / "model" / name).read_bytes() == (checkpoint / name).read_bytes()
    assert read_json(base / "init_from.json") == {"init_from": "data/raw/own"}
    model, tokenizer = load_model_and_tokenizer(base / "model")
    assert model.config.vocab_size == tokenizer.vocab_size


def test_without_a_checkpoint_the_folder_says_so_and_keeps_none(checkpoint, tmp_path):
    base = tmp_path / "data/base"
    import_model("data/raw/own", base)
    import_model(None, base)
    assert read_json(base / "init_from.json") == {"init_from": None}
    assert not (base / "model").exists()
    assert [path.name for path in base.iterdir()] == ["init_from.json"]


@pytest.mark.parametrize(
    "path", ["elsewhere", "data/raw/../../elsewhere", "data/raw/link", "data/raw", "data", "/", ""]
)
def test_a_checkpoint_outside_data_raw_is_refused(checkpoint, tmp_path, path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data/raw/link").symlink_to(tmp_path / "elsewhere")
    for file in checkpoint.iterdir():
        (tmp_path / "elsewhere" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ValidationError, match=r"expected a directory in data/raw/|at least 1 character"):
        InitFrom(init_from=path)
    assert InitFrom(init_from="data/raw/own").init_from == "data/raw/own"


def test_a_checkpoint_may_be_named_by_its_whole_path(checkpoint, tmp_path):
    import_model(str(checkpoint), tmp_path / "data/base")
    assert (tmp_path / "data/base/model").is_dir()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_checkpoint_that_cannot_be_used_is_refused_and_not_copied(checkpoint, tmp_path, name):
    (checkpoint / name).write_bytes((checkpoint / name).read_bytes()[:50])
    with pytest.raises((CheckpointError, TokenizerError), match=name.replace(".", r"\.")):
        import_model("data/raw/own", tmp_path / "data/base")
    assert not (tmp_path / "data/base/model").exists()
