import math

import numpy as np
import pytest

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


def test_the_preference_loss_is_a_metric_only_if_the_loss_has_an_sft_term():
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
