"""Each architecture beside transformers, with random weights."""

import json

import pytest
import torch

from picollm.inference.sampling import complete
from picollm.inference.settings import Reader, Sample
from picollm.model import runtime
from picollm.model.config_json import read_config
from picollm.model.directory import load_model, load_model_and_tokenizer, save_model
from picollm.text.tokenizer import train_bpe
from tests.tiny import tiny_model

transformers = pytest.importorskip("transformers")

TOKENIZER = train_bpe(iter(["the cat sat on the mat", "a bat and a hat"]), 270)
SIZES = {
    "vocab_size": 300,  # padded above the tokenizer's
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 96,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
CASES = {
    "llama3 frequencies": ("Llama", {"rope_parameters": LLAMA3}),
    "linear frequencies": ("Llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0}}),
    "another head_dim": ("Llama", {"head_dim": 10}),
    "biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("Mistral", {"sliding_window": None, "head_dim": 8}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"head_dim": 16}),
    "qwen3 with biases": ("Qwen3", {"head_dim": 16, "attention_bias": True}),
}


@pytest.fixture(scope="module", params=CASES)
def saved(request, tmp_path_factory):
    """A directory that transformers wrote, with every parameter random, and its model."""
    name, changes = CASES[request.param]
    torch.manual_seed(1)
    config = getattr(transformers, f"{name}Config")(**SIZES, **changes, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    theirs = getattr(transformers, f"{name}ForCausalLM")(config)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    folder = tmp_path_factory.mktemp("model")
    theirs.save_pretrained(folder)
    TOKENIZER.save(folder)
    return folder, theirs.eval()


def logits(model, ids):
    with torch.no_grad():
        output = model(ids)
    return getattr(output, "logits", output)


# Longer than the original context of LLAMA3, which has wavelengths of all three kinds.
IDS = torch.randint(0, 300, (2, 90), generator=torch.Generator().manual_seed(2))


def test_logits_equal_those_of_transformers(saved):
    folder, theirs = saved
    assert torch.allclose(logits(load_model(folder), IDS), logits(theirs, IDS), atol=1e-4)


def test_greedy_generation_equals_that_of_transformers(saved):
    folder, theirs = saved
    model, tokenizer = load_model_and_tokenizer(folder)
    counts = dict.fromkeys(("prompts", "base_samples", "dpo_samples"), 1)
    settings = Sample(**counts, sft_samples=10, max_new_tokens=40, batch_size=4)
    prompts = ["the cat", "a", "a bat and a hat sat"]
    completions = complete(model, tokenizer, prompts, [[0]] * 3, settings, Reader(temperature=0.0, top_p=1.0), False)
    for (completion,) in completions:
        prompt = torch.tensor([completion["prompt_ids"]])
        ids = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=40, do_sample=False)
        end = [tokenizer.eos_id] * completion["ended"]
        assert ids[0, prompt.shape[1] :].tolist() == completion["completion_ids"] + end


def test_a_model_is_saved_in_its_own_architecture(saved, tmp_path):
    folder, theirs = saved
    save_model(tmp_path / "m", load_model(folder), TOKENIZER)
    assert read_config(tmp_path / "m") == read_config(folder)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    assert type(again) is type(theirs)
    assert torch.equal(logits(again, IDS), logits(theirs, IDS))


def test_rope_scaling_of_earlier_versions_is_read(tmp_path):
    sizes = SIZES | {"model_type": "llama", "rope_theta": 1000.0}
    old = {name: value for name, value in LLAMA3.items() if name != "rope_theta"}
    write(tmp_path, sizes | {"rope_scaling": old})
    expected = read_config(tmp_path)
    write(tmp_path, SIZES | {"model_type": "llama", "rope_parameters": LLAMA3})
    assert read_config(tmp_path) == expected
    assert expected.rope_scaling.original_max_position_embeddings == 32
    write(tmp_path, sizes | {"rope_scaling": {"type": "linear", "factor": 2.0}})
    assert read_config(tmp_path).rope_scaling.factor == 2.0


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_theta": 1e4, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        {"rope_parameters": {"rope_type": "default"}, "rope_scaling": {"type": "linear", "factor": 2.0}},
    ],
)
def test_of_two_rotary_settings_the_one_that_transformers_takes_is_taken(tmp_path, rope):
    write(tmp_path, SIZES | {"model_type": "llama"} | rope)
    own, theirs = read_config(tmp_path), transformers.AutoConfig.from_pretrained(tmp_path).rope_parameters
    assert own.rope_theta == theirs["rope_theta"]
    assert (own.rope_scaling.factor if own.rope_scaling else None) == theirs.get("factor")


@pytest.mark.parametrize("model_type", ["llama", "mistral", "qwen2", "qwen3"])
def test_keys_that_a_file_lacks_have_the_defaults_of_transformers(tmp_path, model_type):
    sizes = {name: value for name, value in SIZES.items() if name != "num_key_value_heads"}
    write(tmp_path, sizes | {"model_type": model_type, "hidden_size": 256, "num_attention_heads": 32})
    own, theirs = read_config(tmp_path), transformers.AutoConfig.from_pretrained(tmp_path)
    assert own.num_key_value_heads == theirs.num_key_value_heads
    assert own.head_dim == (getattr(theirs, "head_dim", None) or 8)


def test_normalised_queries_and_keys_stay_float32_under_autocast():
    model, ids = tiny_model(model_type="qwen3", head_dim=8), torch.arange(20)[None]
    attention = model.model.layers[0].self_attn
    with torch.no_grad(), runtime.autocast(torch.device("cpu"), "bfloat16"):
        queries = attention.q_proj(torch.ones(1, 16)).unflatten(-1, (-1, 8))
        assert (queries.dtype, attention.q_norm(queries).dtype) == (torch.bfloat16, torch.float32)
        rounded = model(ids)
    with torch.no_grad():
        assert torch.allclose(rounded.float(), model(ids), atol=0.05)


@pytest.mark.parametrize(
    ("changes", "context"),
    [
        ({"model_type": "mistral", "sliding_window": 40}, 40),
        ({"model_type": "mistral", "sliding_window": 4096}, 96),
        ({"model_type": "mistral", "sliding_window": None}, 96),
        ({"model_type": "qwen2", "sliding_window": 40, "use_sliding_window": False}, 96),
        ({"model_type": "qwen2", "sliding_window": 40, "use_sliding_window": True}, 40),
    ],
)
def test_the_context_ends_with_the_sliding_window(tmp_path, changes, context):
    write(tmp_path, SIZES | changes)
    assert read_config(tmp_path).max_position_embeddings == context


def write(folder, content):
    (folder / "config.json").write_text(json.dumps(content))
