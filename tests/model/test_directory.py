import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from picollm.core.errors import CheckpointError
from picollm.model import directory as checkpoint
from picollm.model.directory import load_model, load_model_and_tokenizer, save_model
from picollm.text.tokenizer import train_bpe
from tests.tiny import tiny_model

STORIES = Path(__file__).parents[2] / "shared/data/stories260k"


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(iter(["the cat sat on the mat", "a bat and a hat"]), 270)


@pytest.fixture
def folder(tmp_path, tokenizer):
    save_model(tmp_path / "model", tiny_model(vocab_size=tokenizer.vocab_size), tokenizer)
    return tmp_path / "model"


def edit_config(folder: Path, **changes) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **changes}))


@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_model_loads_to_the_same_weights(tmp_path, tokenizer, tied):
    model = tiny_model(vocab_size=tokenizer.vocab_size, tie_word_embeddings=tied)
    save_model(tmp_path / "m", model, tokenizer)
    loaded, its_tokenizer = load_model_and_tokenizer(tmp_path / "m")
    assert loaded.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert its_tokenizer.encode("the bat") == tokenizer.encode("the bat")


def test_saving_twice_gives_equal_bytes_and_replaces_the_directory(tmp_path, tokenizer):
    model = tiny_model(vocab_size=tokenizer.vocab_size)
    save_model(tmp_path / "m", model, tokenizer)
    first = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}
    (tmp_path / "m" / "stale").write_text("from an earlier run")
    save_model(tmp_path / "m", model, tokenizer)
    assert {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()} == first
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_transformers_reads_the_directory_with_equal_logits_and_ids(folder, tokenizer):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([tokenizer.encode("the cat and a hat")])
    with torch.no_grad():
        assert torch.allclose(load_model(folder)(ids), theirs(ids).logits, atol=1e-4)
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert their_tokenizer("the cat and a hat").input_ids == ids[0].tolist()
    assert theirs.generation_config.eos_token_id == tokenizer.eos_id


def test_a_directory_that_transformers_saved_loads_with_equal_logits(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        rope_theta=500.0,
    )
    theirs = transformers.LlamaForCausalLM(config)
    theirs.save_pretrained(tmp_path / "m")
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.allclose(load_model(tmp_path / "m")(ids), theirs(ids).logits, atol=1e-4)


def test_a_model_in_several_files_loads_through_its_index(folder):
    whole = load_file(folder / "model.safetensors")
    names = sorted(whole)
    save_file({name: whole[name] for name in names[:5]}, folder / "model-1.safetensors")
    save_file({name: whole[name] for name in names[5:]}, folder / "model-2.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: f"model-{1 if place < 5 else 2}.safetensors" for place, name in enumerate(names)}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert torch.equal(load_model(folder).state_dict()[names[0]], whole[names[0]])
    index.write_text(json.dumps({"weight_map": {**places, names[0]: "../model-1.safetensors"}}))
    with pytest.raises(CheckpointError, match="is not a file beside it"):
        load_model(folder)


def test_half_precision_weights_are_read_as_float32(folder):
    state = {name: value.bfloat16() for name, value in load_file(folder / "model.safetensors").items()}
    save_file(state, folder / "model.safetensors")
    assert load_model(folder).model.norm.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mistral"}, "config.json: model_type"),
        ({"hidden_act": "gelu"}, "config.json: hidden_act"),
        ({"attention_bias": True}, "config.json: attention_bias"),
        ({"rope_scaling": {"type": "linear"}}, "config.json: rope_scaling"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "config.json: rope_parameters.rope_type: 'llama3'"),
        ({"hidden_size": "16"}, "config.json: hidden_size"),
        ({"hidden_size": 10**12}, "config.json: hidden_size"),
        ({"intermediate_size": 20}, "model.safetensors: tensor .* has shape .*; config.json asks for"),
        ({"num_attention_heads": 3}, "config.json: hidden_size 16 is not a multiple"),
        ({"head_dim": 5}, "config.json: head_dim 5 is not"),
        ({"num_hidden_layers": 3}, "tensor model.layers.2.* is missing"),
        ({"num_hidden_layers": 1}, "tensor model.layers.1.* has no place in this model"),
        ({"tie_word_embeddings": False}, "tensor lm_head.weight is missing"),
    ],
)
def test_a_config_that_does_not_fit_is_named(folder, changes, message):
    edit_config(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_model(folder)


def test_a_vocabulary_other_than_the_tokenizers_is_refused(tmp_path, tokenizer):
    model = tiny_model(vocab_size=tokenizer.vocab_size + 1)
    save_model(tmp_path / "m", model, tokenizer)
    with pytest.raises(
        CheckpointError, match=f"vocab_size is {tokenizer.vocab_size + 1}.*{tokenizer.vocab_size} tokens"
    ):
        load_model_and_tokenizer(tmp_path / "m")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}: no such file"):
        load_model(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_a_cut_off_weights_file_is_named(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model.safetensors: not a whole safetensors file"):
        load_model(folder)


def test_weights_that_are_no_floats_are_refused(folder):
    state = load_file(folder / "model.safetensors")
    state["model.norm.weight"] = torch.ones(16, dtype=torch.int32)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model.norm.weight has type I32"):
        load_model(folder)


def test_an_error_while_saving_leaves_the_old_directory_and_no_draft(folder, tokenizer):
    class Unwritable:
        bos_id = eos_id = pad_id = 0

        def save(self, folder):
            raise OSError("disk full")

    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(OSError, match="disk full"):
        save_model(folder, tiny_model(), Unwritable())
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.skipif(not STORIES.is_dir(), reason="the real checkpoint is not on this machine")
def test_a_real_checkpoint_writes_a_story(tmp_path):
    transformers = pytest.importorskip("transformers")
    shutil.copytree(STORIES, tmp_path / "m")
    model, tokenizer = load_model_and_tokenizer(tmp_path / "m")
    ids = torch.tensor([[tokenizer.bos_id, *tokenizer.encode("Once upon a time")]])
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    with torch.no_grad():
        assert torch.allclose(model(ids), theirs(ids).logits, atol=1e-4)
    assert checkpoint.base_checkpoint(tmp_path) is None
