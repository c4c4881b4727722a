"""Every loss against its formula on numbers worked out by hand, and facts that hold for all of them."""

import math

import pytest
import torch

from picollm.preference.losses import COUPLED, LOSSES
from picollm.preference.scores import PairScores
from tests.tiny import dpo

LOG9 = math.log(9)  # sigmoid(log 9) = 0.9
SETTINGS = {  # whatever a loss needs beside beta
    "exo_pair": {"label_smoothing": 0.1},
    "discopop": {"discopop_tau": 1.0},
    "dpop": {"dpop_lambda": 2.0},
    "r_dpo": {"length_alpha": 0.5},
    "simpo": {"simpo_gamma": 1.0},
}


def scores(chosen, rejected, reference_chosen=0.0, reference_rejected=0.0, lengths=(1.0, 1.0)) -> PairScores:
    values = (chosen, rejected, reference_chosen, reference_rejected, *lengths)
    return PairScores(*(torch.tensor([value], dtype=torch.float64).flatten() for value in values))


def loss(name: str, pair: PairScores, **settings) -> list[float]:
    settings = dpo(loss=name, **{"micro_batch_size": 8, **SETTINGS.get(name, {}), **settings})
    ((function, weight),) = settings.losses()
    assert weight == 1
    return function(pair).tolist()


LOSS_OF_0_9, LOSS_OF_0_1 = -math.log(0.9), -math.log(0.1)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        # Log-ratios 3 log 9 and 2 log 9, beta 1: margin log 9, and sigmoid(margin) = 0.9.
        ("sigmoid", {}, LOSS_OF_0_9),
        ("sigmoid", {"label_smoothing": 0.2}, 0.8 * LOSS_OF_0_9 + 0.2 * LOSS_OF_0_1),
        ("robust", {}, LOSS_OF_0_9),
        ("robust", {"label_smoothing": 0.25}, (0.75 * LOSS_OF_0_9 - 0.25 * LOSS_OF_0_1) / 0.5),
        ("ipo", {"beta": 0.25}, (LOG9 - 2) ** 2),
        ("ipo", {"beta": 0.25, "label_smoothing": 0.1}, 0.9 * (LOG9 - 2) ** 2 + 0.1 * (LOG9 + 2) ** 2),
        # Lengths 3 and 1: mean log-ratios log 9 and 2 log 9.
        ("ipo_norm", {"beta": 0.25}, (-LOG9 - 2) ** 2),
        ("sigmoid_norm", {}, LOSS_OF_0_1),
        ("hinge", {"beta": 0.25}, 1 - LOG9 / 4),
        ("hinge", {}, 0.0),
        ("exo_pair", {}, 0.0),  # q = (0.9, 0.1) = p
        ("exo_pair", {"label_smoothing": 0.4}, 0.9 * math.log(0.9 / 0.6) + 0.1 * math.log(0.1 / 0.4)),
        ("discopop", {}, 0.1 * LOSS_OF_0_9 + 0.9 / 9),
        ("dpop", {}, LOSS_OF_0_9),  # the chosen response has become more likely: no penalty
        ("r_dpo", {"length_alpha": -LOG9}, LOSS_OF_0_1),  # lengths 3 and 1: log 9 - 2 log 9
        # Rewards at beta 1/3 and 1/2: sigmoid(c) = 0.9 and sigmoid(r) = 0.9.
        ("nca_pair", {"beta": 1 / 3}, LOSS_OF_0_9 + 0.5 * LOSS_OF_0_1 + 0.5 * math.log(1 + 9 ** (2 / 3))),
        ("bco_pair", {"beta": 1 / 2}, math.log(1 + 9**-1.5) + LOSS_OF_0_1),
        ("apo_zero", {"beta": 1 / 2}, 1 / (1 + 27) + 0.9),
        ("apo_down", {"beta": 1 / 3}, 0.9 + 1 / (1 + 9 ** (1 / 3))),
        ("sppo_hard", {"beta": 0.25}, (3 * LOG9 - 2) ** 2 + (2 * LOG9 + 2) ** 2),
        ("aot", {}, LOSS_OF_0_9),  # of a single pair that of sigmoid
        ("aot_unpaired", {"label_smoothing": 0.2}, 0.8 * LOSS_OF_0_9 + 0.2 * LOSS_OF_0_1),
    ],
)
def test_a_loss_is_its_formula(name, settings, expected):
    pair = scores(3 * LOG9 - 50, 2 * LOG9 - 60, -50, -60, lengths=(3.0, 1.0))
    assert loss(name, pair, **{"beta": 1.0, **settings}) == pytest.approx([expected])


def test_dpop_penalizes_a_chosen_response_that_became_less_likely():
    # Log-ratios -1 and -3: margin 2, less lambda 2 times 1.
    assert loss("dpop", scores(-51, -63, -50, -60), beta=1.0) == pytest.approx([math.log(2)])


def test_r_dpo_asks_less_of_the_policy_if_the_chosen_response_is_longer():
    longer, shorter = (
        loss("r_dpo", scores(-50, -50, -50, -50, lengths=lengths), beta=1.0) for lengths in ((9.0, 1.0), (1.0, 9.0))
    )
    assert longer == pytest.approx([math.log(1 + math.exp(-4))])
    assert shorter == pytest.approx([math.log(1 + math.exp(4))])


def test_simpo_and_orpo_compare_log_probs_per_token_and_know_no_reference():
    # Mean log-probs log 0.5 and log 0.2: odds 1 and 1/4.
    for reference in (0.0, -70.0):
        pair = scores(3 * math.log(0.5), 2 * math.log(0.2), reference, reference, lengths=(3.0, 2.0))
        assert loss("simpo", pair, beta=2.0) == pytest.approx([math.log(1 + math.e * (0.2 / 0.5) ** 2)])
        assert loss("orpo", pair, beta=0.5) == pytest.approx([math.log(2) - 0.5 * math.log(4 / 5)])


def test_aot_compares_sorted_values_and_not_pairs():
    # Policy differences 1 and 5, reference 4 and 0, sorted (1, 5) against (0, 4): both margins are 1; in pairs -3 and 5.
    pair = scores((-9.0, -5.0), (-10.0, -10.0), (-6.0, -10.0), (-10.0, -10.0), lengths=((1.0, 1.0), (1.0, 1.0)))
    assert loss("aot", pair, beta=1.0) == pytest.approx([math.log(1 + math.exp(-1))] * 2)
    # Log-ratios of chosen -3 and 5, of rejected 0 and 0.
    assert loss("aot_unpaired", pair, beta=1.0) == pytest.approx(
        [math.log(1 + math.exp(3)), math.log(1 + math.exp(-5))]
    )


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - COUPLED))
def test_the_loss_of_a_pair_depends_on_no_other_pair_unless_it_is_listed_as_coupled(name):
    generator = torch.Generator().manual_seed(0)
    values = [-50 + 5 * torch.randn(6, generator=generator, dtype=torch.float64) for _ in range(4)]
    lengths = [torch.randint(5, 50, (6,), generator=generator).double() for _ in range(2)]
    whole = loss(name, PairScores(*values, *lengths))
    assert loss(name, PairScores(*(value[3:4] for value in (*values, *lengths)))) == pytest.approx(whole[3:4])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_gradient_raises_the_chosen_response_against_the_rejected(name):
    beta = {"ipo": 0.01, "sppo_hard": 0.01, "simpo": 2.0}.get(name, 0.1)
    chosen, rejected = (torch.tensor([-20.0, -25.0], requires_grad=True) for _ in range(2))
    reference, lengths = torch.tensor([-21.0, -24.0]), torch.tensor([10.0, 12.0])
    settings = dpo(loss=name, beta=beta, micro_batch_size=8, **SETTINGS.get(name, {}))
    ((function, _),) = settings.losses()
    function(PairScores(chosen, rejected, reference, reference, lengths, lengths)).sum().backward()
    assert (chosen.grad < rejected.grad).all()
