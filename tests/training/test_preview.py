import pytest

from picollm.text.tokenizer import train_bpe
from picollm.training.preview import PREVIEW_TOKENS, preview
from tests.tiny import greedy, tiny_model

CONTEXT = 24


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(iter(["the cat sat on the mat", "a bat and a hat"]), 270)


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model(vocab_size=tokenizer.vocab_size)


def test_a_preview_is_the_greedy_beginning_on_one_line(tokenizer):
    roomy = tiny_model(vocab_size=tokenizer.vocab_size, max_position_embeddings=128)
    made, _ = greedy(roomy, [tokenizer.bos_id, *tokenizer.encode("the cat")], PREVIEW_TOKENS, tokenizer.eos_id)
    text = preview(roomy, tokenizer, "the cat")
    assert text == " ".join(tokenizer.decode(made).split())
    assert "\n" not in text


def test_a_preview_fits_a_context_shorter_than_itself(model, tokenizer):
    assert CONTEXT < PREVIEW_TOKENS
    made, _ = greedy(model, [tokenizer.bos_id], CONTEXT - 1, tokenizer.eos_id)
    assert preview(model, tokenizer, "the cat sat on the mat") == " ".join(tokenizer.decode(made).split())
