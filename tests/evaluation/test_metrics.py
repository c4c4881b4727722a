import math
from random import Random

import numpy as np
import pandas as pd
import pytest

from picollm.evaluation.intervals import mean_interval, share_interval
from picollm.evaluation.metrics import (
    HEADLINE,
    best_of_n_measures,
    comparison_measures,
    headline,
    loss_floor,
    pair_measures,
    response_measures,
    reward_measures,
    sample_measures,
    samples_of_split,
)
from picollm.evaluation.tables import DERIVED
from picollm.evaluation.truth import Truth, truth_measures
from picollm.stories.spec import StorySpec, prompt_text
from picollm.stories.story import story_logp, write_story


def test_losses_are_per_token_and_per_byte():
    responses = pd.DataFrame({"logps": [-6.0, -4.0], "tokens": [3, 2], "bytes": [12, 8]})
    assert response_measures(responses) == pytest.approx({"sft_loss": 2.0, "bits_per_byte": 10 / math.log(2) / 20})


def test_the_floor_of_the_loss_is_that_of_the_grammar_per_token():
    spec = StorySpec("The Salt Lantern", "a quiet mill", "Ana", "Bo", "an odd jar", "never sing", "the cook had left")
    stories = [write_story(spec, tone, Random(tone)) for tone in ("eerie", "dark")]
    mix = {"wholesome": 1.0, "eerie": 2.0, "dark": 1.0}
    rows = pd.DataFrame({"prompt": [prompt_text(spec)] * 2, "response": stories})
    nats = -sum(story_logp(story, spec, mix) for story in stories)
    scored = pd.DataFrame({"tokens": [170, 130], "bytes": [len(story.encode()) for story in stories]})
    assert loss_floor(rows, scored, mix) == pytest.approx({"sft_loss_floor": nats / 300})
    own = ["Of my own.", stories[1]]
    own_scored = scored.assign(bytes=[10, len(stories[1].encode())])
    assert loss_floor(rows.assign(response=own), own_scored, mix) == {}
    assert loss_floor(rows.assign(prompt=["Tell me a story.", prompt_text(spec)]), scored, mix) == {}
    assert loss_floor(rows, scored.assign(bytes=scored["bytes"] - 1), mix) == {}  # truncated


# pair_measures


def pairs(p_chosen=(0.9, 0.6, 0.3, 0.9), strata=("contrast", "contrast", "degree", "degree")):
    """Four pairs: right, wrong, tie, right; their rewards right, tie, right, right."""
    logps = np.array([[-10.0, -12.0], [-10.0, -9.0], [-5.0, -5.0], [-4.0, -8.0]])
    reference = np.array([[-11.0, -12.0], [-10.0, -9.0], [-6.0, -5.0], [-6.0, -9.0]])
    columns = {"chosen_logps": logps[:, 0], "rejected_logps": logps[:, 1]}
    columns |= {"reference_chosen_logps": reference[:, 0], "reference_rejected_logps": reference[:, 1]}
    columns |= {"chosen_score": [9.0, 5.0, 1.0, 7.0], "rejected_score": [1.0, 3.0, 4.0, 2.0]}
    return pd.DataFrame({"p_chosen": p_chosen, "stratum": strata, "words": [1, 0, 2, 3], "dread": 1.0, **columns})


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
    calibration = {f"calibration{end}" for end in ("", "_low", "_high", "_slope", "_target", "_kl")}
    length = {
        f"length_{name}" for name in ("share", "share_low", "share_high", "slope", "share_target", "slope_target")
    }
    assert set(numbers) == expected | calibration | length | {"margin"}
    assert all(type(value) is float for value in numbers.values())


def test_a_model_that_was_trained_with_no_beta_has_no_rewards():
    numbers = pair_measures(pairs(), beta=None)
    assert numbers["pref_acc"] == 0.625
    assert not {key for key in numbers if "reward_acc" in key or "margin" in key}


def test_a_single_stratum_is_not_repeated():
    numbers = pair_measures(pairs([0.8] * 4, ["own"] * 4), beta=0.5)
    assert not any("." in key for key in numbers)
    # Margins, times beta: 0.5, 0, 0.5, 0.5; differences of true reward: 8, 2, -3, 5.
    assert numbers["calibration_slope"] == pytest.approx((8 * 0.5 - 3 * 0.5 + 5 * 0.5) / (64 + 4 + 9 + 25))
    assert numbers["ceiling"] == pytest.approx(0.8)


def test_labels_that_no_rule_drew_have_no_ceiling():
    numbers = pair_measures(pairs([None, None, 0.7, 0.7], ["own", "own", "degree", "degree"]), beta=0.5)
    assert [key for key in numbers if key.endswith("ceiling")] == ["degree.ceiling"]
    assert not [key for key in numbers if "calibration" in key]


def test_sentences_were_looked_up_in_the_first_samples_of_a_prompt_alone():
    numbers = range(DERIVED + 1)
    table = pd.DataFrame(
        {"id": ["a"] * len(numbers), "number": numbers, "completion": "x y", "words": 2, "ended": True}
    )
    derived = [0.5] * (DERIVED // 2) + [1.0] * (DERIVED // 2) + [np.nan]
    assert sample_measures(table.assign(derived=derived))["derived"] == pytest.approx(0.75)
    assert "reward" not in sample_measures(table.assign(reward=[1.0] * DERIVED + [np.nan]))


# Samples


def samples(seed=1, prompts=6, count=4, reader=False, split="test", **changes):
    """`count` samples of each prompt, as read_samples gives them."""
    rng = np.random.default_rng(seed)
    rows = [
        {"id": f"{split}-{prompt}", "number": number, "reader": reader, "split": split, "completion": f"a b {number} c"}
        for prompt in range(prompts)
        for number in range(count)
    ]
    size = len(rows)
    columns = {"words": rng.integers(5, 9, size), "ended": rng.random(size) < 0.8, "adherence": rng.random(size)}
    columns |= {"reward": rng.normal(10, 3, size), "kl": rng.gamma(3, 1, size), "tokens": rng.integers(5, 9, size)}
    columns |= {"logps": rng.normal(-20, 3, size), "reference_logps": rng.normal(-22, 3, size)}
    return pd.DataFrame(rows).assign(**columns | changes)


def means(table, column):
    return table.groupby("id", sort=False)[column].mean().to_numpy(float)


def test_means_and_their_intervals_are_over_prompts():
    table = samples()
    numbers = sample_measures(table)
    for name, column, interval in (
        ("reward", "reward", mean_interval),
        ("kl", "kl", mean_interval),
        ("length", "words", mean_interval),
        ("ended", "ended", share_interval),
        ("adherence", "adherence", share_interval),
    ):
        found = tuple(numbers[f"{name}{end}"] for end in ("", "_low", "_high"))
        assert found == pytest.approx(interval(means(table, column))), name
    assert all(type(value) is float for value in numbers.values())


def test_diversity_is_that_of_one_text_a_prompt_and_repetition_that_of_all():
    texts = ["a b a b", "x x x x x", "a b", "y"]  # two prompts, two samples each
    numbers = sample_measures(samples(prompts=2, count=2, completion=texts))
    assert numbers["distinct_2"] == 2 / 4  # a b, b a, a b | a b
    assert numbers["repetition"] == pytest.approx(0.5 / 4)  # x x x x, twice


def test_what_the_table_lacks_is_absent():
    numbers = sample_measures(samples().drop(columns=["reward", "adherence", "kl"]))
    assert {key for key in numbers if not key.endswith(("_low", "_high"))} == {
        *("length", "ended", "distinct_2", "repetition")
    }
    assert "kl" not in sample_measures(samples(kl=np.nan))


def test_the_win_rate_is_over_all_pairs_and_kl_per_token_over_all_tokens():
    table, baseline = samples(), samples(seed=2, count=3)
    numbers = comparison_measures(table, baseline)
    assert numbers["kl_per_token"] == pytest.approx(table["kl"].sum() / table["tokens"].sum())
    pairs = table.merge(baseline, on="id")
    rates = (pairs["reward_x"] > pairs["reward_y"]).groupby(pairs["id"], sort=False).mean().to_numpy()
    found = tuple(numbers[f"win_rate{end}"] for end in ("", "_low", "_high"))
    assert found == pytest.approx(share_interval(rates))
    assert set(comparison_measures(table.drop(columns="reward"), baseline)) == {"kl_per_token"}


def test_the_policy_is_measured_against_the_optimum_on_the_same_prompts():
    table, baseline = samples(), samples(seed=2, count=40)
    numbers = reward_measures(table, baseline)
    shape = [column.to_numpy().reshape(6, -1) for column in (baseline["reward"], table["reward"], table["kl"])]
    assert numbers.items() >= truth_measures(Truth(*shape)).items()
    implicit = (table["logps"] - table["reference_logps"]).groupby(table["id"])
    within = implicit.rank() - 2.5, table["reward"].groupby(table["id"]).rank() - 2.5
    expected = (within[0] * within[1]).groupby(table["id"]).sum() / 5  # 1.5^2 + 0.5^2 + 0.5^2 + 1.5^2
    assert numbers["rank_correlation"] == pytest.approx(expected.mean())
    assert reward_measures(table.drop(columns="reward"), baseline) == {}


def test_a_prompt_whose_samples_are_equally_good_has_no_rank_correlation():
    table, baseline = samples(), samples(seed=2, count=40)
    equal = table.assign(reward=table["reward"].where(table["id"] != "test-2", 5.0))
    others = table[table["id"] != "test-2"], baseline[baseline["id"] != "test-2"]
    expected = reward_measures(*others)
    for end in ("", "_low", "_high"):
        assert reward_measures(equal, baseline)[f"rank_correlation{end}"] == expected[f"rank_correlation{end}"]
    assert "rank_correlation" not in reward_measures(table.assign(reward=5.0), baseline)


def test_best_of_n_goes_up_to_a_quarter_of_the_samples():
    numbers = best_of_n_measures(samples(count=40))
    assert [key for key in numbers if key.count("_") == 2] == ["best_of_2", "best_of_4", "best_of_8"]
    rewards = samples(count=40)["reward"].to_numpy().reshape(6, 40)
    pairs = np.maximum(rewards[:, :, None], rewards[:, None])
    expected = (pairs.sum(axis=(1, 2)) - rewards.sum(axis=1)) / (40 * 39)
    assert numbers["best_of_2"] == pytest.approx(expected.mean())
    assert best_of_n_measures(samples().drop(columns="reward")) == {}


def test_each_model_and_split_has_the_measures_that_mean_something_there():
    def names(model, split):
        drawn = pd.concat([samples(count=40, split=split), samples(count=1, split=split, reader=True, kl=np.nan)])
        return set(samples_of_split(model, split, drawn, samples(seed=2, count=40, split=split)))

    assert {name for name in names("dpo", "test") if name.startswith("reader_") and name.count("_") == 1} == {
        *("reader_reward", "reader_length", "reader_ended", "reader_adherence", "reader_repetition")
    }
    assert names("dpo", "test") - names("dpo", "unseen") >= {"gain", "rank_correlation"}
    assert not names("base", "test") & {"gain", "kl_efficiency", "best_of_2"}
    assert "best_of_8" in names("sft", "test") and "win_rate" not in names("sft", "test")
    assert {"kl", "win_rate"} <= names("base", "unseen")


def test_the_headline_has_the_numbers_that_there_are_in_its_order():
    assert headline({"dpo.test.kl": 2.0, "dpo.test.gain": 1.0, "sft.test.kl": 3.0}) == {"dpo.gain": 1.0, "dpo.kl": 2.0}
    assert list(HEADLINE)[:5] == ["dpo.gain", "dpo.kl", "dpo.kl_efficiency", "dpo.regret", "dpo.ended"]
