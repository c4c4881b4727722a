import numpy as np
import pandas as pd
import pytest

from picollm.evaluation import rows
from picollm.evaluation.tables import labels_found
from picollm.stories.spec import SLOTS, StorySpec, prompt_text

SPEC = StorySpec("The Salt Lantern", "a quiet mill", "Ana", "Bo", "an odd jar", "never sing", "the cook had left")
OTHER = "Title: The Mirror\nName: Iris\nTaboo rule: never sing\n"


def table(*completions, split="test", prompt=None, **columns):
    made = [
        {
            "id": f"{split}-{number}",
            "split": split,
            "number": 0,
            "prompt": prompt or prompt_text(SPEC),
            "completion": text,
        }
        for number, text in enumerate(completions)
    ]
    samples = pd.DataFrame(made).assign(adherence=0.5, **columns)
    return samples.assign(labels=labels_found(samples))


def test_adherence_rows_name_model_split_and_label():
    seen, unseen = table("Ana"), table("Bo", "", split="unseen")
    found = list(rows.adherence_rows({"sft": pd.concat([seen, unseen]), "dpo": table("x").drop(columns="labels")}))
    assert [(row["model"], row["split"], row["slot"]) for row in found] == [
        ("sft", split, slot) for split in ("test", "unseen") for slot in SLOTS
    ]
    shares = {(row["split"], row["slot"]): row["adherence"] for row in found}
    assert {key: share for key, share in shares.items() if share} == {
        ("test", "protagonist"): 1.0,
        ("unseen", "companion"): 0.5,
    }


def test_a_label_that_only_some_prompts_have_is_shared_by_those():
    both = pd.concat([table("Ana", "Ana"), table("Iris: never sing", prompt=OTHER)])
    shares = {row["slot"]: row["adherence"] for row in rows.adherence_rows({"sft": both})}
    assert (shares["protagonist"], shares["name"], shares["taboo rule"], shares["rule"]) == (1, 1, 1, 0)
    assert shares["title"] == 0


def test_optimum_rows_begin_at_the_reference_and_their_interval_holds_the_curve():
    rewards = np.random.default_rng(1).normal(size=(20, 40))
    ids = [f"p{prompt}" for prompt in range(20) for _ in range(40)]
    found = list(rows.optimum_rows(pd.DataFrame({"id": ids, "reward": rewards.reshape(-1)})))
    assert (found[0]["t"], found[0]["kl"], found[0]["reward"]) == (0, 0, pytest.approx(rewards.mean()))
    assert len(found) > 30
    for row in found:
        assert (
            row["reward_low"] <= row["reward"] <= row["reward_high"] < np.inf
        )  # rows beyond what most resamples know are left out
        assert row["reward"] == pytest.approx(rewards.mean() + row["t"], abs=0.15)  # of normal rewards R = mu + t
    assert list(rows.optimum_rows(pd.DataFrame({"id": ids}))) == []


def pairs(p_chosen):
    columns = {"chosen_logps": [-1.0, -4.0, -2.0], "rejected_logps": [-3.0, -2.0, -2.0]}
    columns |= dict.fromkeys(("reference_chosen_logps", "reference_rejected_logps"), [0.0] * 3)
    return pd.DataFrame({"id": ["a", "b", "c"], "p_chosen": p_chosen, **columns})


def test_pair_rows_say_whether_the_order_is_right_and_what_could_be_expected():
    found = list(rows.pair_rows(pairs([0.9, 0.3, 0.5]), "test"))
    assert [tuple(row.values()) for row in found] == [
        ("test", "a", 1.0, 0.9),
        ("test", "b", 0.0, 0.7),
        ("test", "c", 0.5, 0.5),
    ]
    assert [row["ceiling"] for row in rows.pair_rows(pairs([None] * 3), "test")] == [1, 1, 1]


def test_reliability_is_of_the_rewards_and_only_of_a_rules_labels():
    (first, *_) = rows.reliability_rows(pairs([0.9, 0.3, 0.5]), beta=0.5)
    assert first["predicted"] == pytest.approx(1 / (1 + np.exp(1)))  # the largest margin, -1 with its order reversed
    assert rows.reliability_rows(pairs([0.9, None, 0.5]), beta=0.5) == []


def test_sample_rows_have_all_models_and_the_reference_a_kl_of_0():
    drawn = {"sft": table("x", "y", dread=1.0), "dpo": table("z", dread=2.0, kl=3.0)}
    columns, found = rows.sample_rows({name: made.assign(words=1, ended=True) for name, made in drawn.items()})
    assert columns == ["model", "split", "id", "number", "words", "ended", "adherence", "dread", "kl"]
    assert [(row["model"], row["dread"], row["kl"]) for row in found] == [("sft", 1, 0), ("sft", 1, 0), ("dpo", 2, 3)]
    columns, _ = rows.sample_rows({"dpo": table("z", kl=3.0).drop(columns="adherence").assign(words=1, ended=True)})
    assert columns == ["model", "split", "id", "number", "words", "ended", "kl"]
