import math

import pytest
import torch

from picollm.model.initialise import initialise
from picollm.model.layout import Layout
from picollm.model.shape import ModelConfig
from picollm.model.transformer import Linear, Transformer, apply_rotary

SHAPE = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 32,
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}


def make(**changes) -> Transformer:
    model = Transformer(ModelConfig(**{**SHAPE, **changes}))
    initialise(model, 3)
    return model


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_equal_those_of_transformers_llama(heads, tied):
    transformers = pytest.importorskip("transformers")
    model = make(num_key_value_heads=heads, tie_word_embeddings=tied)
    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**{**SHAPE, "num_key_value_heads": heads, "tie_word_embeddings": tied})
    )
    theirs.load_state_dict(model.state_dict())
    ids = torch.randint(0, 61, (3, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(model(ids), theirs(ids).logits, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_single_row_without_gradients_has_the_product_of_the_plain_layer(threads):
    layer = Linear(5, 6)
    x = torch.randn(1, 5, generator=torch.Generator().manual_seed(1))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            shared_out = layer(x)
    finally:
        torch.set_num_threads(before)
    by_hand = [[sum(a * b for a, b in zip(x[0].tolist(), row, strict=True)) for row in layer.weight.tolist()]]
    assert torch.allclose(shared_out, torch.tensor(by_hand), atol=1e-6)
    assert torch.allclose(layer(x), shared_out, atol=1e-6) and layer(x).requires_grad


@pytest.mark.parametrize("sizes", [(5,), (1, 1, 5), (1, 4, 5), (4, 5)])
def test_a_linear_layer_without_gradients_takes_every_shape_that_pytorchs_takes(sizes):
    layer, x = Linear(5, 6), torch.randn(sizes, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        made = layer(x)
    assert made.shape == (*sizes[:-1], 6)
    assert torch.allclose(made, x @ layer.weight.T, atol=1e-6)


def test_rotation_turns_each_half_pair_by_its_angle():
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 1, 4)
    angles = torch.tensor([math.pi / 2, math.pi])
    # Pairs are (1, 3) and (2, 4): a quarter turn makes (1, 3) into (-3, 1), a half turn (2, 4) into (-2, -4).
    cos, sin = angles.cos().repeat(2), torch.cat((-angles.sin(), angles.sin()))
    turned = apply_rotary(x, cos, sin).flatten()
    assert torch.allclose(turned, torch.tensor([-3.0, -2.0, 1.0, -4.0]), atol=1e-6)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("selected", [[2, 5, 6, 11], [4, 4, 0], []])
def test_selected_hidden_states_and_their_gradients_are_those_of_a_full_pass(layers, selected):
    model, plain = (make(num_hidden_layers=layers).double() for _ in range(2))
    ids = torch.randint(0, 61, (12,), generator=torch.Generator().manual_seed(1))
    layout, selected = Layout.from_lengths([5, 3, 4]), torch.tensor(selected, dtype=torch.int64)
    found, expected = model.hidden(ids, layout, selected), plain.hidden(ids, layout)[selected]
    assert torch.allclose(found, expected, atol=1e-12)
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    for hidden in (found, expected):
        (hidden * upstream).sum().backward()
    for left, right in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(left.grad, right.grad, atol=1e-10)


def test_padding_on_the_right_changes_no_earlier_logits():
    model, generator = make(), torch.Generator().manual_seed(2)
    ids = torch.randint(1, 61, (2, 9), generator=generator)
    padded = torch.cat([ids, torch.zeros(2, 5, dtype=torch.int64)], dim=1)
    with torch.no_grad():
        assert torch.allclose(model(ids), model(padded)[:, :9], atol=1e-6)


def test_a_later_token_never_changes_an_earlier_logit():
    model = make()
    ids = torch.arange(10).view(1, 10)
    changed = ids.clone()
    changed[0, 7] = 33
    with torch.no_grad():
        before, after = model(ids), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7], after[:, 7])
