from itertools import product

import numpy as np
import pytest
import torch

from picollm.batching.batch import pack
from picollm.inference.generate import generate
from picollm.model.directory import load_model, save_model
from picollm.scoring import divergence as module
from picollm.scoring.divergence import divergence
from picollm.text.tokenizer import train_bpe
from tests.tiny import tiny_model

PROMPT, CAP = [1, 2], 4  # token 0 ends a sequence


@pytest.fixture(scope="module")
def models():
    return [tiny_model(seed, vocab_size=4, tie_word_embeddings=False) for seed in (1, 2)]


def every_sequence():
    """All that sampling can give: ended by token 0, or cut at CAP tokens."""
    ended = [(*body, 0) for length in range(CAP) for body in product((1, 2, 3), repeat=length)]
    return ended + list(product((1, 2, 3), repeat=CAP))


def scores(policy, reference, sequences):
    batch = pack([np.array([*PROMPT, *ids]) for ids in sequences], [len(PROMPT)] * len(sequences))
    with torch.no_grad():
        return divergence(policy, reference, batch).double().numpy().T


def exact(policy, reference):
    """KL(policy || reference) of whole sequences, summed over all of them; and their probabilities."""
    _, logps, reference_logps = scores(policy, reference, every_sequence())
    assert np.exp(logps).sum() == pytest.approx(1, abs=1e-5)
    return (np.exp(logps) * (logps - reference_logps)).sum(), np.exp(logps)


def test_the_mean_over_positions_is_the_kl_of_whole_sequences_cut_or_ended(models):
    kl, chances = exact(*models)
    along = scores(*models, every_sequence())[0]
    assert kl > 0.05
    assert (chances * along).sum() == pytest.approx(kl, rel=1e-4)


def test_the_kl_is_that_of_the_policy_from_the_reference_and_not_the_reverse(models):
    assert exact(*models)[0] != pytest.approx(exact(*models[::-1])[0], rel=0.01)
    along = scores(*models[::-1], every_sequence())[0]
    assert (exact(*models[::-1])[1] * along).sum() == pytest.approx(exact(*models[::-1])[0], rel=1e-4)


def test_samples_at_temperature_1_have_that_mean_and_it_varies_less_than_the_log_ratio(models):
    kl, _ = exact(*models)
    (drawn,) = generate(models[0], [PROMPT], [range(4000)], CAP, 1.0, 1.0, [0], 500)
    along, logps, reference_logps = scores(*models, [(*c.ids, *c.end) for c in drawn])
    for estimate in (along, logps - reference_logps):
        assert estimate.mean() == pytest.approx(kl, abs=4 * estimate.std() / np.sqrt(4000))
    assert along.std() < 0.7 * (logps - reference_logps).std()


def test_a_narrower_sampler_gives_another_number(models):
    kl, _ = exact(*models)
    (drawn,) = generate(models[0], [PROMPT], [range(4000)], CAP, 0.5, 0.8, [0], 500)
    along = scores(*models, [(*c.ids, *c.end) for c in drawn])[0]
    assert abs(along.mean() - kl) > 8 * along.std() / np.sqrt(4000)


def test_positions_may_be_divided_into_any_parts(models, monkeypatch):
    whole = scores(*models, every_sequence())
    monkeypatch.setattr(module, "LOGITS", 7 * 4)
    assert scores(*models, every_sequence()) == pytest.approx(whole, abs=1e-6)


def test_log_probs_and_kl_of_samples_are_those_of_transformers_on_the_same_directories(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer = train_bpe(iter(["the cat sat on the mat", "a bat and a hat"]), 270)
    ours, theirs = [], []
    for seed in (1, 2):
        save_model(tmp_path / str(seed), tiny_model(seed, vocab_size=tokenizer.vocab_size), tokenizer)
        ours.append(load_model(tmp_path / str(seed)))
        loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / str(seed), dtype=torch.float32)
        theirs.append(loaded.eval())
    prompt = [tokenizer.bos_id, *tokenizer.encode("the cat")]
    (drawn,) = generate(ours[0], [prompt], [range(20)], 12, 1.0, 1.0, [tokenizer.eos_id], 7)
    for completion in drawn:
        ids = [*prompt, *completion.ids, *completion.end]
        with torch.no_grad():
            found = divergence(*ours, pack([np.array(ids)], [len(prompt)]))[0].tolist()
            p, q = (m(torch.tensor([ids])).logits[0].double().log_softmax(dim=-1) for m in theirs)
        places = range(len(prompt), len(ids))
        kl = sum((p[at - 1].exp() * (p[at - 1] - q[at - 1])).sum().item() for at in places)
        logps = [sum(x[at - 1, ids[at]].item() for at in places) for x in (p, q)]
        assert found == pytest.approx([kl, *logps], abs=1e-4)
