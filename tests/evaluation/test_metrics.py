import math

import numpy as np
import pandas as pd
import pytest

from picollm.core.errors import DataError
from picollm.core.files import write_jsonl
from picollm.evaluation import metrics
from picollm.evaluation.metrics import (
    adherence_rows,
    check_same_prompts,
    pair_measures,
    response_measures,
    sample_measures,
    slot_adherence,
)
from picollm.stories.dread import dread
from picollm.stories.spec import SLOTS, StorySpec, prompt_text

SPEC = StorySpec("The Salt Lantern", "a quiet mill", "Ana", "Bo", "an odd jar", "never sing", "the cook had left")
PROMPT = prompt_text(SPEC)


def test_losses_are_per_token_and_per_byte():
    responses = pd.DataFrame({"logps": [-6.0, -4.0], "tokens": [3, 2], "bytes": [12, 8]})
    assert response_measures(responses) == pytest.approx({"sft_loss": 2.0, "bits_per_byte": 10 / math.log(2) / 20})


# pair_measures


def pairs(p_chosen=(0.9, 0.6, 0.3, 0.9), strata=("contrast", "contrast", "degree", "degree")):
    """Four pairs: right, wrong, tie, right; their rewards right, tie, right, right."""
    logps = np.array([[-10.0, -12.0], [-10.0, -9.0], [-5.0, -5.0], [-4.0, -8.0]])
    reference = np.array([[-11.0, -12.0], [-10.0, -9.0], [-6.0, -5.0], [-6.0, -9.0]])
    columns = {"chosen_logps": logps[:, 0], "rejected_logps": logps[:, 1]}
    columns |= {"reference_chosen_logps": reference[:, 0], "reference_rejected_logps": reference[:, 1]}
    return pd.DataFrame({"p_chosen": p_chosen, "stratum": strata, **columns})


def assert_wilson(numbers, key, share, count):
    """An end of Wilson's interval is a share from which the observed one lies 1.96 standard errors away."""
    assert numbers[key] == pytest.approx(share)
    low, high = numbers[f"{key}_low"], numbers[f"{key}_high"]
    assert low <= share <= high
    for end in (low, high):
        assert abs(share - end) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / count), abs=1e-4)


def test_accuracies_margin_and_ceiling_of_pairs():
    numbers = pair_measures(pairs(), beta=0.5)
    assert_wilson(numbers, "pref_acc", 2.5 / 4, 4)
    assert_wilson(numbers, "reward_acc", 3.5 / 4, 4)
    # Log-ratios of chosen less rejected are 1, 0, 1 and 2 - 1: a mean of 0.75, times beta.
    assert numbers["margin"] == pytest.approx(0.375)
    assert numbers["ceiling"] == pytest.approx((0.9 + 0.6 + 0.7 + 0.9) / 4)


def test_each_stratum_has_its_own_accuracies_and_ceiling():
    numbers = pair_measures(pairs(), beta=0.5)
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


def test_a_model_that_was_trained_with_no_beta_has_no_rewards():
    numbers = pair_measures(pairs(), beta=None)
    assert numbers["pref_acc"] == 0.625
    assert not {key for key in numbers if "reward_acc" in key or "margin" in key}


def test_a_single_stratum_is_not_repeated():
    numbers = pair_measures(pairs([0.8] * 4, ["own"] * 4), beta=0.5)
    assert not any("." in key for key in numbers)
    assert numbers["ceiling"] == pytest.approx(0.8)


def test_labels_that_no_rule_drew_have_no_ceiling():
    numbers = pair_measures(pairs([None, None, 0.7, 0.7], ["own", "own", "degree", "degree"]), beta=0.5)
    assert [key for key in numbers if key.endswith("ceiling")] == ["degree.ceiling"]


# sample_measures


def table(*rows, prompt=PROMPT):
    """(completion, ended, logps, reference_logps, tokens) of each sample."""
    names = ["completion", "ended", "logps", "reference_logps", "tokens"]
    made = pd.DataFrame(rows, columns=names)
    return made.assign(id=[f"test-{number}" for number in range(len(rows))], split="test", prompt=prompt)


DARK, SWEET = "the corpse screamed", "a happy puppy a happy puppy a"
SAMPLES = [(DARK, True, -3.0, -4.0, 4), (SWEET, False, -5.0, -9.0, 2)]
BASELINE = table(("the happy puppy", True, -1.0, -1.0, 2), (SWEET, False, -5.0, -5.0, 2))


def test_story_measures_of_samples():
    numbers = sample_measures(table(*SAMPLES), BASELINE)
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
        "adherence": 0.0,
    }
    got = {key: value for key, value in numbers.items() if not key.startswith("win_rate")}
    assert got == pytest.approx(expected, rel=1e-4)
    assert all(type(value) is float for value in numbers.values())


def test_the_reference_is_not_compared_with_itself():
    numbers = sample_measures(table(*SAMPLES), None)
    assert not {key for key in numbers if key.startswith(("win_rate", "kl"))}
    assert {"dread", "adherence", "ended"} <= set(numbers)


def test_samples_that_follow_no_specification_have_no_story_measures():
    assert set(sample_measures(table(*SAMPLES, prompt="my prompt"), BASELINE)) == {
        *("kl", "kl_per_token", "distinct_2", "repetition", "ended", "length")
    }


def following(*completions):
    return table(*((text, True, -1.0, -1.0, 2) for text in completions))


def test_adherence_is_the_share_of_slots_whose_value_occurs():
    samples = following(
        "The Salt Lantern: in a quiet mill Ana took the odd jar from Bo, never sing, the cook had left.",
        "Ana and Boris met.",  # Boris is no Bo
    )
    assert slot_adherence(samples).tolist() == [0.5, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5]
    assert sample_measures(samples, samples)["adherence"] == pytest.approx(4 / 7)
    assert slot_adherence(pd.concat([samples, table(*SAMPLES, prompt="my prompt")])) is None


def test_adherence_rows_name_model_split_and_slot():
    seen, unseen = following("Ana"), following("Bo", "").assign(split="unseen")
    rows = adherence_rows({"sft": pd.concat([seen, unseen]), "dpo": table(*SAMPLES, prompt="my prompt")})
    assert [(row["model"], row["split"], row["slot"]) for row in rows] == [
        ("sft", split, slot) for split in ("test", "unseen") for slot in SLOTS
    ]
    shares = {(row["split"], row["slot"]): row["adherence"] for row in rows}
    assert {key: share for key, share in shares.items() if share} == {
        ("test", "protagonist"): 1.0,
        ("unseen", "companion"): 0.5,
    }


# tables


def test_models_must_have_the_same_prompts_in_the_same_order():
    both = pd.DataFrame([{"id": "a", "prompt": "x"}, {"id": "b", "prompt": "y"}])
    check_same_prompts({"base": both, "sft": both, "dpo": both.copy()})
    longer = pd.concat([both, pd.DataFrame([{"id": "c", "prompt": "z"}])])
    for other in (both[:1], both[::-1], longer, both.assign(prompt=["x", "z"])):
        with pytest.raises(
            DataError, match=r"data/samples/dpo\.jsonl: expected the ids and prompts of data/samples/sft\.jsonl"
        ):
            check_same_prompts({"base": both, "sft": both, "dpo": other})


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """Pairs a and b of test, and samples with these ids in both splits, as the other stages write them."""
    monkeypatch.chdir(tmp_path)
    for model, offset in (("sft", 0.0), ("dpo", 1.0)):
        pairs = [{"id": id, "chosen_logps": place + offset, "rejected_logps": -place} for place, id in enumerate("ab")]
        write_jsonl(f"data/scores/{model}/pairs_test.jsonl", pairs)
        samples = []
        for split, logp in (("test", -1.0), ("unseen", -5.0)):
            rows = [
                {"id": id, "logps": logp - place, "reference_logps": 0.0, "tokens": 1} for place, id in enumerate("ab")
            ]
            write_jsonl(f"data/scores/{model}/samples_{split}.jsonl", rows)
            samples += [{"id": id, "split": split, "completion": id} for id in "ab"]
        write_jsonl(f"data/samples/{model}.jsonl", samples)
    write_jsonl("data/preferences/test.jsonl", [{"id": id, "p_chosen": 0.5, "stratum": "own"} for id in "ab"])


def test_pairs_and_samples_stand_beside_their_scores_split_by_split(scored):
    table = metrics.read_pairs("dpo", "test")
    assert table[["id", "chosen_logps", "reference_chosen_logps"]].values.tolist() == [["a", 1, 0], ["b", 2, 1]]
    assert table["reference_rejected_logps"].tolist() == [0, -1]
    samples = metrics.read_samples("dpo")[["id", "split", "logps"]].values.tolist()
    assert samples == [["a", "test", -1], ["b", "test", -2], ["a", "unseen", -5], ["b", "unseen", -6]]


def test_scores_of_other_rows_are_refused(scored):
    write_jsonl("data/scores/dpo/pairs_test.jsonl", [{"id": "a", "chosen_logps": 0.0, "rejected_logps": 0.0}])
    with pytest.raises(DataError, match="not the scores of these rows"):
        metrics.read_pairs("dpo", "test")
