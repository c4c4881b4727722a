import pytest
import torch

from picollm.inference.sampling import complete, sample_rows, sample_seed
from picollm.inference.settings import Sample
from picollm.text.tokenizer import load_tokenizer, train_bpe
from tests.llama_tokenizer import save_llama_tokenizer
from tests.tiny import greedy, tiny_model

CONTEXT = 24


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(iter(["the cat sat on the mat", "a bat and a hat"]), 270)


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model(vocab_size=tokenizer.vocab_size)


def settings(**changes):
    values = {"prompts": 2, "max_new_tokens": 10, "batch_size": 3, "temperature": 1.0, "top_p": 1.0}
    return Sample(**{**values, **changes})


def rows(*ids):
    """Rows whose id names the split: test-0 and so on."""
    return [{"id": id, "split": id.split("-")[0], "prompt": f"a cat {id[-1]}"} for id in ids]


def test_a_seed_is_the_beginning_of_the_hash_of_run_and_name():
    # printf '1/test-0' | sha256sum | cut -c1-14, read as a hexadecimal number
    assert sample_seed(1, "test-0") == 6932292990945168
    assert len({sample_seed(seed, f"test-{number}") for seed in range(5) for number in range(20)}) == 100


def test_greedy_completions_are_those_of_a_plain_loop(model, tokenizer):
    prompts = ["the cat", "a", "a bat and"]
    completions = complete(model, tokenizer, prompts, [1, 2, 3], settings(temperature=0.0, batch_size=2), True)
    for prompt, completion in zip(prompts, completions, strict=True):
        ids = [tokenizer.bos_id, *tokenizer.encode(prompt)]
        made, ended = greedy(model, ids, 10, tokenizer.eos_id)
        assert completion == {
            "completion": tokenizer.decode(made),
            "ended": ended,
            "prompt_ids": ids,
            "completion_ids": made,
        }


def test_prompt_and_completion_are_the_text_of_all_ids_with_a_tokenizer_that_puts_a_space_in_front(tmp_path):
    llama = load_tokenizer(save_llama_tokenizer(tmp_path))
    model = tiny_model(vocab_size=llama.vocab_size, tie_word_embeddings=False)
    torch.nn.init.zeros_(model.lm_head.weight)  # all tokens are equally likely: some samples begin with a space
    prompts = ["ab", ""] * 300
    samples = complete(model, llama, prompts, range(600), settings(batch_size=600, max_new_tokens=2), True)
    for prompt, sample in zip(prompts, samples, strict=True):
        assert prompt + sample["completion"] == llama.decode(sample["prompt_ids"] + sample["completion_ids"])
    assert any(sample["completion"].startswith(" ") for sample in samples[::2])


def test_a_completion_ends_before_the_end_of_text(model, tokenizer):
    # Of enough random completions some end: each token is the end of text with a chance of about 1 in 270.
    completions = complete(model, tokenizer, ["a"] * 200, range(200), settings(batch_size=200), True)
    assert {completion["ended"] for completion in completions} == {True, False}
    for completion in completions:
        assert tokenizer.eos_id not in completion["completion_ids"]
        assert completion["ended"] == (len(completion["completion_ids"]) < 10)


def test_a_sample_depends_on_its_own_seed_and_not_on_its_batch(model, tokenizer):
    prompts, seeds = ["the cat", "a", "a bat and", "the", "on the mat"], [11, 12, 13, 14, 15]
    together = complete(model, tokenizer, prompts, seeds, settings(batch_size=5), True)
    assert together == complete(model, tokenizer, prompts, seeds, settings(batch_size=2), True)
    for prompt, seed, sample in zip(prompts, seeds, together, strict=True):
        assert [sample] == complete(model, tokenizer, [prompt], [seed], settings(batch_size=1), True)
    assert together != complete(model, tokenizer, prompts, [21, 22, 23, 24, 25], settings(batch_size=5), True)


def test_a_long_prompt_is_cut_from_the_left_and_keeps_its_beginning_of_text(model, tokenizer):
    text = "the cat sat on the mat and a bat sat on a hat and on the cat"
    ids = tokenizer.encode(text)
    completion = complete(model, tokenizer, [text], [1], settings(max_new_tokens=10), True)[0]
    room = CONTEXT - 10
    assert len(ids) > room
    assert completion["prompt_ids"] == [tokenizer.bos_id, *ids[-(room - 1) :]]


@pytest.mark.parametrize("asked", [CONTEXT - 1, CONTEXT, 500])
def test_a_completion_never_outgrows_the_context(model, tokenizer, asked):
    completions = complete(model, tokenizer, ["the cat"] * 20, range(20), settings(max_new_tokens=asked), True)
    lengths = {len(row["prompt_ids"]) + len(row["completion_ids"]) for row in completions}
    assert max(lengths) == CONTEXT


def test_the_first_prompts_of_each_split_are_completed_in_their_order(model, tokenizer):
    given = rows("test-0", "unseen-0", "test-1", "test-2", "unseen-1", "unseen-2")
    made = sample_rows(model, tokenizer, given, settings(prompts=2), False, seed=1)
    assert [row["id"] for row in made] == ["test-0", "unseen-0", "test-1", "unseen-1"]
    assert list(made[0]) == ["id", "split", "prompt", "completion", "ended", "prompt_ids", "completion_ids"]
    assert [row["prompt"] for row in made] == ["a cat 0", "a cat 0", "a cat 1", "a cat 1"]


def test_a_split_with_fewer_prompts_gives_all_it_has(model, tokenizer):
    assert len(sample_rows(model, tokenizer, rows("test-0", "test-1"), settings(prompts=9), False, seed=1)) == 2


def test_a_completion_depends_on_the_id_of_its_row_and_not_on_the_other_rows(model, tokenizer):
    many = sample_rows(model, tokenizer, rows("test-0", "test-1", "unseen-0"), settings(), False, seed=7)
    assert sample_rows(model, tokenizer, rows("test-1"), settings(), False, seed=7) == [many[1]]
    own = complete(model, tokenizer, ["a cat 1"], [sample_seed(7, "test-1")], settings(), True)[0]
    assert many[1]["completion_ids"] == own["completion_ids"]
    # Equal prompts of two names, and one name under two run seeds, are other samples.
    assert many[0]["prompt"] == many[2]["prompt"] and many[0]["completion"] != many[2]["completion"]
    assert sample_rows(model, tokenizer, rows("test-1"), settings(), False, seed=8) != [many[1]]
