import math

import pytest
import torch
import torch.nn.functional as F

from picollm.preference.losses import (
    ipo_loss,
    negative_log_likelihood,
    sequence_logps,
    sigmoid_loss,
    starting_loss,
    token_logps,
)


def test_token_logps_are_the_log_softmax_at_the_target():
    logits = torch.tensor([[0.0, math.log(3.0)], [math.log(2.0), 0.0]])
    # softmax of (0, log 3) is (1/4, 3/4); of (log 2, 0) it is (2/3, 1/3).
    found = token_logps(logits, torch.tensor([1, 1]))
    assert torch.allclose(found, torch.tensor([math.log(3 / 4), math.log(1 / 3)]))


def test_sequence_logps_sum_each_rows_tokens_and_an_empty_row_has_zero():
    found = sequence_logps(torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([0, 2, 0, 2]), 4)
    assert found.tolist() == [5.0, 0.0, 10.0, 0.0]


def test_sigmoid_loss_is_the_smoothed_binary_cross_entropy_of_beta_times_the_margin():
    # beta 0.5, margin log(9) / 0.5: sigmoid(log 9) = 0.9. 0.8 * -log 0.9 + 0.2 * -log 0.1.
    loss = sigmoid_loss(torch.tensor([math.log(9) / 0.5]), beta=0.5, label_smoothing=0.2)
    assert loss.item() == pytest.approx(-0.8 * math.log(0.9) - 0.2 * math.log(0.1), abs=1e-6)


def test_ipo_loss_is_the_squared_distance_to_half_the_inverse_beta():
    # beta 0.25: target 2. Margin 3: (3 - 2)^2 = 1 and, for the flipped label, (3 + 2)^2 = 25.
    margin = torch.tensor([3.0])
    assert ipo_loss(margin, beta=0.25, label_smoothing=0.0).item() == pytest.approx(1.0)
    assert ipo_loss(margin, beta=0.25, label_smoothing=0.1).item() == pytest.approx(0.9 * 1 + 0.1 * 25)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_of_a_policy_that_is_its_reference(smoothing):
    assert starting_loss("sigmoid", 0.1, smoothing) == pytest.approx(math.log(2))
    assert starting_loss("ipo", 0.1, smoothing) == pytest.approx(25.0)


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
