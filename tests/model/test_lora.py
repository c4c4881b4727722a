import json

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from picollm.model.directory import load_model, save_model
from picollm.model.lora import LoraLinear, adapters, save_adapter, with_adapters
from picollm.model.settings import PROJECTIONS, Lora
from picollm.model.transformer import Linear
from picollm.text.tokenizer import train_bpe
from picollm.training.run import full_model
from tests.tiny import tiny_model

IDS = torch.randint(0, 23, (3, 20), generator=torch.Generator().manual_seed(1))
LORA = Lora(rank=2, alpha=6.0, targets=["q_proj", "v_proj", "down_proj"])


def moved(model):
    """Give B a value other than 0, as training does."""
    for number, (_, linear) in enumerate(adapters(model)):
        torch.nn.init.normal_(linear.lora_B, std=0.3, generator=torch.Generator().manual_seed(number))
    return model


def test_an_adapter_adds_a_scaled_product_of_two_matrices():
    base = Linear(3, 2)
    torch.nn.init.normal_(base.weight)
    linear = LoraLinear(base, rank=1, scale=2.0, generator=torch.Generator())
    x = torch.tensor([[1.0, 2.0, 3.0]])
    assert torch.equal(linear(x), F.linear(x, base.weight))
    with torch.no_grad():
        linear.lora_A.copy_(torch.tensor([[1.0, 0.0, -1.0]]))  # A x = -2
        linear.lora_B.copy_(torch.tensor([[0.5], [3.0]]))
    assert torch.allclose(linear(x) - F.linear(x, base.weight), torch.tensor([[-2.0, -12.0]]))


def test_a_new_adapter_changes_nothing_and_shares_the_weights_of_its_base():
    base = tiny_model()
    adapted = with_adapters(base, LORA, seed=1)
    assert torch.equal(adapted(IDS), base(IDS))
    shared = {name: parameter for name, parameter in adapted.named_parameters() if "lora" not in name}
    assert shared.keys() == dict(base.named_parameters()).keys()
    assert all(parameter is shared[name] for name, parameter in base.named_parameters())
    before = base(IDS)
    assert not torch.allclose(moved(adapted)(IDS), before)
    assert torch.equal(base(IDS), before)


def test_only_the_adapters_of_the_targets_are_trained():
    adapted = with_adapters(tiny_model(), LORA, seed=1)
    adapted(IDS).sum().backward()
    trained = {name for name, parameter in adapted.named_parameters() if parameter.grad is not None}
    parts = {"self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"}
    assert trained == {f"model.layers.{n}.{part}.lora_{side}" for n in (0, 1) for part in parts for side in "AB"}
    assert all(parameter.requires_grad == (name in trained) for name, parameter in adapted.named_parameters())


def test_adapters_are_drawn_from_the_seed():
    first, same, other = (dict(with_adapters(tiny_model(), LORA, seed).named_parameters()) for seed in (1, 1, 2))
    name = "model.layers.1.mlp.down_proj.lora_A"
    assert torch.equal(first[name], same[name]) and not torch.equal(first[name], other[name])
    assert 0.9 / 24**0.5 < first[name].abs().max() <= 1 / 24**0.5


@pytest.mark.parametrize(
    "changes", [{}, {"tie_word_embeddings": False}, {"model_type": "qwen2", "attention_bias": True}]
)
def test_merged_weights_give_the_logits_of_the_adapters(changes):
    adapted = moved(with_adapters(tiny_model(**changes), Lora(rank=3, alpha=5.0, targets=list(PROJECTIONS)), seed=1))
    merged = full_model(adapted)
    assert not list(adapters(merged))
    with torch.no_grad():
        assert torch.allclose(merged(IDS), adapted(IDS), atol=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of what peft uses of transformers
def test_peft_reads_the_adapter_with_equal_logits(tmp_path):
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    tokenizer = train_bpe(iter(["the cat sat on the mat"]), 270)
    save_model(tmp_path / "base", tiny_model(vocab_size=270, max_position_embeddings=64), tokenizer)
    adapted = moved(with_adapters(load_model(tmp_path / "base"), LORA, seed=1))
    tensors = {name: parameter.detach() for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    (tmp_path / "adapter").mkdir()
    save_adapter(tmp_path / "adapter", tensors, LORA, str(tmp_path / "base"))
    assert json.loads((tmp_path / "adapter/adapter_config.json").read_text())["r"] == 2
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    with torch.no_grad():
        assert torch.allclose(theirs(IDS).logits, adapted(IDS), atol=1e-5)


@pytest.mark.parametrize(
    "changes", [{"rank": 0}, {"alpha": 0.0}, {"targets": []}, {"targets": ["q_proj"] * 2}, {"targets": ["lm_head"]}]
)
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(ValidationError):
        Lora(**(LORA.model_dump() | changes))
