import math

import pytest
import torch

from picollm.preference import scores
from picollm.preference.scores import PairScores

DIVERGENCES = {
    "reverse_kl": (scores.reverse_kl, lambda u: u * torch.log(u)),
    "forward_kl": (scores.forward_kl, lambda u: -torch.log(u)),
    "js": (scores.js, lambda u: u * torch.log(u) - (u + 1) * torch.log((u + 1) / 2)),
    "alpha": (scores.alpha(0.5), lambda u: (u**0.5 - 0.5 * u - 0.5) / (0.5 * -0.5)),
}


def test_the_margin_is_the_difference_of_the_log_ratios():
    pair = PairScores(*(torch.tensor([value]) for value in (-3.0, -5.0, -4.0, -9.0, 2.0, 8.0)))
    assert (pair.chosen_logratios.item(), pair.rejected_logratios.item()) == (1.0, 4.0)
    assert pair.margin(scores.reverse_kl).item() == -3.0
    assert pair.mean_margin(scores.reverse_kl).item() == 1 / 2 - 4 / 8


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_divergence_is_the_derivative_of_its_f(name):
    """Less its value at u = 1, the first number."""
    derivative, f = DIVERGENCES[name]
    u = torch.tensor([1.0, 0.2, 0.9, 1.1, 7.0], dtype=torch.float64, requires_grad=True)
    f(u).sum().backward()
    found = derivative(u.detach().log())
    assert found.tolist() == pytest.approx((u.grad - u.grad[0]).tolist(), abs=1e-12)


def test_the_alpha_divergence_becomes_the_reverse_kl_at_1_and_the_forward_kl_at_0():
    logratios = torch.tensor([-1.5, 0.3, 2.0], dtype=torch.float64)
    assert scores.alpha(1 + 1e-9)(logratios).tolist() == pytest.approx(logratios.tolist(), abs=1e-6)
    assert scores.alpha(0.0)(logratios).tolist() == pytest.approx(scores.forward_kl(logratios).tolist())


def test_js_stays_finite_where_the_policy_has_left_the_reference():
    assert scores.js(torch.tensor([300.0])).item() == pytest.approx(math.log(2))
    assert scores.js(torch.tensor([-300.0])).item() == pytest.approx(math.log(2) - 300)
