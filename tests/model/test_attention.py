import pytest
import torch

from picollm.model import attention
from picollm.model.attention import BLOCK, LONGEST, causal_attention


def written_out(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """In double precision, one query at a time: q [B, H, S, D], k and v [B, H_kv, T, D] -> [B, H, S, D]."""
    q, k, v = (x.double() for x in (q, k, v))
    group, earlier = q.shape[1] // k.shape[1], k.shape[2] - q.shape[2]
    heads = []
    for head in range(q.shape[1]):
        keys, values = k[:, head // group], v[:, head // group]
        found = []
        for place in range(q.shape[2]):
            seen = earlier + place + 1
            scores = (keys[:, :seen] * q[:, head, place, None]).sum(dim=-1) / q.shape[3] ** 0.5
            found.append((scores.softmax(dim=-1)[..., None] * values[:, :seen]).sum(dim=1))
        heads.append(torch.stack(found, dim=1))
    return torch.stack(heads, dim=1)


@pytest.mark.parametrize(
    ("length", "earlier"),
    [
        *((length, 0) for length in (1, 5, BLOCK, BLOCK + 1, 2 * BLOCK + 7)),
        *((1, 1), (1, BLOCK + 3), (5, BLOCK + 3), (BLOCK, 1), (BLOCK + 1, BLOCK + 3)),
    ],
)
@pytest.mark.parametrize("heads", [(2, 2), (4, 2)])
@pytest.mark.parametrize("longest", [LONGEST, 0])
def test_outputs_and_gradients_are_those_of_attention_written_out(longest, length, heads, earlier, monkeypatch):
    """In blocks, and by PyTorch's kernel, which longer rows and other devices have; queries at all positions or the last."""
    monkeypatch.setattr(attention, "LONGEST", longest)
    generator = torch.Generator().manual_seed(length)
    shapes = [(3, heads[0], length, 8), (3, heads[1], length + earlier, 8), (3, heads[1], length + earlier, 8)]
    inputs = [(2 * torch.randn(shape, generator=generator)).requires_grad_() for shape in shapes]
    upstream = torch.randn(shapes[0], generator=generator)
    found, expected = causal_attention(*inputs), written_out(*inputs)
    assert torch.allclose(found.double(), expected, atol=1e-5)
    gradients = (torch.autograd.grad(y, inputs, upstream.to(y.dtype)) for y in (found, expected))
    for left, right in zip(*gradients, strict=True):
        assert torch.allclose(left, right, atol=2e-5)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_under_autocast_and_of_mixed_types_it_is_near_float32(precision):
    """As in the model: rotary positions leave q and k in float32, and v is what autocast made of it."""
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(2, 2, 9, 8, generator=generator, requires_grad=True) for _ in range(3)]
    upstream = torch.randn(2, 2, 9, 8, generator=generator)
    expected = written_out(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = causal_attention(*inputs[:2], inputs[2] if precision is None else inputs[2].to(precision))
    assert torch.allclose(found.double(), expected, atol=3e-2)
    gradients = (torch.autograd.grad(y, inputs, upstream.to(y.dtype)) for y in (found, expected))
    for left, right in zip(*gradients, strict=True):
        assert torch.allclose(left, right, atol=5e-2)


def test_scores_far_beyond_the_range_of_exp_are_no_trouble():
    count = BLOCK + 4
    q = torch.full((1, 1, count, 8), 40.0, requires_grad=True)
    v = torch.arange(count).float()[None, None, :, None].repeat(1, 1, 1, 8).requires_grad_()
    y = causal_attention(q, q, v)
    # All scores are equal, so that each output is the mean of what is seen.
    assert torch.allclose(y[0, 0, :, 0], torch.arange(count) / 2)
    y.sum().backward()
    seen = 1 / torch.arange(1, count + 1)
    assert torch.allclose(v.grad[0, 0, :, 0], seen.flip(0).cumsum(0).flip(0))
    assert q.grad.isfinite().all()


def test_what_comes_later_touches_nothing_not_even_where_it_is_infinite():
    q, k, v = (torch.ones(1, 1, 4, 8) for _ in range(3))
    k[:, :, 3] = torch.inf
    assert causal_attention(q, k, v)[0, 0, :3].tolist() == [[1.0] * 8] * 3


def kept_bytes(length: int) -> int:
    """What the forward pass keeps for the backward pass, of one row and one head of size 8."""
    sizes = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    q, k, v = (torch.randn(1, 1, length, 8, requires_grad=True) for _ in range(3))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y = causal_attention(q, k, v)
    assert y.requires_grad
    return sum(sizes.values())


def test_rows_longer_than_the_limit_keep_no_probabilities():
    assert kept_bytes(LONGEST) > LONGEST**2 / 2 * 4 > kept_bytes(LONGEST + 1)
