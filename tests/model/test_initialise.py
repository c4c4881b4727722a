import math

import pytest
import torch

from picollm.model.initialise import initialise
from picollm.model.shape import ModelConfig
from picollm.model.transformer import Transformer


def make(heads=4, kv_heads=4, layers=3, seed=3) -> Transformer:
    shape = ModelConfig(
        vocab_size=500,
        hidden_size=128,
        intermediate_size=176,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=128 // heads,
        max_position_embeddings=128,
        rope_theta=10000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    model = Transformer(shape)
    initialise(model, seed)
    return model


def repeated(rows: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens whose beginning is repeated at a different distance in each row, and the positions of the repeats."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 500, (rows, 80), generator=generator)
    again = torch.zeros(rows, 80, dtype=torch.bool)
    for row in range(rows):
        length, start = 20 + row, 45 + row
        ids[row, start : start + length] = ids[row, :length]
        again[row, start + 1 : start + length] = True
    return ids, again


def test_weights_depend_on_the_generator_alone():
    model, same, other = make(), make(), make(seed=4)
    for (name, a), (_, b) in zip(model.named_parameters(), same.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(model.lm_head.weight, other.lm_head.weight)


def test_outside_the_circuit_the_weights_are_gpt2s():
    block = make().model.layers[2]
    assert block.self_attn.q_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)
    # Three layers add six residual terms: 0.02 / sqrt(6).
    assert block.mlp.down_proj.weight.std().item() == pytest.approx(0.02 / math.sqrt(6), rel=0.05)
    assert torch.equal(block.input_layernorm.weight, torch.ones(128))


def test_embeddings_have_norm_one_half_beside_a_constant_of_one_half():
    embedding = make().model.embed_tokens.weight
    assert torch.equal(embedding[:, 0], torch.full((500,), 0.5))
    assert embedding[:, 1:].norm(dim=1).mean().item() == pytest.approx(0.5, rel=0.02)


def test_the_first_head_attends_to_the_position_before():
    model, (ids, _) = make(), repeated()
    attention = model.model.layers[0].self_attn
    x = model.model.layers[0].input_layernorm(model.model.embed_tokens(ids))
    q, k = (projection(x)[..., :32] for projection in (attention.q_proj, attention.k_proj))
    angles = torch.arange(80)[:, None] * model.inverse_frequencies
    q, k = (torch.view_as_complex(torch.stack(y.chunk(2, -1), -1)) * torch.exp(1j * angles) for y in (q, k))
    scores = (q @ k.conj().transpose(1, 2)).real / math.sqrt(32)
    weights = scores.masked_fill(torch.ones(80, 80).triu(1).bool(), -math.inf).softmax(-1)
    assert weights.diagonal(offset=-1, dim1=1, dim2=2).mean().item() > 0.95


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_an_untrained_model_ranks_the_token_that_followed_last_time_far_above_chance(kv_heads):
    ids, again = repeated()

    def median_rank(model):
        with torch.no_grad():
            logits = model(ids)[:, :-1]
        right = logits.gather(2, ids[:, 1:, None])
        return (logits >= right).sum(-1)[again[:, 1:]].float().median().item()

    plain = make(kv_heads=kv_heads)
    generator = torch.Generator().manual_seed(0)
    for parameter in plain.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.02, generator=generator)
    assert median_rank(plain) > 200  # chance is 250 of 500
    assert median_rank(make(kv_heads=kv_heads)) < 150


def test_a_model_of_one_layer_has_no_room_for_the_circuit():
    constants = [len(make(layers=layers).model.embed_tokens.weight[:, 0].unique()) for layers in (1, 2)]
    assert constants == [500, 1]
