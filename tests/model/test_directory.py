import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from picollm.core.errors import CheckpointError
from picollm.inference.sampling import complete
from picollm.inference.settings import Reader, Sample
from picollm.model.directory import EMBEDDING, HEAD, load_model, load_model_and_tokenizer, save_model
from picollm.text.tokenizer import train_bpe
from tests.tiny import tiny_model

STORIES = Path(__file__).parents[3] / "shared/data/stories260k"


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
    assert their_tokenizer("the cat and a hat").input_ids == [tokenizer.bos_id, *ids[0].tolist()]
    assert theirs.generation_config.eos_token_id == tokenizer.eos_id


def test_a_list_of_eos_ids_is_saved_for_the_next_stage_and_for_generation(folder, tmp_path):
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 7]}))
    model, tokenizer = load_model_and_tokenizer(folder)
    save_model(tmp_path / "again", model, tokenizer)
    assert load_model_and_tokenizer(tmp_path / "again")[1].stop_ids == [0, 7]
    transformers = pytest.importorskip("transformers")
    assert transformers.GenerationConfig.from_pretrained(tmp_path / "again").eos_token_id == [0, 7]


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
    with pytest.raises(CheckpointError, match="is not a file of this directory"):
        load_model(folder)


def test_half_precision_weights_are_read_as_float32(folder):
    edit_weights(folder, lambda state: state.update({name: value.bfloat16() for name, value in state.items()}))
    assert load_model(folder).model.norm.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "gpt2"},
            "config.json: model_type 'gpt2' is not supported; expected one of llama, mistral, qwen2, qwen3",
        ),
        ({"hidden_act": "gelu"}, "config.json: hidden_act"),
        ({"attention_bias": True}, "tensor model.layers.0.self_attn.q_proj.bias is missing"),
        (
            {"rope_scaling": {"type": "linear"}},
            "config.json: rope_scaling: factor is missing; expected with rope_type linear",
        ),
        (
            {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}},
            "config.json: rope_parameters: low_freq_factor is missing",
        ),
        ({"rope_scaling": {"full_attention": {"rope_type": "linear"}}}, "config.json: rope_scaling: full_attention: "),
        ({"partial_rotary_factor": 0.5}, "config.json: partial_rotary_factor"),
        ({"num_attention_heads": 3}, "config.json: hidden_size 16 is not a multiple"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "config.json: rope_scaling: rope_type: .*'yarn'"),
        ({"hidden_size": "16"}, "config.json: hidden_size"),
        ({"hidden_size": 10**12}, "config.json: hidden_size"),
        ({"intermediate_size": 20}, "model.safetensors: tensor .* has shape .*; expected .* from config.json"),
        ({"num_attention_heads": 3, "head_dim": None}, "config.json: hidden_size 16 is not a multiple"),
        ({"head_dim": 5}, "config.json: head_dim, by default .*, is 5; expected an even number"),
        ({"head_dim": 6}, "model.safetensors: tensor .*k_proj.weight has shape"),
        ({"num_hidden_layers": 3}, "tensor model.layers.2.* is missing"),
        ({"num_hidden_layers": 1}, "unexpected tensor model.layers.1"),
        ({"tie_word_embeddings": False}, "tensor lm_head.weight is missing"),
    ],
)
def test_a_config_that_does_not_fit_is_named(folder, changes, message):
    edit_config(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_model(folder)


def logits_of_both(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits of ids 0 to 19 from picollm and from transformers."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.arange(20)[None]
    with torch.no_grad():
        return load_model(folder)(ids), theirs(ids).logits


def edit_weights(folder: Path, edit) -> None:
    """Let `edit` change the tensors of model.safetensors in place."""
    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def test_a_tied_model_of_which_the_file_keeps_only_the_head_loads_as_in_transformers(folder):
    expected = load_model(folder).state_dict()
    edit_weights(folder, lambda state: state.update({HEAD: state.pop(EMBEDDING)}))
    ours, theirs = logits_of_both(folder)
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert all(torch.equal(value, expected[name]) for name, value in load_model(folder).state_dict().items())


def test_a_tied_model_with_an_equal_head_loads_and_with_another_head_is_refused(folder):
    edit_weights(folder, lambda state: state.update({HEAD: state[EMBEDDING].clone()}))
    ours, theirs = logits_of_both(folder)
    assert torch.allclose(ours, theirs, atol=1e-4)
    edit_weights(folder, lambda state: state[HEAD].mul_(1.01))
    with pytest.raises(
        CheckpointError, match=r"lm_head.weight differs from .*embed_tokens.weight.*tie_word_embeddings"
    ):
        load_model(folder)


def test_a_tied_model_with_neither_embedding_nor_head_is_named(folder):
    edit_weights(folder, lambda state: state.pop(EMBEDDING))
    with pytest.raises(CheckpointError, match=r"tensor model\.embed_tokens\.weight is missing"):
        load_model(folder)


@pytest.mark.parametrize("tied", [True, False])
def test_an_embedding_padded_above_the_tokenizers_vocabulary_keeps_its_rows_and_its_logits(tmp_path, tokenizer, tied):
    padded = tiny_model(vocab_size=320, tie_word_embeddings=tied)
    save_model(tmp_path / "m", padded, tokenizer)
    model, its_tokenizer = load_model_and_tokenizer(tmp_path / "m")
    assert (model.config.vocab_size, its_tokenizer.vocab_size) == (320, tokenizer.vocab_size)
    ours, theirs = logits_of_both(tmp_path / "m")
    assert ours.shape == theirs.shape == (1, 20, 320)
    assert torch.allclose(ours, theirs, atol=1e-4)
    auto = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path / "m")
    ids = [319, *tokenizer.encode("the cat"), 300]
    assert its_tokenizer.decode(ids) == auto.decode(ids) == "the cat"


def test_another_architecture_is_named_before_its_tokenizer_is_read(folder):
    edit_config(folder, model_type="gemma2")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="model_type 'gemma2' is not supported"):
        load_model_and_tokenizer(folder)


def test_a_vocabulary_below_the_tokenizers_is_refused(tmp_path, tokenizer):
    model = tiny_model(vocab_size=tokenizer.vocab_size - 1)
    save_model(tmp_path / "m", model, tokenizer)
    with pytest.raises(
        CheckpointError, match=f"vocab_size is {tokenizer.vocab_size - 1}; expected at least {tokenizer.vocab_size}"
    ):
        load_model_and_tokenizer(tmp_path / "m")


def test_loading_imports_no_compiler(folder):
    code = f"from picollm.model.directory import load_model; import sys; load_model({str(folder)!r})"
    code += "; sys.exit('torch._dynamo' in sys.modules)"  # takes a second to import
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


def test_transformers_generates_the_greedy_text_of_picollm(folder):
    transformers = pytest.importorskip("transformers")
    model, tokenizer = load_model_and_tokenizer(folder)
    counts = dict.fromkeys(("prompts", "base_samples", "dpo_samples"), 1)
    settings = Sample(**counts, sft_samples=10, max_new_tokens=12, batch_size=4)
    prompts = ["the cat", "a", "a bat and", "on the hat"]
    greedy = Reader(temperature=0.0, top_p=1.0)
    completions = complete(model, tokenizer, prompts, [[0]] * 4, settings, greedy, False)
    auto = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for prompt, (completion,) in zip(prompts, completions, strict=True):
        inputs = auto(prompt, return_tensors="pt")
        ids = theirs.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs.input_ids.shape[1] :]
        assert auto.decode(ids, skip_special_tokens=True) == completion["completion"]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}: no such file"):
        load_model(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_a_cut_off_weights_file_is_named(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model.safetensors: not a complete safetensors file"):
        load_model(folder)


def test_weights_that_are_no_floats_are_refused(folder):
    edit_weights(folder, lambda state: state.update({"model.norm.weight": torch.ones(16, dtype=torch.int32)}))
    with pytest.raises(CheckpointError, match=r"model.norm.weight has type I32"):
        load_model(folder)


def test_an_error_while_saving_leaves_the_old_directory_and_no_draft(folder, tokenizer):
    class Unwritable:
        bos_id = eos_id = pad_id = 0
        stop_ids = (0,)

        def save(self, folder):
            raise OSError("disk full")

    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(OSError, match="disk full"):
        save_model(folder, tiny_model(), Unwritable())
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.skipif(not STORIES.is_dir(), reason="the real checkpoint is not on this machine")
def test_a_real_checkpoint_has_the_logits_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    shutil.copytree(STORIES, tmp_path / "m")
    model, tokenizer = load_model_and_tokenizer(tmp_path / "m")
    ids = torch.tensor([[tokenizer.bos_id, *tokenizer.encode("Once upon a time")]])
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    with torch.no_grad():
        assert torch.allclose(model(ids), theirs(ids).logits, atol=1e-4)
