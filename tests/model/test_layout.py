import numpy as np
import pytest
import torch

from picollm.model.layout import Layout

ROWS = [np.array([0, 1, 2]), np.array([0, 1, 3, 4]), np.array([5])]  # rows 0 and 1 share tokens 0 and 1


def test_positions_are_places_in_the_rows():
    layout = Layout.of(ROWS)
    assert layout.positions.tolist() == [0, 1, 2, 2, 3, 0]
    assert layout.rows.tolist() == [1, 1, 0, 1, 1, 2]
    assert layout.shapes == ((1, 4), (1, 3), (1, 1))  # 3 of 4 is less than 7 / 8
    assert layout.tokens.tolist() == [0, 1, 3, 4, 0, 1, 2, 5]
    assert layout.first.tolist() == [0, 1, 6, 2, 3, 7]
    assert (layout.again.tolist(), layout.repeated.tolist()) == ([4, 5], [0, 1])


def test_rows_of_similar_length_share_a_rectangle():
    lengths = [28, 32, 14, 27, 16, 31]
    layout = Layout.end_to_end(lengths)
    assert layout.shapes == ((3, 32), (1, 27), (2, 16))  # 28 of 32 and 14 of 16 are just enough
    assert sum(count * length for count, length in layout.shapes) == len(layout.tokens) == len(layout.every.places)


def written_out(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention of each token to the earlier tokens of its own row, one head at a time: [N, H, D] each -> [N, H, D]."""
    seen = {0: [0], 1: [0, 1], 2: [0, 1, 2], 3: [0, 1, 3], 4: [0, 1, 3, 4], 5: [5]}
    found = []
    for token, earlier in seen.items():
        for head in range(q.shape[1]):
            weights = (k[earlier, head] @ q[token, head] / q.shape[2] ** 0.5).softmax(dim=0)
            found.append(weights @ v[earlier, head])
    return torch.stack(found).view_as(q)


def test_attention_and_its_gradients_are_those_of_the_earlier_tokens_of_the_own_row_alone():
    generator = torch.Generator().manual_seed(0)
    q, k, v, upstream = (torch.randn(6, 2, 4, generator=generator) for _ in range(4))
    inputs = [x.requires_grad_() for x in (q, k, v)]
    expected = written_out(q, k, v)
    layout = Layout.of(ROWS)
    found = layout.attend(layout.every, q, k, v).view(6, 2, 4)
    assert torch.allclose(found, expected, atol=1e-6)
    for left, right in zip(*(torch.autograd.grad(y, inputs, upstream) for y in (found, expected)), strict=True):
        assert torch.allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("wanted", [[1, 2, 3], [2], [0, 5], [4, 5]])
def test_attention_of_the_wanted_tokens_alone_is_that_of_all_as_far_as_it_is_wanted(wanted):
    generator = torch.Generator().manual_seed(0)
    q, k, v, upstream = (torch.randn(6, 2, 4, generator=generator) for _ in range(4))
    inputs = [x.requires_grad_() for x in (q, k, v)]
    layout = Layout.of(ROWS, np.array(wanted))
    found = layout.attend(layout.wanted, q[wanted], k, v).view(-1, 2, 4)
    expected = written_out(q, k, v)[wanted]
    assert torch.allclose(found, expected, atol=1e-6)
    for left, right in zip(*(torch.autograd.grad(y, inputs, upstream[wanted]) for y in (found, expected)), strict=True):
        assert torch.allclose(left, right, atol=1e-6)


def test_where_a_prompt_stands_again_it_does_not_ask_again():
    assert Layout.of(ROWS).every.columns == (4, 1, 1)  # tokens 0 and 1 have their output from the first rectangle


def test_a_rectangle_without_a_wanted_token_asks_nothing():
    layout = Layout.of(ROWS, np.array([5]))
    assert layout.wanted.columns == (0, 0, 1)
    assert layout.attend(layout.wanted, torch.ones(1, 2, 4), *(torch.ones(6, 2, 4),) * 2).tolist() == [[1.0] * 8]


def test_of_each_rectangle_the_columns_before_the_first_wanted_token_ask_nothing():
    wanted = np.array([2, 3, 7, 9])  # the third and fourth of a row, the fourth of another, and the second of the last
    layout = Layout.end_to_end([4, 4, 2], wanted)
    assert layout.shapes == ((2, 4), (1, 2))
    assert layout.every.columns == (4, 2)
    assert layout.wanted.columns == (2, 1)
    assert layout.wanted.places.tolist() == [0, 1, 0, 2, 3]
    assert layout.wanted.first.tolist() == [0, 1, 3, 4]
    assert layout.wanted.is_first[:, 0].tolist() == [1, 1, 0, 1, 1]


def test_rows_that_lie_end_to_end_share_nothing():
    layout = Layout.end_to_end([3, 3, 1])
    assert layout.tokens.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert layout.shapes == ((2, 3), (1, 1))
    assert layout.positions.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert layout.rows.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert layout.again.numel() == 0
