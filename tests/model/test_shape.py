from dataclasses import replace

import pytest

from picollm.model.shape import ModelConfig, default_head_dim
from picollm.model.transformer import Transformer

SHAPE = ModelConfig(
    vocab_size=23,
    hidden_size=24,
    intermediate_size=20,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=4,
    max_position_embeddings=24,
    rope_theta=10000.0,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
)


def test_an_impossible_shape_is_put_into_words():
    assert SHAPE.problem() is None
    assert "num_key_value_heads 4" in replace(SHAPE, num_key_value_heads=4).problem()
    assert "even" in replace(SHAPE, head_dim=3).problem()


def test_a_hidden_size_that_the_heads_do_not_share_evenly_has_no_default_head_dim():
    assert default_head_dim(24, 6) == 4
    with pytest.raises(ValueError, match="hidden_size 25 is not a multiple of num_attention_heads 6"):
        default_head_dim(25, 6)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": False},
        {"head_dim": 10},
        {"attention_bias": True, "mlp_bias": True},
        {"model_type": "qwen2", "attention_bias": True},
        {"model_type": "qwen3"},
    ],
)
def test_the_count_of_parameters_is_that_of_the_model(changes):
    shape = replace(SHAPE, **changes)
    assert shape.parameter_count() == sum(parameter.numel() for parameter in Transformer(shape).parameters())
