from dataclasses import replace

import pytest

from picollm.model.shape import ModelConfig
from picollm.model.transformer import Transformer

SHAPE = ModelConfig(
    vocab_size=23,
    hidden_size=24,
    intermediate_size=20,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=24,
    rope_theta=10000.0,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
)


def test_an_impossible_shape_is_put_into_words():
    assert SHAPE.problem() is None
    assert "multiple of num_attention_heads" in replace(SHAPE, hidden_size=25).problem()
    assert "num_key_value_heads 4" in replace(SHAPE, num_key_value_heads=4).problem()
    assert "even" in replace(SHAPE, hidden_size=18).problem()


@pytest.mark.parametrize("tied", [True, False])
def test_the_count_of_parameters_is_that_of_the_model(tied):
    shape = replace(SHAPE, tie_word_embeddings=tied)
    assert shape.parameter_count() == sum(parameter.numel() for parameter in Transformer(shape).parameters())
