import math

import numpy as np
import pytest
import torch

from picollm.preference.objective import preference
from tests.tiny import dpo, pair_rows, plain_logps, tiny_model


@pytest.mark.parametrize("sft_weight", [0.0, 0.7])
def test_preference_equals_the_formula_pair_by_pair(sft_weight):
    model, rows, beta, smoothing = tiny_model(), pair_rows(4), 0.3, 0.1
    sums = preference(dpo(beta=beta, label_smoothing=smoothing, sft_weight=sft_weight))(model, rows.batch(np.arange(4)))
    losses, margins, logps = [], [], []
    for pair in range(4):
        prompt = rows.prompts[pair]
        chosen, rejected = (
            plain_logps(model, np.concatenate((prompt, responses[pair])), len(prompt)).item()
            for responses in (rows.chosen, rows.rejected)
        )
        reference = rows.reference_logps[pair]
        margin = beta * ((chosen - reference[0]) - (rejected - reference[1]))
        probability = 1 / (1 + math.exp(-margin))
        loss = -(1 - smoothing) * math.log(probability) - smoothing * math.log(1 - probability)
        losses.append(loss - sft_weight * chosen / len(rows.chosen[pair]))
        margins.append(margin)
        logps.append((chosen, rejected))
    assert sums.count.item() == 4
    assert sums.loss.item() == pytest.approx(sum(losses), abs=1e-4)
    assert sums.metrics["rewards/margins"].item() == pytest.approx(sum(margins), abs=1e-4)
    assert sums.metrics["rewards/accuracies"].item() == sum(margin > 0 for margin in margins)
    for side, name in enumerate(("chosen", "rejected")):
        policy, reference = sum(pair[side] for pair in logps), rows.reference_logps[:, side].sum()
        assert sums.metrics[f"logps/{name}"].item() == pytest.approx(policy, abs=1e-4)
        assert sums.metrics[f"rewards/{name}"].item() == pytest.approx(beta * (policy - reference), abs=1e-4)


def decayed(model, prompt, response, decay):
    """The log-prob of a response whose k-th token counts decay^k, one token at a time."""
    logps = [
        plain_logps(model, np.concatenate((prompt, response[: k + 1])), len(prompt) + k) for k in range(len(response))
    ]
    return sum(decay**k * logp.item() for k, logp in enumerate(logps))


def test_with_temporal_decay_the_loss_sees_decayed_log_probs_and_the_sft_term_and_the_log_whole_ones():
    model, rows, beta, decay = tiny_model(), pair_rows(3), 0.3, 0.7
    sums = preference(dpo(beta=beta, temporal_decay=decay, sft_weight=0.5))(model, rows.batch(np.arange(3)))
    expected, whole = 0.0, [0.0, 0.0]
    for pair in range(3):
        ratios = []
        for side, responses in enumerate((rows.chosen, rows.rejected)):
            response = responses[pair]
            ratios.append(decayed(model, rows.prompts[pair], response, decay) - rows.reference_logps[pair, side])
            logps = decayed(model, rows.prompts[pair], response, 1.0)
            whole[side] += logps
            expected -= 0.5 * logps / len(response) if side == 0 else 0
        expected += math.log(1 + math.exp(-beta * (ratios[0] - ratios[1])))
    assert sums.loss.item() == pytest.approx(expected, abs=1e-4)
    assert sums.metrics["logps/chosen"].item() == pytest.approx(whole[0], abs=1e-4)
    assert sums.metrics["logps/rejected"].item() == pytest.approx(whole[1], abs=1e-4)


def test_the_kl_term_is_the_exact_kl_along_the_chosen_responses():
    model, reference, rows = tiny_model(), tiny_model(seed=1), pair_rows(3)
    batch = rows.batch(np.arange(3))
    plain = preference(dpo(beta=0.3))(model, batch)
    sums = preference(dpo(beta=0.3, kl_weight=0.4), reference)(model, batch)
    expected = 0.0
    for prompt, response in zip(rows.prompts, rows.chosen, strict=True):
        ids = torch.from_numpy(np.concatenate((prompt, response)))[None]
        p, q = (torch.softmax(m(ids)[0], dim=-1) for m in (model, reference))
        places = range(len(prompt) - 1, len(prompt) + len(response) - 1)
        expected += sum((p[place] * (p[place] / q[place]).log()).sum().item() for place in places)
    assert expected > 0.1
    assert sums.metrics["kl/chosen"].item() == pytest.approx(expected, rel=1e-4)
    assert sums.loss.item() == pytest.approx(plain.loss.item() + 0.4 * expected, rel=1e-4)
    assert sums.metrics["preference_loss"].item() == pytest.approx(plain.loss.item(), abs=1e-5)


def test_the_kl_term_trains_the_policy_and_not_its_reference():
    model, reference = tiny_model(), tiny_model(seed=1)
    batch = pair_rows(3).batch(np.arange(3))
    gradients = []
    for weight in (0.0, 0.4):
        preference(dpo(kl_weight=weight), reference)(model, batch).loss.backward()
        gradients.append(model.model.embed_tokens.weight.grad.clone())
        model.zero_grad()
    assert not torch.allclose(*gradients, atol=1e-4)
    assert all(parameter.grad is None for parameter in reference.parameters())


def test_the_preference_loss_is_a_metric_only_if_the_loss_has_a_term_beside_it():
    plain, mixed = (
        preference(dpo(beta=0.3, sft_weight=weight))(tiny_model(), pair_rows(4).batch(np.arange(4)))
        for weight in (0.0, 0.7)
    )
    assert "preference_loss" not in plain.metrics
    assert mixed.metrics["preference_loss"].item() == pytest.approx(plain.loss.item(), abs=1e-5)
    assert mixed.loss.item() > plain.loss.item() + 0.1


def test_a_tie_counts_one_half():
    rows = pair_rows(3)
    rows.rejected = rows.chosen
    rows.reference_logps = np.full((3, 2), -9.0)
    sums = preference(dpo(loss="ipo"))(tiny_model(), rows.batch(np.arange(3)))
    assert sums.metrics["rewards/accuracies"].item() == 1.5
    assert sums.metrics["rewards/margins"].item() == 0
