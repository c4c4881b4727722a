import pytest

from picollm.core.errors import DataError
from picollm.text.prompts import encode_prompts, prompt_ids
from picollm.text.tokenizer import train_bpe


@pytest.fixture(scope="module")
def letters():
    """A tokenizer whose tokens are single bytes; 0 is bos."""
    return train_bpe(iter(["ab"]), 257)


def test_prompts_leave_room_and_keep_their_end(letters):
    abcd = letters.encode("abcd")
    assert encode_prompts(["abcd", "a"], letters, 10, 7, True) == [[0, *abcd[2:]], [0, *abcd[:1]]]
    assert encode_prompts(["abcd"], letters, 10, 9, True) == [[0]]
    assert encode_prompts(["abcd"], letters, 10, 99, True) == [[0]]


def test_a_tokenizer_without_bos_puts_nothing_in_front(letters):
    abcd = letters.encode("abcd")
    assert [prompt_ids(abcd, [], room) for room in (9, 4, 2, 1, 0)] == [abcd, abcd, abcd[2:], abcd[3:], abcd[3:]]


def test_a_prompt_that_leaves_no_room_is_an_error_that_names_the_parameter(letters):
    assert encode_prompts(["abcd"], letters, 10, 5, False) == [[0, *letters.encode("abcd")]]
    message = r"row-7: a prompt of 5 tokens and sample.max_new_tokens: 6 exceed .* context of 10 \(2 of 3 .* takes 6\)"
    with pytest.raises(DataError, match=message):
        encode_prompts(["a", "abcd", "abcde"], letters, 10, 6, False, ["row-6", "row-7", "row-8"])
