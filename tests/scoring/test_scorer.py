import pytest
import torch

from picollm.core.errors import DataError
from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.scoring.scorer import Scorer
from picollm.text.tokenizer import train_bpe
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(iter(["the cat sat on the mat", "a bat and a hat"]), 270)


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model(vocab_size=tokenizer.vocab_size, max_position_embeddings=64)


def plain_logps(model, prompt, response):
    """The sum over the response's tokens, from ids, one sequence at a time."""
    ids = torch.tensor([*prompt, *response])
    with torch.no_grad():
        logps = model(ids[None])[0].log_softmax(dim=-1)
    return sum(logps[place - 1, ids[place]].item() for place in range(len(prompt), len(ids)))


def plain_kl(model, reference, prompt, response):
    """The sum over the response's positions of sum_v p(v) log(p(v) / q(v)), in float64, one sequence at a time."""
    ids = torch.tensor([*prompt, *response])
    with torch.no_grad():
        p, q = (m(ids[None])[0].double().log_softmax(dim=-1) for m in (model, reference))
    return sum((p[at - 1].exp() * (p[at - 1] - q[at - 1])).sum().item() for at in range(len(prompt), len(ids)))


@pytest.fixture(scope="module")
def scorer(tokenizer):
    return Scorer(tokenizer, 64, False, 2, "float32")


def pair(prompt, chosen, rejected, id="a"):
    return PreferenceRecord(id, prompt, prompt, chosen, rejected, 1.0, 0.0, None, "own")


def test_responses_are_scored_with_their_tokens_and_bytes(model, tokenizer, scorer):
    records = [SFTRecord("a", "the cat", "the cat", "sat on a mat"), SFTRecord("b", "a", "a", "naïve hat")]
    rows = list(scorer.responses(model, records))
    for row, record, size in zip(rows, records, (12, 10), strict=True):  # the i with two dots takes two bytes
        prompt = [tokenizer.bos_id, *tokenizer.encode(record.prompt)]
        response = [*tokenizer.encode(record.response), tokenizer.eos_id]
        logps = pytest.approx(plain_logps(model, prompt, response), rel=1e-5)
        assert row == {"id": record.id, "logps": logps, "tokens": len(response), "bytes": size}


def test_pairs_are_scored_after_their_prompt(model, tokenizer, scorer):
    records = [pair("the cat", "sat", "and a bat")]
    prompt = [tokenizer.bos_id, *tokenizer.encode("the cat")]
    expected = [plain_logps(model, prompt, [*tokenizer.encode(t), tokenizer.eos_id]) for t in ("sat", "and a bat")]
    (row,) = scorer.pairs(model, records)
    assert row["id"] == "a"
    assert [row["chosen_logps"], row["rejected_logps"]] == pytest.approx(expected, abs=1e-4)


def test_samples_are_scored_with_the_token_that_ended_them(model, tokenizer, scorer):
    samples = [
        {"id": "a", "number": 0, "prompt_ids": [0, 70, 71], "completion_ids": [80, 81, 82], "end_ids": []},
        {"id": "a", "number": 1, "prompt_ids": [0, 70], "completion_ids": [90], "end_ids": [tokenizer.eos_id]},
        {"id": "b", "number": 0, "prompt_ids": [0, 70], "completion_ids": [], "end_ids": [5]},
    ]
    sampled = [[80, 81, 82], [90, tokenizer.eos_id], [5]]
    other = tiny_model(seed=3, vocab_size=tokenizer.vocab_size, max_position_embeddings=64)
    rows = list(scorer.samples(model, other, samples))
    assert [(row["id"], row["number"], row["tokens"]) for row in rows] == [("a", 0, 3), ("a", 1, 2), ("b", 0, 1)]
    for key, scored_by in (("logps", model), ("reference_logps", other)):
        expected = [plain_logps(scored_by, row["prompt_ids"], ids) for row, ids in zip(samples, sampled, strict=True)]
        assert [row[key] for row in rows] == pytest.approx(expected, abs=1e-4)
    for row, sample, ids in zip(rows, samples, sampled, strict=True):
        assert row["kl"] == pytest.approx(plain_kl(model, other, sample["prompt_ids"], ids), abs=1e-5)
    for row in scorer.samples(model, model, samples):
        assert row["kl"] == pytest.approx(0, abs=1e-6) and row["logps"] == row["reference_logps"]


@pytest.mark.parametrize("kind", ["responses", "pairs"])
def test_a_row_longer_than_the_context_is_refused_unless_truncated(model, tokenizer, kind):
    long = "the cat sat on the mat " * 10
    records = {
        "responses": [SFTRecord("row-7", long, long, "a hat")],
        "pairs": [pair(long, "a hat", "a bat", id="row-7")],
    }[kind]
    with pytest.raises(DataError, match="row-7: prompt and response have"):
        list(getattr(Scorer(tokenizer, 64, False, 2, "float32"), kind)(model, records))
    list(getattr(Scorer(tokenizer, 64, True, 2, "float32"), kind)(model, records))
