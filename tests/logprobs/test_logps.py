import math

import numpy as np
import torch

from picollm.logprobs.logps import decay_weights, response_logps, sequence_logps, token_logps
from tests.tiny import pair_rows, plain_logps, response_rows, tiny_model


def test_token_logps_are_the_log_softmax_at_the_target():
    logits = torch.tensor([[0.0, math.log(3.0)], [math.log(2.0), 0.0]])
    # softmax of (0, log 3) is (1/4, 3/4); of (log 2, 0) it is (2/3, 1/3).
    found = token_logps(logits, torch.tensor([1, 1]))
    assert torch.allclose(found, torch.tensor([math.log(3 / 4), math.log(1 / 3)]))


def test_sequence_logps_sum_each_rows_tokens_and_an_empty_row_has_zero():
    found = sequence_logps(torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([0, 2, 0, 2]), 4)
    assert found.tolist() == [5.0, 0.0, 10.0, 0.0]


def test_the_weight_of_a_token_decays_from_the_start_of_its_own_sequence():
    found = decay_weights(torch.tensor([0, 0, 0, 2, 2]), 3, 0.5)
    assert found.tolist() == [1.0, 0.5, 0.25, 1.0, 0.5]


def test_response_logps_with_decay_equal_the_plain_computation():
    model, rows = tiny_model(), response_rows(5)
    found = response_logps(model, rows.batch(np.arange(5)), 0.8)
    expected = [
        sum(0.8 ** (end - 3) * (plain_logps(model, ids[:end], end - 1)) for end in range(3, len(ids) + 1))
        for ids in rows.sequences
    ]
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)


def test_response_logps_equal_the_plain_computation_row_by_row():
    model, rows = tiny_model(), response_rows(5)
    found = response_logps(model, rows.batch(np.arange(5)))
    expected = torch.stack([plain_logps(model, ids, 2) for ids in rows.sequences])
    assert torch.allclose(found, expected, atol=1e-5)


def test_gradients_equal_the_plain_computation_although_pairs_share_their_prompt():
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
