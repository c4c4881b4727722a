import numpy as np
import pytest
import torch

from picollm.batching.encode import encode_sft
from picollm.batching.rows import ResponseRows
from picollm.logprobs.rows import pair_logps, response_bytes, response_tokens, row_logps
from picollm.records.jsonl import SFTRecord
from picollm.text.tokenizer import train_bpe
from tests.tiny import pair_rows, response_rows, tiny_model


def plain_logps(model, sequence, prompt_length):
    """The sum over the response's tokens, one sequence at a time and unpadded."""
    ids = torch.tensor(sequence)
    with torch.no_grad():
        logps = model(ids[None])[0].log_softmax(dim=-1)
    return sum(logps[place - 1, ids[place]].item() for place in range(prompt_length, len(ids)))


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_row_logps_are_sums_over_the_response_in_the_order_of_the_rows(batch_size):
    model, rows = tiny_model(), response_rows(10)
    expected = [plain_logps(model, ids, 2) for ids in rows.sequences]
    assert len({len(ids) for ids in rows.sequences}) > 3  # so that rows are sorted and padded
    assert np.allclose(row_logps(model, rows, batch_size, "float32"), expected, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("reference", [True, False])
def test_pair_logps_hold_chosen_and_rejected_of_each_pair(batch_size, reference):
    model, pairs = tiny_model(), pair_rows(7, reference=reference)
    expected = [
        [plain_logps(model, np.concatenate((prompt, response)), len(prompt)) for response in responses]
        for prompt, *responses in zip(pairs.prompts, pairs.chosen, pairs.rejected, strict=True)
    ]
    logps = pair_logps(model, pairs, batch_size, "float32")
    assert logps.shape == (7, 2)
    assert np.allclose(logps, expected, atol=1e-4)


def test_bfloat16_is_near_and_another_computation():
    model, rows = tiny_model(), response_rows(10)
    exact, rough = (row_logps(model, rows, 4, precision) for precision in ("float32", "bfloat16"))
    assert np.allclose(rough, exact, rtol=0.02)
    assert not np.array_equal(rough, exact)


def test_prompt_lengths_may_differ_between_rows():
    model = tiny_model()
    sequences = [np.array([0, 5, 6, 7]), np.array([0, 5, 6, 7, 8, 9])]
    rows = ResponseRows(sequences, [3, 1])
    expected = [plain_logps(model, sequences[0], 3), plain_logps(model, sequences[1], 1)]
    assert np.allclose(row_logps(model, rows, 2, "float32"), expected, atol=1e-4)
    assert response_tokens(rows).tolist() == [1, 5]


def test_response_bytes_are_those_of_what_is_scored():
    tokenizer = train_bpe(iter(["ab"]), 257)  # one token a byte
    records = [SFTRecord("a", "p", "p", "naïve"), SFTRecord("b", "p", "p", "🦇 bat")]
    whole = encode_sft(records, tokenizer, 20, False)
    assert response_bytes(whole, records, tokenizer).tolist() == [6, 8]
    cut = encode_sft(records, tokenizer, 8, True)  # bos, then 6 bytes and the end of text; bos, then 7 of 8 bytes
    assert response_tokens(cut).tolist() == [7, 7]
    assert response_bytes(cut, records, tokenizer).tolist() == [6, 7]
