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
    initialise(model, torch.Generator().manual_seed(3))
    return model.requires_grad_(False)


def test_reading_on_gives_the_hidden_states_of_a_full_pass_though_rows_leave(model):
    full = torch.randint(1, 61, (5, 12), generator=torch.Generator().manual_seed(4))
    lengths = np.array([7, 4, 6, 3, 5])  # known tokens of each row; all then read on, one by one
    expected = model.hidden(full.flatten(), Layout.end_to_end([12] * 5)).view(5, 12, -1)
    known = torch.cat([row[:length] for row, length in zip(full, lengths, strict=True)])
    cache = model.make_cache(5, 12)
    found = model.hidden(known, Layout.end_to_end(lengths, np.cumsum(lengths) - 1), cache)
    rows, positions = np.arange(5), lengths
    assert torch.allclose(found, expected[rows, positions - 1], atol=1e-5)
    for leaving in ([], [0, 3], [4], [], [2]):  # row 1 is there to the end
        order = cache.keep(~np.isin(rows, leaving))
        rows, positions = rows[order], positions[order]
        found = model.next_hidden(full[rows, positions], torch.tensor(positions), positions.max() + 1, cache)
        assert torch.allclose(found, expected[rows, positions], atol=1e-5)
        positions = positions + 1
    assert rows.tolist() == [1]


def test_only_rows_at_the_end_are_copied_when_others_leave(model):
    cache = model.make_cache(6, 4)
    for row in range(6):
        cache.data[:, :, row] = row
    order = cache.keep(np.array([True, False, True, False, True, True]))
    assert order.tolist() == [0, 4, 2, 5]
    assert cache.data[0, 0, : cache.rows, 0, 0, 0].tolist() == [0, 4, 2, 5]
    assert cache.keep(np.zeros(4, dtype=bool)).tolist() == []
    assert cache.rows == 0
