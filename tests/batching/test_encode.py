import numpy as np
import pytest

from picollm.batching.encode import encode, encode_pairs, encode_sft
from picollm.core.errors import DataError
from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.text.tokenizer import load_tokenizer, train_bpe
from tests.llama_tokenizer import save_llama_tokenizer


@pytest.fixture(scope="module")
def letters():
    """A tokenizer whose tokens are single bytes: token 1 + rank of the byte; 0 is bos and eos at once."""
    return train_bpe(iter(["ab"]), 257)


def ids(tokenizer, text):
    return tokenizer.encode(text)


def sft(prompt, response):
    return SFTRecord("row-7", prompt, prompt, response)


def pair(prompt, chosen, rejected):
    return PreferenceRecord("pair-3", prompt, prompt, chosen, rejected, 1.0, 0.0, None, "own")


def one_sft(*arguments):
    """Sequence and prompt length of the one row."""
    rows = encode_sft(*arguments)
    ((sequence,), (length,)) = rows.sequences, rows.prompt_lengths
    return sequence, length


def one_pair(*arguments):
    """Prompt, chosen and rejected of the one pair."""
    rows = encode_pairs(*arguments)
    return rows.prompts[0], rows.chosen[0], rows.rejected[0]


def test_a_row_is_bos_prompt_response_eos(letters):
    sequence, prompt_length = one_sft([sft("ab", "cd")], letters, 10, False)
    assert sequence.tolist() == [letters.bos_id, *ids(letters, "abcd"), letters.eos_id]
    assert prompt_length == 3


def test_prompt_and_responses_spell_the_texts_as_written_with_a_tokenizer_that_puts_a_space_in_front(tmp_path):
    llama = load_tokenizer(save_llama_tokenizer(tmp_path))
    sequence, prompt_length = one_sft([sft("ab", "ab a")], llama, 10, False)
    assert sequence.tolist() == [1, 263, 260, 261, 262, 2]  # <s> ▁ab a b ▁a </s>
    assert prompt_length == 2
    assert llama.decode(sequence) == "abab a"
    prompt, chosen, rejected = one_pair([pair("ab", " ab", "b")], llama, 10, False)
    assert (prompt.tolist(), chosen.tolist(), rejected.tolist()) == ([1, 263], [263, 2], [261, 2])


def test_both_responses_of_a_pair_share_the_prompt(letters):
    prompt, chosen, rejected = one_pair([pair("ab", "c", "def")], letters, 10, False)
    assert prompt.tolist() == [0, *ids(letters, "ab")]
    assert chosen.tolist() == [*ids(letters, "c"), 0]
    assert rejected.tolist() == [*ids(letters, "def"), 0]


def test_a_row_that_does_not_fit_is_an_error_that_names_it(letters):
    encode_sft([sft("abcd", "ef")], letters, 8, False)  # bos + 4 + 2 + eos
    with pytest.raises(DataError, match="row-7: prompt and response have 8 tokens; expected at most 7"):
        encode_sft([sft("abcd", "ef")], letters, 7, False)
    with pytest.raises(DataError, match="pair-3: prompt and response have 9 tokens"):
        encode_pairs([pair("abcd", "ef", "efg")], letters, 8, False)


def test_truncation_cuts_the_prompt_from_the_left_by_the_pairs_longer_response(letters):
    prompt, chosen, rejected = one_pair([pair("abcd", "ef", "efg")], letters, 7, True)
    # The longer response takes 3 + eos of 7 tokens: bos and two prompt tokens remain, for both.
    assert prompt.tolist() == [0, *ids(letters, "cd")]
    assert rejected.tolist() == [*ids(letters, "efg"), 0]
    assert chosen.tolist() == [*ids(letters, "ef"), 0]


def test_a_response_longer_than_the_context_is_cut_from_the_right_and_keeps_bos(letters):
    sequence, length = one_sft([sft("ab", "cdefgh")], letters, 5, True)
    assert sequence.tolist() == [0, *ids(letters, "cdef")]
    assert length == 1


def test_rows_that_are_too_long_are_counted_and_the_first_is_named_by_its_origin(letters):
    records = [sft("a", "b"), SFTRecord("row-8", "abcd", "abcd", "ef", "data/raw/sft.jsonl:12"), sft("abc", "defgh")]
    with pytest.raises(
        DataError, match=r"data/raw/sft\.jsonl:12: .* have 8 .* \(2 of 3 rows .*, the longest has 10 tokens\)"
    ):
        encode_sft(records, letters, 7, False)


def test_what_truncation_costs_is_counted(letters):
    whole = encode([pair("abcd", "ef", "efg"), pair("a", "b" * 9, "c"), pair("a", "b", "c")], letters)
    assert whole.fit(7, True).truncation_counts(whole) == {
        "rows": 3,
        "tokens_max": 12,
        "truncated_prompts": 2,
        "truncated_responses": 1,
    }


def test_a_pair_that_differs_only_beyond_the_context_is_refused(letters):
    records = [pair("a", "b", "c"), pair("a", "b" * 9 + "c", "b" * 9 + "d")]
    with pytest.raises(
        DataError, match=r"pair-3: chosen and rejected are equal once truncated to .* of 7 tokens \(1 of 2 pairs"
    ):
        encode_pairs(records, letters, 7, True)
    encode_pairs(records, letters, 12, True)


def test_reference_logps_stay_with_their_pairs(letters):
    logps = np.array([[-1.0, -2.0]])
    assert encode_pairs([pair("a", "b", "c")], letters, 9, False, logps).reference_logps is logps
