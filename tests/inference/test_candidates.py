import math

import pytest

from picollm.core.errors import DataError
from picollm.core.files import END_OF_TEXT
from picollm.inference.candidates import Labelling, is_response, policy_pairs
from picollm.inference.sampling import UNTRUNCATED, complete, sample_seed
from picollm.inference.settings import Sample
from picollm.records.jsonl import PreferenceRecord
from picollm.stories.dread import dread
from picollm.stories.rule import Rule
from picollm.text.tokenizer import train_bpe
from tests.tiny import tiny_model

TOKENIZER = train_bpe(iter(["the corpse bled in the dark, the happy sun sang of love and death"] * 4), 300)
MODEL = tiny_model(vocab_size=TOKENIZER.vocab_size, max_position_embeddings=256)
SAMPLE = Sample(prompts=1, base_samples=1, sft_samples=10, dpo_samples=1, max_new_tokens=200, batch_size=16)
LABELLING = Labelling(source="policy", seed=1, rule=Rule(dread=1.0, length=0.0, ending=0.0), temperature=8.0, noise=0.1)


def record(number: int) -> PreferenceRecord:
    return PreferenceRecord(f"pair-{number}", f"Tell {number}.", f"Tell {number}.", "a", "b", 1.0, 0.0, 0.9, "contrast")


RECORDS = [record(number) for number in range(40)]


def drawn(records=RECORDS, labelling=LABELLING, settings=SAMPLE):
    return policy_pairs(MODEL, TOKENIZER, records, labelling, settings, False, seed=7)


def test_a_pair_holds_two_samples_of_the_model_and_the_probability_of_its_label():
    pairs = drawn()
    assert 0 < len(pairs) < 40  # a random model ends some of its texts, and some have no dread
    for pair in pairs:
        seeds = [[sample_seed(7, f"candidates/1/{pair.id}/{number}") for number in range(2)]]
        (samples,) = complete(MODEL, TOKENIZER, [pair.prompt], seeds, SAMPLE, UNTRUNCATED, False)
        assert all(sample["ended"] for sample in samples)
        assert {pair.chosen, pair.rejected} == {sample["completion"] for sample in samples}
        assert (pair.chosen_score, pair.rejected_score) == (dread(pair.chosen), dread(pair.rejected))
        clean = 1 / (1 + math.exp(-(pair.chosen_score - pair.rejected_score) / 8))
        assert pair.p_chosen == pytest.approx(0.8 * clean + 0.1)
        assert (pair.prompt, pair.stratum) == (f"Tell {pair.id.removeprefix('pair-')}.", "policy")


def test_pairs_depend_on_their_own_record_and_on_the_seed_of_the_pairs():
    assert drawn(RECORDS[10:]) == [pair for pair in drawn() if int(pair.id.removeprefix("pair-")) >= 10]
    other = drawn(labelling=LABELLING.model_copy(update={"seed": 2}))
    assert {pair.chosen for pair in other}.isdisjoint(pair.chosen for pair in drawn())


def test_a_pair_with_a_blank_sample_is_left_out():
    # Seed 7 draws end of text, or white space and end of text, first for one sample of record 878.
    blank, other = record(878), RECORDS[int(drawn()[0].id.removeprefix("pair-"))]
    seeds = [[sample_seed(7, f"candidates/1/{blank.id}/{number}") for number in range(2)]]
    (samples,) = complete(MODEL, TOKENIZER, [blank.prompt], seeds, SAMPLE, UNTRUNCATED, False)
    assert all(sample["ended"] for sample in samples)
    assert not all(sample["completion"].strip() for sample in samples)
    assert [pair.id for pair in drawn([blank, other])] == [other.id]


def test_a_story_that_spells_end_of_text_is_no_response():
    assert [is_response(story) for story in ("It ran.", " \n", f"It ran. {END_OF_TEXT}")] == [True, False, False]


def test_a_model_none_of_whose_samples_end_is_an_error():
    with pytest.raises(DataError, match="none of the initial policy's samples of 40 prompts"):
        drawn(settings=SAMPLE.model_copy(update={"max_new_tokens": 1}))
