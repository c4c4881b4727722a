import math

import pytest
import torch

from picollm.losses import ipo_loss, sequence_logps, sigmoid_loss, starting_loss, token_logps


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
