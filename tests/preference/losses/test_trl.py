"""Values and gradients of the losses against TRL's own, in float64. Needs TRL: `pip install -e .[peers]`."""

from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch

from picollm.preference.losses import LOSSES
from picollm.preference.scores import PairScores
from tests.tiny import dpo

trl = pytest.importorskip("trl")

NAMES = {"ipo_norm": "ipo"}  # TRL's name of a loss, if another
ONLY_HERE = {"ipo", "dpop", "r_dpo"}
OF_OTHER_TRAINERS = {"simpo", "orpo"}
DIVERGENCES = {"js": "js_divergence", "alpha": "alpha_divergence"}
PAIRS, TOKENS = 16, 40


def pairs(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probs per token of policy and reference, [2 PAIRS, TOKENS], 0 beyond a response's end, and which tokens are of it."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, TOKENS + 1, (2 * PAIRS, 1), generator=generator)
    mask = torch.arange(TOKENS) < lengths
    reference = torch.rand(2 * PAIRS, TOKENS, generator=generator, dtype=torch.float64).log()
    policy = reference + 0.25 - 0.5 * torch.rand(2 * PAIRS, TOKENS, generator=generator, dtype=torch.float64)
    policy = torch.where(mask, policy.clamp(max=-1e-3), 0.0)
    return policy.requires_grad_(), torch.where(mask, reference, 0.0), mask


def of_trl(name: str, policy, reference, mask, *, beta=0.1, label_smoothing=0.0, divergence="reverse_kl", **settings):
    """The mean loss that DPOTrainer computes for a model with these log-probs."""
    outputs = SimpleNamespace(
        log_probs=policy,
        entropy=torch.zeros_like(policy),
        mean_logits=torch.zeros_like(policy),
        is_top1=torch.zeros_like(policy, dtype=torch.bool),
    )
    gather = {"gather": lambda value: value, "gather_for_metrics": lambda value: value}
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(device="cpu", **gather),
        args=SimpleNamespace(discopop_tau=settings.get("discopop_tau"), gradient_checkpointing_kwargs=None),
        beta=beta,
        label_smoothing=label_smoothing,
        loss_types=[NAMES.get(name, name)],
        loss_weights=[1.0],
        f_divergence_type=DIVERGENCES.get(divergence, divergence),
        f_alpha_divergence_coef=settings.get("divergence_alpha"),
        ld_alpha=None,
        precompute_ref_logps=True,
        use_weighting=False,
        aux_loss_enabled=False,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
    )
    completion = torch.cat((torch.zeros(2 * PAIRS, 1), mask), dim=1).long()  # one token of prompt
    chosen, rejected = reference.sum(dim=1).chunk(2)
    inputs = {"input_ids": completion, "attention_mask": torch.ones_like(completion), "completion_mask": completion}
    inputs |= {"ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
    return trl.DPOTrainer._compute_loss(trainer, lambda **_: outputs, inputs, return_outputs=False)


def of_picollm(name: str, policy, reference, mask, **settings):
    sides = [value for logps in (policy, reference, mask.double()) for value in logps.sum(dim=1).chunk(2)]
    ((function, _),) = dpo(loss=name, micro_batch_size=8, **settings).losses()
    return function(PairScores(*sides)).mean()


def value_and_gradient(function, *arguments, **settings):
    policy, *others = arguments
    policy = policy.detach().clone().requires_grad_()
    loss = function(policy, *others, **settings)
    return loss.item(), torch.autograd.grad(loss, policy)[0]


def assert_equal(name: str, **settings):
    for seed in range(3):
        found, gradient = value_and_gradient(lambda *a, **s: of_picollm(name, *a, **s), *pairs(seed), **settings)
        expected, other = value_and_gradient(lambda *a, **s: of_trl(name, *a, **s), *pairs(seed), **settings)
        mask = pairs(seed)[2]
        assert found == pytest.approx(expected, abs=1e-6, rel=1e-9)
        torch.testing.assert_close(gradient[mask], other[mask], atol=1e-6, rtol=1e-9)


SMOOTHED = ("robust", "exo_pair", "aot", "aot_unpaired")
CASES = [(name, {}) for name in sorted(LOSSES.keys() - ONLY_HERE - OF_OTHER_TRAINERS - {"exo_pair", "discopop"})]
CASES += [(name, {"label_smoothing": share}) for name in SMOOTHED for share in (1e-3, 0.1, 0.499)]
CASES += [("discopop", {"discopop_tau": tau}) for tau in (0.05, 1.0)]
CASES += [(name, settings | {"beta": beta}) for name, settings in CASES for beta in (1e-3, 10.0)]
WITH_DIVERGENCE = ("sigmoid", "hinge", "ipo_norm", "sigmoid_norm", "robust")
DIVERGED = [{"divergence": "forward_kl"}, {"divergence": "js"}]
CASES += [(name, settings) for name in WITH_DIVERGENCE for settings in DIVERGED]
CASES += [("exo_pair", {"label_smoothing": 0.1} | settings) for settings in DIVERGED]
CASES += [("discopop", {"discopop_tau": 0.5} | settings) for settings in DIVERGED]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_a_loss_equals_trls(name, settings):
    assert_equal(name, **settings)


def test_the_alpha_divergence_equals_trls_in_float32():
    """TRL computes this one in float32 at most, and has no float64."""
    policy, reference, mask = pairs()
    settings = {"divergence": "alpha", "divergence_alpha": 0.5}
    arguments = policy.detach().float(), reference.float(), mask
    found, expected = of_picollm("sigmoid", *arguments, **settings), of_trl("sigmoid", *arguments, **settings)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("beta", [1e-3, 0.1, 10.0])
def test_simpo_and_orpo_equal_trls_trainers(beta):
    """Their methods take log-probs per token; that of ORPO computes in float32 and has no term of SFT."""
    cpo, orpo = pytest.importorskip("trl.experimental.cpo"), pytest.importorskip("trl.experimental.orpo")
    for seed in range(3):
        policy, reference, mask = pairs(seed)
        means = (policy.sum(dim=1) / mask.sum(dim=1)).detach().requires_grad_()
        summed = means * mask.sum(dim=1)
        sides = [*summed.chunk(2), *reference.sum(dim=1).chunk(2), *mask.double().sum(dim=1).chunk(2)]
        trainer = SimpleNamespace(beta=beta, alpha=0.0, label_smoothing=0.0, loss_type="simpo", simpo_gamma=0.5)
        trainer.accelerator = SimpleNamespace(device="cpu")
        chosen, rejected = means.chunk(2)
        expected = cpo.CPOTrainer.cpo_loss(trainer, chosen, rejected)[0].mean()
        ((function, _),) = dpo(loss="simpo", beta=beta, simpo_gamma=0.5).losses()
        assert_same(function(PairScores(*sides)).mean(), expected, means, 1e-6)
        expected = chosen.mean() * -1 - orpo.ORPOTrainer.odds_ratio_loss(trainer, chosen, rejected)[0].mean()
        ((function, _),) = dpo(loss="orpo", beta=beta).losses()
        assert_same(function(PairScores(*sides)).mean(), expected, means, 1e-5)


def assert_same(found, expected, means, tolerance):
    assert found.item() == pytest.approx(expected.item(), rel=tolerance)
    gradients = (torch.autograd.grad(loss, means, retain_graph=True)[0] for loss in (found, expected))
    torch.testing.assert_close(*gradients, atol=tolerance, rtol=tolerance)
