import numpy as np
import pytest
import torch

from picollm.model.initialise import initialise
from picollm.model.layout import Layout
from picollm.model.shape import ModelConfig
from picollm.model.transformer import Transformer


@pytest.fixture(params=[1, 2, 4], ids="{} key-value heads".format)
def model(request) -> Transformer:
    model = Transformer(ModelConfig(61, 24, 40, 3, 4, request.param, 32, 10000.0, 1e-5, True))
    initialise(model, 3)
    return model.requires_grad_(False)


def test_prefill_and_decoding_give_the_hidden_states_of_a_full_pass_while_rows_leave(model):
    full = torch.randint(1, 61, (5, 12), generator=torch.Generator().manual_seed(4))
    lengths = np.array([7, 4, 6, 3, 5])  # prompt of each row; the rest is decoded token by token
    expected = model.hidden(full.flatten(), Layout.from_lengths([12] * 5)).view(5, 12, -1)
    prompts = torch.cat([row[:length] for row, length in zip(full, lengths, strict=True)])
    cache = model.make_cache(5, 12)
    found = model.hidden(prompts, Layout.from_lengths(lengths), torch.tensor(np.cumsum(lengths) - 1), cache)
    rows, positions = np.arange(5), lengths
    assert torch.allclose(found, expected[rows, positions - 1], atol=1e-5)
    for leaving in ([], [0, 3], [4], [], [2]):  # row 1 stays to the end
        order = cache.keep(~np.isin(rows, leaving))
        rows, positions = rows[order], positions[order]
        found = model.next_hidden(full[rows, positions], torch.tensor(positions), positions.max() + 1, cache)
        assert torch.allclose(found, expected[rows, positions], atol=1e-5)
        positions = positions + 1
    assert rows.tolist() == [1]


def test_rows_that_leave_are_replaced_by_rows_from_the_end(model):
    cache = model.make_cache(6, 4)
    for row in range(6):
        cache.data[:, :, row] = row
    order = cache.keep(np.array([True, False, True, False, True, True]))
    assert order.tolist() == [0, 4, 2, 5]
    assert cache.data[0, 0, : cache.rows, 0, 0, 0].tolist() == [0, 4, 2, 5]
    assert cache.keep(np.zeros(4, dtype=bool)).tolist() == []
    assert cache.rows == 0
