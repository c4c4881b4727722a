import math

import numpy as np
import pytest
import torch

from picollm.data.rows import ResponseRows
from picollm.objectives import language_modelling, preference, response_logps
from tests.tiny import pair_rows, response_rows, tiny_model


def plain_logps(model, ids, start):
    """Sum of log softmax at the tokens from `start` on, one token at a time."""
    logits = model(torch.from_numpy(ids)[None])[0]
    return sum(torch.log_softmax(logits[place - 1], dim=-1)[ids[place]] for place in range(start, len(ids)))


def test_response_logps_equal_the_plain_computation_row_by_row():
    model, rows = tiny_model(), response_rows(5)
    found = response_logps(model, rows.batch(np.arange(5)))
    expected = torch.stack([plain_logps(model, ids, 2) for ids in rows.sequences])
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_batch_without_targets_has_loss_zero():
    model, rows = tiny_model(), ResponseRows([np.array([3, 4, 5])], [3])
    sums = language_modelling(model, rows.batch(np.arange(1)))
    sums.loss.backward()
    assert (sums.loss.item(), sums.count.item()) == (0, 0)
    assert response_logps(model, rows.batch(np.arange(1))).tolist() == [0.0]


def test_gradients_are_those_of_the_plain_computation_though_a_prompt_is_there_once():
    model, rows = tiny_model(), pair_rows(3)
    sequences = [np.concatenate((rows.prompts[i], side[i])) for side in (rows.chosen, rows.rejected) for i in range(3)]
    weights = torch.tensor([1.0, -2.0, 0.5, -1.5, 3.0, 0.25])
    found = response_logps(model, rows.batch(np.arange(3))) @ weights
    starts = [len(prompt) for prompt in rows.prompts] * 2
    logps = [plain_logps(model, ids, start) for ids, start in zip(sequences, starts, strict=True)]
    expected = torch.stack(logps) @ weights
    gradients = (torch.autograd.grad(y, list(model.parameters())) for y in (found, expected))
    for left, right in zip(*gradients, strict=True):
        assert torch.allclose(left, right, atol=1e-5)


def test_language_modelling_sums_the_negative_logps_of_the_response_and_counts_its_tokens():
    model, rows = tiny_model(), response_rows(5)
    sums = language_modelling(model, rows.batch(np.arange(5)))
    expected = -sum(plain_logps(model, ids, 2) for ids in rows.sequences)
    assert sums.loss.item() == pytest.approx(expected.item(), abs=1e-4)
    assert sums.count.item() == sum(len(ids) - 2 for ids in rows.sequences)


@pytest.mark.parametrize("sft_weight", [0.0, 0.7])
def test_preference_equals_the_formula_pair_by_pair(sft_weight):
    model, rows, beta, smoothing = tiny_model(), pair_rows(4), 0.3, 0.1
    sums = preference("sigmoid", beta, smoothing, sft_weight)(model, rows.batch(np.arange(4)))
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


def test_the_preference_loss_is_a_metric_only_if_the_loss_holds_an_sft_term():
    plain, mixed = (
        preference("sigmoid", 0.3, 0.0, weight)(tiny_model(), pair_rows(4).batch(np.arange(4))) for weight in (0.0, 0.7)
    )
    assert "preference_loss" not in plain.metrics
    assert mixed.metrics["preference_loss"].item() == pytest.approx(plain.loss.item(), abs=1e-5)
    assert mixed.loss.item() > plain.loss.item() + 0.1


def test_a_tie_counts_one_half():
    rows = pair_rows(3)
    rows.rejected = rows.chosen
    rows.reference_logps = np.full((3, 2), -9.0)
    sums = preference("ipo", 0.1, 0.0, 0.0)(tiny_model(), rows.batch(np.arange(3)))
    assert sums.metrics["rewards/accuracies"].item() == 1.5
    assert sums.metrics["rewards/margins"].item() == 0
