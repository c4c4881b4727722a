import numpy as np
import torch

from picollm.model.layout import Layout

ROWS = [np.array([0, 1, 2]), np.array([0, 1, 3, 4]), np.array([5])]  # rows 0 and 1 share tokens 0 and 1


def test_every_token_has_a_position_a_row_and_a_slot():
    layout = Layout.from_rows(ROWS)
    assert layout.shapes == ((1, 4), (1, 3), (1, 1))  # 3 of 4 is less than 7 / 8
    assert layout.positions.tolist() == [0, 1, 2, 2, 3, 0]
    assert layout.rows.tolist() == [1, 1, 0, 1, 1, 2]
    assert layout.to_padded.tolist() == [0, 1, 3, 4, 0, 1, 2, 5]
    assert layout.to_packed.tolist() == [0, 1, 6, 2, 3, 7]


def test_rows_of_similar_length_share_a_bucket():
    layout = Layout.from_lengths([28, 32, 14, 27, 16, 31])
    assert layout.shapes == ((3, 32), (1, 27), (2, 16))  # 28 of 32 and 14 of 16 are just enough
    assert sum(count * length for count, length in layout.shapes) == len(layout.to_padded)


def test_padding_repeats_the_last_token_of_its_row():
    layout = Layout.from_lengths([7, 8])
    assert layout.shapes == ((2, 8),)
    assert layout.to_padded.tolist() == [*range(7, 15), *range(7), 6]
    assert layout.to_packed.tolist() == [*range(8, 15), *range(8)]


def test_rows_from_lengths_share_no_token():
    layout = Layout.from_lengths([3, 3, 1])
    assert layout.to_padded.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert layout.shapes == ((2, 3), (1, 1))
    assert layout.positions.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert layout.rows.tolist() == [0, 0, 0, 1, 1, 1, 2]


def reference_attention(rows: list[np.ndarray], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention of each token to the earlier tokens of its row, one head at a time: [N, H, D] each -> [N, H * D]."""
    outputs = {}
    for row in rows:
        for end, token in enumerate(row.tolist(), start=1):
            weights = [(k[row[:end], head] @ q[token, head] / q.shape[2] ** 0.5).softmax(dim=0) for head in range(2)]
            outputs[token] = torch.cat([weight @ v[row[:end], head] for head, weight in enumerate(weights)])
    return torch.stack([outputs[token] for token in range(len(q))])


def test_outputs_and_gradients_are_those_of_attention_to_earlier_tokens_of_the_same_row():
    rows = [*ROWS, np.arange(6, 14), np.arange(14, 21)]  # the last two share a bucket, with padding
    layout = Layout.from_rows(rows)
    assert layout.shapes == ((2, 8), (1, 4), (1, 3), (1, 1))
    generator = torch.Generator().manual_seed(0)
    q, k, v, upstream = (torch.randn(21, 2, 4, generator=generator) for _ in range(4))
    inputs = [x.requires_grad_() for x in (q, k, v)]
    found, expected = layout.attend(q, k, v), reference_attention(rows, q, k, v)
    assert torch.allclose(found, expected, atol=1e-6)
    gradients = (torch.autograd.grad(y, inputs, upstream.flatten(1)) for y in (found, expected))
    for left, right in zip(*gradients, strict=True):
        assert torch.allclose(left, right, atol=1e-6)
