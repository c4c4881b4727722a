import numpy as np
import pytest
import torch
import torch.nn.functional as F

from picollm.batching.rows import ResponseRows
from picollm.logprobs.logps import response_logps
from picollm.training.language_model import language_modelling, negative_log_likelihood
from tests.tiny import plain_logps, response_rows, tiny_model


def test_language_modelling_sums_the_negative_logps_of_the_response_and_counts_its_tokens():
    model, rows = tiny_model(), response_rows(5)
    sums = language_modelling(model, rows.batch(np.arange(5)))
    expected = -sum(plain_logps(model, ids, 2) for ids in rows.sequences)
    assert sums.loss.item() == pytest.approx(expected.item(), abs=1e-4)
    assert sums.count.item() == sum(len(ids) - 2 for ids in rows.sequences)


def test_a_batch_without_targets_has_loss_zero():
    model, rows = tiny_model(), ResponseRows([np.array([3, 4, 5])], [3])
    sums = language_modelling(model, rows.batch(np.arange(1)))
    sums.loss.backward()
    assert (sums.loss.item(), sums.count.item()) == (0, 0)
    assert response_logps(model, rows.batch(np.arange(1))).tolist() == [0.0]


@pytest.mark.parametrize(("count", "vocabulary"), [(7, 11), (1300, 11), (1100, 9000)])
def test_the_chunked_likelihood_has_the_value_and_gradients_of_cross_entropy(count, vocabulary):
    """One chunk; one chunk of many rows; three chunks."""
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(count, 8, generator=generator, requires_grad=True)
    weight = torch.randn(vocabulary, 8, generator=generator, requires_grad=True)
    targets = torch.randint(vocabulary, (count,), generator=generator)
    found = negative_log_likelihood(hidden, weight, targets)
    (0.5 * found).backward()
    other_hidden, other_weight = (tensor.detach().clone().requires_grad_() for tensor in (hidden, weight))
    expected = F.cross_entropy(other_hidden @ other_weight.T, targets, reduction="sum")
    (0.5 * expected).backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(hidden.grad, other_hidden.grad, atol=1e-5)
    assert torch.allclose(weight.grad, other_weight.grad, atol=1e-4)
    with torch.no_grad():
        assert negative_log_likelihood(hidden, weight, targets).item() == found.item()


def test_the_chunked_likelihood_of_a_target_beyond_the_range_of_exp_is_finite():
    hidden = torch.tensor([[1.0], [1.0]], requires_grad=True)
    weight = torch.tensor([[0.0], [-300.0], [300.0]], requires_grad=True)
    found = negative_log_likelihood(hidden, weight, torch.tensor([1, 2]))
    found.backward()
    assert found.item() == 600.0
    assert hidden.grad.tolist() == [[600.0], [0.0]]
    assert weight.grad.tolist() == [[0.0], [-1.0], [1.0]]
