import math

import numpy as np
import pytest
import torch

from picollm.core.errors import DataError
from picollm.evaluation import metrics as evaluate
from picollm.evaluation.metrics import (
    Scorer,
    adherence_rows,
    check_same_prompts,
    pair_measures,
    sample_measures,
    slot_adherence,
)
from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.stories.dread import dread
from picollm.stories.spec import SLOTS, StorySpec, prompt_text
from picollm.text.tokenizer import train_bpe
from tests.tiny import tiny_model

SPEC = StorySpec("The Salt Lantern", "a quiet mill", "Ana", "Bo", "an odd jar", "never sing", "the cook had left")


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


# Scorer


def test_responses_are_scored_per_token_and_per_byte(model, tokenizer):
    records = [SFTRecord("a", "the cat", "the cat", "sat on a mat"), SFTRecord("b", "a", "a", "naïve hat")]
    nats = tokens = 0
    for record in records:
        prompt = [tokenizer.bos_id, *tokenizer.encode(record.prompt)]
        response = [*tokenizer.encode(record.response), tokenizer.eos_id]
        nats -= plain_logps(model, prompt, response)
        tokens += len(response)
    scored = Scorer(tokenizer, 64, False, 2, "float32").responses(model, records)
    # 12 bytes and 10: the i with two dots takes two.
    assert scored == pytest.approx({"sft_loss": nats / tokens, "bits_per_byte": nats / math.log(2) / 22}, rel=1e-5)


def test_pairs_are_scored_after_their_prompt(model, tokenizer):
    records = [pair(0.5, "own", prompt="the cat", chosen="sat", rejected="and a bat")]
    prompt = [tokenizer.bos_id, *tokenizer.encode("the cat")]
    expected = [plain_logps(model, prompt, [*tokenizer.encode(t), tokenizer.eos_id]) for t in ("sat", "and a bat")]
    assert np.allclose(Scorer(tokenizer, 64, False, 2, "float32").pairs(model, records), [expected], atol=1e-4)


def test_samples_are_scored_with_their_end_of_text_where_they_reached_it(model, tokenizer):
    samples = [
        {"prompt_ids": [0, 70, 71], "completion_ids": [80, 81, 82], "ended": False},
        {"prompt_ids": [0, 70], "completion_ids": [90], "ended": True},
        {"prompt_ids": [0, 70], "completion_ids": [], "ended": True},
    ]
    expected = [
        plain_logps(model, [0, 70, 71], [80, 81, 82]),
        plain_logps(model, [0, 70], [90, tokenizer.eos_id]),
        plain_logps(model, [0, 70], [tokenizer.eos_id]),
    ]
    assert np.allclose(Scorer(tokenizer, 64, False, 2, "float32").samples(model, samples), expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["responses", "pairs"])
def test_a_row_longer_than_the_context_is_refused_unless_truncated(model, tokenizer, kind):
    long = "the cat sat on the mat " * 10
    records = {
        "responses": [SFTRecord("row-7", long, long, "a hat")],
        "pairs": [pair(None, "own", id="row-7", prompt=long, chosen="a hat", rejected="a bat")],
    }[kind]
    with pytest.raises(DataError, match="row-7: prompt and response take"):
        getattr(Scorer(tokenizer, 64, False, 2, "float32"), kind)(model, records)
    getattr(Scorer(tokenizer, 64, True, 2, "float32"), kind)(model, records)


# pair_measures


def pair(p_chosen, stratum, id="a", prompt="p", chosen="c", rejected="r"):
    return PreferenceRecord(id, prompt, prompt, chosen, rejected, 1.0, 0.0, p_chosen, stratum)


PAIRS = [pair(0.9, "contrast"), pair(0.6, "contrast"), pair(0.3, "degree"), pair(0.9, "degree")]
LOGPS = np.array([[-10, -12], [-10, -9], [-5, -5], [-4, -8]], dtype=np.float32)  # right, wrong, tie, right
REFERENCE = np.array([[-11, -12], [-10, -9], [-6, -5], [-6, -9]], dtype=np.float64)  # rewards right, tie, right, right


def assert_wilson(numbers, key, share, count):
    """An end of Wilson's interval is a share from which the observed one lies 1.96 standard errors away."""
    assert numbers[key] == pytest.approx(share)
    low, high = numbers[f"{key}_low"], numbers[f"{key}_high"]
    assert low <= share <= high
    for end in (low, high):
        assert abs(share - end) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / count), abs=1e-4)


def test_accuracies_margin_and_ceiling_of_pairs():
    numbers = pair_measures(LOGPS, REFERENCE, PAIRS, beta=0.5)
    assert_wilson(numbers, "pref_acc", 2.5 / 4, 4)
    assert_wilson(numbers, "reward_acc", 3.5 / 4, 4)
    # Log-ratios of chosen less rejected are 1, 0, 1 and 2 - 1: a mean of 0.75, times beta.
    assert numbers["margin"] == pytest.approx(0.375)
    assert numbers["ceiling"] == pytest.approx((0.9 + 0.6 + 0.7 + 0.9) / 4)


def test_each_stratum_has_its_own_accuracies_and_ceiling():
    numbers = pair_measures(LOGPS, REFERENCE, PAIRS, beta=0.5)
    assert_wilson(numbers, "contrast.pref_acc", 1 / 2, 2)
    assert_wilson(numbers, "contrast.reward_acc", 1.5 / 2, 2)
    assert_wilson(numbers, "degree.pref_acc", 1.5 / 2, 2)
    assert_wilson(numbers, "degree.reward_acc", 2 / 2, 2)
    assert numbers["contrast.ceiling"] == pytest.approx(0.75)
    assert numbers["degree.ceiling"] == pytest.approx(0.8)
    accuracies = {f"{name}{end}" for name in ("pref_acc", "reward_acc") for end in ("", "_low", "_high")}
    expected = {f"{stratum}{key}" for stratum in ("", "contrast.", "degree.") for key in (*accuracies, "ceiling")}
    assert set(numbers) == expected | {"margin"}
    assert all(type(value) is float for value in numbers.values())


def test_the_reference_model_itself_has_no_rewards():
    numbers = pair_measures(LOGPS, LOGPS, PAIRS, beta=0.5)
    assert (numbers["margin"], numbers["reward_acc"], numbers["pref_acc"]) == (0.0, 0.5, 0.625)


def test_one_stratum_alone_is_not_told_twice():
    numbers = pair_measures(LOGPS, REFERENCE, [pair(0.8, "own")] * 4, beta=0.5)
    assert not any("." in key for key in numbers)
    assert numbers["ceiling"] == pytest.approx(0.8)


def test_labels_that_no_rule_drew_have_no_ceiling():
    mixed = [pair(None, "own"), pair(None, "own"), pair(0.7, "degree"), pair(0.7, "degree")]
    numbers = pair_measures(LOGPS, REFERENCE, mixed, beta=0.5)
    assert [key for key in numbers if key.endswith("ceiling")] == ["degree.ceiling"]


# sample_measures


def sample(completion, ids, ended, prompt="my prompt", id="test-0"):
    return {
        "id": id,
        "split": "test",
        "prompt": prompt,
        "completion": completion,
        "ended": ended,
        "completion_ids": ids,
    }


DARK, SWEET = "the corpse screamed", "a happy puppy a happy puppy a"
SAMPLES = [sample(DARK, [5, 6, 7], True), sample(SWEET, [8, 9], False)]
BASELINE = [sample("the happy puppy", [5], True), sample(SWEET, [8, 9], False)]


def measured(samples=SAMPLES, baseline=BASELINE, tokenizer=None):
    return sample_measures(samples, baseline, np.array([-3.0, -5.0]), np.array([-4.0, -9.0]), tokenizer)


def test_story_measures_of_samples(tokenizer):
    numbers = measured(tokenizer=tokenizer)
    # Half the distance of two values is their standard deviation over sqrt 2, the standard error of their mean.
    mean, error = (dread(DARK) + dread(SWEET)) / 2, (dread(DARK) - dread(SWEET)) / 2
    assert dread(DARK) > 0 > dread(SWEET)
    assert_wilson(numbers, "win_rate", 1.5 / 2, 2)  # won, tied
    expected = {
        "dread": mean,
        "dread_low": mean - 1.96 * error,
        "dread_high": mean + 1.96 * error,
        "kl": 2.5,  # of 1 and 4
        "kl_per_token": 5 / 6,  # three tokens and their end of text, and two
        "distinct_2": 5 / 8,  # two of two, and three of six
        "repetition": 0.125,  # none, and one 4-gram of four
        "ended": 0.5,
        "length": 5.0,  # words: three and seven
        "lexicon": 100 / 3,  # two words of three, and none
    }
    got = {key: value for key, value in numbers.items() if not key.startswith("win_rate")}
    assert got == pytest.approx(expected, rel=1e-4)
    assert all(type(value) is float for value in numbers.values())


def test_the_sft_model_ties_with_itself_everywhere(tokenizer):
    numbers = measured(baseline=SAMPLES, tokenizer=tokenizer)
    assert numbers["win_rate"] == 0.5


def following(spec, completion):
    return sample(completion, [5], True, prompt=prompt_text(spec))


def test_adherence_is_the_share_of_slots_that_a_completion_holds(tokenizer):
    samples = [
        following(
            SPEC, "The Salt Lantern: in a quiet mill Ana took the odd jar from Bo, never sing, the cook had left."
        ),
        following(SPEC, "Ana and Boris met."),  # Boris is no Bo
    ]
    assert slot_adherence(samples).tolist() == [0.5, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5]
    assert measured(samples, samples, tokenizer)["adherence"] == pytest.approx(4 / 7)


def test_prompts_that_are_no_specifications_have_no_adherence(tokenizer):
    assert slot_adherence(SAMPLES) is None
    assert slot_adherence([following(SPEC, "Ana"), SAMPLES[0]]) is None
    assert "adherence" not in measured(tokenizer=tokenizer)


def test_adherence_rows_name_model_split_and_slot():
    seen, unseen = [following(SPEC, "Ana")], [following(SPEC, "Bo"), following(SPEC, "")]
    rows = adherence_rows({"sft": {"test": seen, "unseen": unseen}, "dpo": {"test": SAMPLES}})
    assert [(row["model"], row["split"], row["slot"]) for row in rows] == [
        ("sft", split, slot) for split in ("test", "unseen") for slot in SLOTS
    ]
    shares = {(row["split"], row["slot"]): row["adherence"] for row in rows}
    assert {key: share for key, share in shares.items() if share} == {
        ("test", "protagonist"): 1.0,
        ("unseen", "companion"): 0.5,
    }


# by_split and check_same_prompts


def test_samples_are_grouped_by_split_in_their_order():
    rows = [{"id": id, "split": id[0]} for id in ("u1", "t1", "u2", "t2")]
    groups = evaluate.by_split(rows)
    assert {split: [row["id"] for row in members] for split, members in groups.items()} == {
        "u": ["u1", "u2"],
        "t": ["t1", "t2"],
    }
    assert list(groups) == ["u", "t"]


def test_models_must_answer_the_same_prompts_in_the_same_order():
    both = [{"id": "a", "prompt": "x"}, {"id": "b", "prompt": "y"}]
    check_same_prompts({"base": both, "sft": both, "dpo": both})
    for other in (both[:1], both[::-1], [*both, {"id": "c", "prompt": "z"}], [both[0], {"id": "b", "prompt": "z"}], []):
        with pytest.raises(DataError, match=r"data/samples/dpo\.jsonl: other prompts than data/samples/sft\.jsonl"):
            check_same_prompts({"base": both, "sft": both, "dpo": other})
