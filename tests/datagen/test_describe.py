import pytest

from picollm.datagen.datasets import make_preferences, make_sft
from picollm.datagen.describe import describe_preferences, describe_sft
from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.stories.dread import dread
from tests.datagen.examples import preferences, sft, specifications


def row(id, prompt, response):
    return SFTRecord(id, prompt, prompt, response)


def pair(id, prompt, chosen, rejected, p_chosen, stratum="contrast"):
    return PreferenceRecord(id, prompt, prompt, chosen, rejected, 1.0, 0.0, p_chosen, stratum)


def test_sft_rows_are_described_by_counts_lengths_and_dread():
    rows = {
        "train": [
            row("a", "p", "one two three"),
            row("b", "p", "one two three"),
            row("c", "q", "one two three"),
            row("f", "p", "a b c d e f g"),
        ],
        "test": [row("d", "q", "corpse"), row("e", "r", "a b c")],
    }
    assert describe_sft(rows) == {
        "sft.train.rows": 4,
        "sft.train.duplicates": 1,
        "sft.train.words": 4.0,
        "sft.train.words_max": 7,
        "sft.train.dread": 0.0,
        "sft.test.rows": 2,
        "sft.test.duplicates": 0,
        "sft.test.words": 2.0,
        "sft.test.words_max": 3,
        "sft.test.dread": dread("corpse") / 2,
        "sft.shared_prompts": 1,
    }


def test_pairs_are_described_by_counts_lengths_ceilings_and_flips():
    rows = {
        "train": [
            pair("a", "p", "one two", "one", 0.9),
            pair("b", "p", "one two", "one", 0.9),
            pair("c", "q", "one two three four", "one two three", 0.25, "degree"),
            pair("d", "q", "a b c d", "a b c", 0.75, "degree"),
        ],
        "test": [pair("e", "p", "a", "b", None, "own"), pair("f", "q", "a", "b", 0.5, "degree")],
    }
    # Ceilings: mean of max(p, 1 - p); flips: p below one half.
    assert describe_preferences(rows) == pytest.approx(
        {
            "preferences.train.rows": 4,
            "preferences.train.duplicates": 1,
            "preferences.train.chosen_words": 3.0,
            "preferences.train.rejected_words": 2.0,
            "preferences.train.ceiling": 0.825,
            "preferences.train.flipped": 0.25,
            "preferences.train.contrast.ceiling": 0.9,
            "preferences.train.contrast.flipped": 0.0,
            "preferences.train.degree.ceiling": 0.75,
            "preferences.train.degree.flipped": 0.5,
            "preferences.test.rows": 2,
            "preferences.test.duplicates": 0,
            "preferences.test.chosen_words": 1.0,
            "preferences.test.rejected_words": 1.0,
            "preferences.test.degree.ceiling": 0.5,
            "preferences.test.degree.flipped": 0.0,
            "preferences.shared_prompts": 2,
        }
    )


def test_the_templates_share_no_prompts_and_have_no_duplicates():
    specs = specifications()
    numbers = describe_sft(make_sft(sft(), specs))
    numbers |= describe_preferences(make_preferences(preferences(), specs))
    assert {value for key, value in numbers.items() if key.endswith(("shared_prompts", "duplicates"))} == {0}
