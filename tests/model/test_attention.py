import pytest
import torch

from picollm.model import attention
from picollm.model.attention import BLOCK_SIZE, MAX_LENGTH, causal_attention


def reference_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """In double precision, one query at a time: q [B, H, T, D], k and v [B, H_kv, T, D] -> [B, H, T, D]."""
    q, k, v = (x.double() for x in (q, k, v))
    group = q.shape[1] // k.shape[1]
    heads = []
    for head in range(q.shape[1]):
        keys, values = k[:, head // group], v[:, head // group]
        outputs = []
        for position in range(q.shape[2]):
            end = position + 1
            scores = (keys[:, :end] * q[:, head, position, None]).sum(dim=-1) / q.shape[3] ** 0.5
            outputs.append((scores.softmax(dim=-1)[..., None] * values[:, :end]).sum(dim=1))
        heads.append(torch.stack(outputs, dim=1))
    return torch.stack(heads, dim=1)


@pytest.mark.parametrize("length", [1, 5, BLOCK_SIZE, BLOCK_SIZE + 1, 2 * BLOCK_SIZE + 7])
@pytest.mark.parametrize("heads", [(2, 2), (4, 2)])
@pytest.mark.parametrize("max_length", [MAX_LENGTH, 0])
def test_outputs_and_gradients_are_those_of_the_formula(max_length, length, heads, monkeypatch):
    """In blocks, and by PyTorch's function, which serves longer rows and other devices."""
    monkeypatch.setattr(attention, "MAX_LENGTH", max_length)
    generator = torch.Generator().manual_seed(length)
    shapes = [(3, heads[0], length, 8), (3, heads[1], length, 8), (3, heads[1], length, 8)]
    inputs = [(2 * torch.randn(shape, generator=generator)).requires_grad_() for shape in shapes]
    upstream = torch.randn(shapes[0], generator=generator)
    found, expected = causal_attention(*inputs), reference_attention(*inputs)
    assert torch.allclose(found.double(), expected, atol=1e-5)
    gradients = (torch.autograd.grad(y, inputs, upstream.to(y.dtype)) for y in (found, expected))
    for left, right in zip(*gradients, strict=True):
        assert torch.allclose(left, right, atol=2e-5)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_autocast_and_mixed_dtypes_are_close_to_float32(precision):
    """As in the model: rotary embeddings leave q and k in float32, v has the dtype of autocast."""
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(2, 2, 9, 8, generator=generator, requires_grad=True) for _ in range(3)]
    upstream = torch.randn(2, 2, 9, 8, generator=generator)
    expected = reference_attention(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = causal_attention(*inputs[:2], inputs[2] if precision is None else inputs[2].to(precision))
    assert torch.allclose(found.double(), expected, atol=3e-2)
    gradients = (torch.autograd.grad(y, inputs, upstream.to(y.dtype)) for y in (found, expected))
    for left, right in zip(*gradients, strict=True):
        assert torch.allclose(left, right, atol=5e-2)


def test_scores_beyond_the_range_of_exp_do_not_overflow():
    count = BLOCK_SIZE + 4
    q = torch.full((1, 1, count, 8), 40.0, requires_grad=True)
    v = torch.arange(count).float()[None, None, :, None].repeat(1, 1, 1, 8).requires_grad_()
    y = causal_attention(q, q, v)
    # All scores are equal, so each output is the mean of the values up to its position.
    assert torch.allclose(y[0, 0, :, 0], torch.arange(count) / 2)
    y.sum().backward()
    weights = 1 / torch.arange(1, count + 1)
    assert torch.allclose(v.grad[0, 0, :, 0], weights.flip(0).cumsum(0).flip(0))
    assert q.grad.isfinite().all()


def test_later_keys_have_no_effect_even_if_they_are_infinite():
    q, k, v = (torch.ones(1, 1, 4, 8) for _ in range(3))
    k[:, :, 3] = torch.inf
    assert causal_attention(q, k, v)[0, 0, :3].tolist() == [[1.0] * 8] * 3


def saved_bytes(length: int) -> int:
    """Bytes that the forward pass saves for the backward pass, for one row and one head of size 8."""
    sizes = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    q, k, v = (torch.randn(1, 1, length, 8, requires_grad=True) for _ in range(3))
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y = causal_attention(q, k, v)
    assert y.requires_grad
    return sum(sizes.values())


def test_rows_longer_than_max_length_save_no_probabilities():
    assert saved_bytes(MAX_LENGTH) > MAX_LENGTH**2 / 2 * 4 > saved_bytes(MAX_LENGTH + 1)
