import numpy as np
import torch

from picollm.layout import Layout, _Gather, _Spread

ROWS = [np.array([0, 1, 2]), np.array([0, 1, 3, 4]), np.array([5])]  # rows 0 and 1 share tokens 0 and 1


def test_positions_are_places_in_the_rows():
    layout = Layout.of(ROWS)
    assert layout.positions.tolist() == [0, 1, 2, 2, 3, 0]
    assert layout.tokens.tolist() == [[0, 1, 2, 0], [0, 1, 3, 4], [5, 0, 0, 0]]
    assert layout.first.tolist() == [0, 1, 2, 6, 7, 8]
    assert (layout.again.tolist(), layout.repeated.tolist()) == ([4, 5], [0, 1])


def test_gradients_are_those_of_plain_indexing():
    layout = Layout.of(ROWS)
    assert torch.autograd.gradcheck(
        lambda x: _Spread.apply(x, layout).flatten(0, 1)[torch.cat((layout.first, layout.again))],
        torch.randn(6, 1, 2, dtype=torch.float64, requires_grad=True),
    )
    assert torch.autograd.gradcheck(
        lambda y: _Gather.apply(y, layout), torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    )


def test_attention_sees_the_earlier_tokens_of_its_own_row_alone():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(6, 2, 4, generator=generator) for _ in range(3))
    found = Layout.of(ROWS).attend(q, k, v).view(6, 2, 4)
    seen = {0: [0], 1: [0, 1], 2: [0, 1, 2], 3: [0, 1, 3], 4: [0, 1, 3, 4], 5: [5]}
    for token, earlier in seen.items():
        for head in range(2):
            weights = (k[earlier, head] @ q[token, head] / 2).softmax(dim=0)  # 2 = sqrt(4)
            assert torch.allclose(found[token, head], weights @ v[earlier, head], atol=1e-6)


def test_a_rectangle_shares_nothing():
    layout = Layout.rectangle(2, 3)
    assert layout.tokens.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert layout.positions.tolist() == [0, 1, 2, 0, 1, 2]
    assert layout.again.numel() == 0
