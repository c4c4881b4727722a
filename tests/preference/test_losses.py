import math
from typing import get_args

import pytest
import torch

from picollm.preference.losses import LOSSES, PairScores, starting_loss
from picollm.preference.settings import Dpo
from tests.tiny import dpo


def scores(margin: float) -> PairScores:
    """One pair of this margin, whatever its parts: policy 1 and -2 above a reference of -7 and -4 less the margin."""
    values = (-6.0, -6.0, -7.0, -7.0 + margin, 3.0, 5.0)
    return PairScores(*(torch.tensor([value], dtype=torch.float64) for value in values))


def test_the_settings_know_every_loss():
    assert set(get_args(Dpo.model_fields["loss"].annotation)) == set(LOSSES)


def test_the_margin_is_the_difference_of_the_log_ratios():
    pair = PairScores(*(torch.tensor([value]) for value in (-3.0, -5.0, -4.0, -9.0, 1.0, 1.0)))
    assert (pair.chosen_logratios.item(), pair.rejected_logratios.item(), pair.margin.item()) == (1.0, 4.0, -3.0)


def test_sigmoid_is_the_smoothed_binary_cross_entropy_of_beta_times_the_margin():
    # beta 0.5, margin log(9) / 0.5: sigmoid(log 9) = 0.9. 0.8 * -log 0.9 + 0.2 * -log 0.1.
    loss = LOSSES["sigmoid"](scores(math.log(9) / 0.5), dpo(beta=0.5, label_smoothing=0.2))
    assert loss.item() == pytest.approx(-0.8 * math.log(0.9) - 0.2 * math.log(0.1), abs=1e-6)


def test_ipo_is_the_squared_distance_to_half_the_inverse_beta():
    # beta 0.25: target 2. Margin 3: (3 - 2)^2 = 1 and, for the flipped label, (3 + 2)^2 = 25.
    assert LOSSES["ipo"](scores(3.0), dpo(beta=0.25)).item() == pytest.approx(1.0)
    assert LOSSES["ipo"](scores(3.0), dpo(beta=0.25, label_smoothing=0.1)).item() == pytest.approx(0.9 * 1 + 0.1 * 25)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_of_a_policy_that_is_its_reference(smoothing):
    assert starting_loss(dpo(label_smoothing=smoothing)) == pytest.approx(math.log(2))
    assert starting_loss(dpo(loss="ipo", label_smoothing=smoothing)) == pytest.approx(25.0)
