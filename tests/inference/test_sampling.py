import pytest
import torch

from picollm.inference.sampling import UNTRUNCATED, complete, sample_rows, sample_seed
from picollm.inference.settings import Reader, Sample
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
    values = {
        "prompts": 2,
        "base_samples": 1,
        "sft_samples": 10,
        "dpo_samples": 3,
        "max_new_tokens": 10,
        "batch_size": 3,
    }
    return Sample(**{**values, **changes})


GREEDY = Reader(temperature=0.0, top_p=1.0)


def one_each(model, tokenizer, prompts, seeds, settings, decoding=UNTRUNCATED):
    made = complete(model, tokenizer, prompts, [[seed] for seed in seeds], settings, decoding, True)
    return [completion for (completion,) in made]


def rows(*ids):
    """Rows whose id names the split: test-0 and so on."""
    return [{"id": id, "split": id.split("-")[0], "prompt": f"a cat {id[-1]}"} for id in ids]


def test_a_seed_is_the_beginning_of_the_hash_of_run_and_name():
    # printf '1/test-0' | sha256sum | cut -c1-14, read as a hexadecimal number
    assert sample_seed(1, "test-0") == 6932292990945168
    assert len({sample_seed(seed, f"test-{number}") for seed in range(5) for number in range(20)}) == 100


def test_greedy_completions_are_those_of_a_plain_loop(model, tokenizer):
    prompts = ["the cat", "a", "a bat and"]
    completions = one_each(model, tokenizer, prompts, [1, 2, 3], settings(batch_size=2), GREEDY)
    for prompt, completion in zip(prompts, completions, strict=True):
        ids = [tokenizer.bos_id, *tokenizer.encode(prompt)]
        made, ended = greedy(model, ids, 10, tokenizer.eos_id)
        assert completion == {
            "completion": tokenizer.decode(made),
            "ended": ended,
            "prompt_ids": ids,
            "completion_ids": made,
            "end_ids": [tokenizer.eos_id] * ended,
        }


def test_prompt_and_completion_are_the_text_of_all_ids_with_a_tokenizer_that_puts_a_space_in_front(tmp_path):
    llama = load_tokenizer(save_llama_tokenizer(tmp_path))
    model = tiny_model(vocab_size=llama.vocab_size, tie_word_embeddings=False)
    torch.nn.init.zeros_(model.lm_head.weight)  # all tokens are equally likely: some samples begin with a space
    prompts = ["ab", ""] * 300
    samples = one_each(model, llama, prompts, range(600), settings(batch_size=600, max_new_tokens=2))
    for prompt, sample in zip(prompts, samples, strict=True):
        assert prompt + sample["completion"] == llama.decode(sample["prompt_ids"] + sample["completion_ids"])
    assert any(sample["completion"].startswith(" ") for sample in samples[::2])


def test_a_completion_ends_before_the_end_of_text(model, tokenizer):
    # Of enough random completions some end: each token is the end of text with a chance of about 1 in 270.
    (completions,) = complete(model, tokenizer, ["a"], [range(200)], settings(batch_size=200), UNTRUNCATED, True)
    assert {completion["ended"] for completion in completions} == {True, False}
    for completion in completions:
        assert tokenizer.eos_id not in completion["completion_ids"]
        assert completion["ended"] == (len(completion["completion_ids"]) < 10)


def test_a_sample_depends_on_its_own_seed_and_not_on_its_batch(model, tokenizer):
    prompts, seeds = ["the cat", "a", "a bat and", "the", "on the mat"], [11, 12, 13, 14, 15]
    together = one_each(model, tokenizer, prompts, seeds, settings(batch_size=5))
    assert together == one_each(model, tokenizer, prompts, seeds, settings(batch_size=2))
    for prompt, seed, sample in zip(prompts, seeds, together, strict=True):
        assert [sample] == one_each(model, tokenizer, [prompt], [seed], settings(batch_size=1))
    assert together != one_each(model, tokenizer, prompts, [21, 22, 23, 24, 25], settings(batch_size=5))


def test_a_long_prompt_is_cut_from_the_left_and_keeps_its_beginning_of_text(model, tokenizer):
    text = "the cat sat on the mat and a bat sat on a hat and on the cat"
    ids = tokenizer.encode(text)
    (completion,) = one_each(model, tokenizer, [text], [1], settings(max_new_tokens=10))
    room = CONTEXT - 10
    assert len(ids) > room
    assert completion["prompt_ids"] == [tokenizer.bos_id, *ids[-(room - 1) :]]


@pytest.mark.parametrize("asked", [CONTEXT - 1, CONTEXT, 500])
def test_a_completion_never_outgrows_the_context(model, tokenizer, asked):
    completions = one_each(model, tokenizer, ["the cat"] * 20, range(20), settings(max_new_tokens=asked))
    lengths = {len(row["prompt_ids"]) + len(row["completion_ids"]) for row in completions}
    assert max(lengths) == CONTEXT


READER = Reader(temperature=0.5, top_p=0.8)


def sampled(model, tokenizer, given, name="dpo", seed=1, reader=READER, **changes):
    return sample_rows(model, tokenizer, given, name, settings(**changes), reader, False, seed)


def test_test_prompts_get_several_samples_unseen_ones_one_and_all_one_as_a_reader_draws_it(model, tokenizer):
    given = rows("test-0", "unseen-0", "test-1", "test-2", "unseen-1", "unseen-2")
    made = sampled(model, tokenizer, given, prompts=2)
    exact = [("test-0", 0), ("test-0", 1), ("test-0", 2), ("test-1", 0), ("test-1", 1), ("test-1", 2)]
    exact += [("unseen-0", 0), ("unseen-1", 0)]
    assert [(row["id"], row["number"]) for row in made if not row["reader"]] == exact
    assert [row["id"] for row in made if row["reader"]] == ["test-0", "test-1", "unseen-0", "unseen-1"]
    expected = [
        "id",
        "split",
        "prompt",
        "reader",
        "number",
        "completion",
        "ended",
        "prompt_ids",
        "completion_ids",
        "end_ids",
    ]
    assert list(made[0]) == expected
    assert {row["prompt"] for row in made if row["id"] == "test-1"} == {"a cat 1"}
    for name, count in (("base", 1), ("sft", 10)):
        assert len([row for row in sampled(model, tokenizer, rows("test-0"), name) if not row["reader"]]) == count


def test_a_split_with_fewer_prompts_gives_all_it_has(model, tokenizer):
    made = sampled(model, tokenizer, rows("test-0", "test-1"), prompts=9)
    assert {row["id"] for row in made} == {"test-0", "test-1"}


def test_a_sample_depends_on_its_model_id_number_and_seed_and_not_on_the_other_rows(model, tokenizer):
    many = sampled(model, tokenizer, rows("test-0", "test-1", "unseen-0"), seed=7)
    assert sampled(model, tokenizer, rows("test-1"), seed=7) == [row for row in many if row["id"] == "test-1"]
    (own,) = one_each(model, tokenizer, ["a cat 1"], [sample_seed(7, "dpo/test-1/2")], settings())
    (found,) = [row for row in many if (row["id"], row["number"]) == ("test-1", 2)]
    assert found["completion_ids"] == own["completion_ids"]
    texts = [row["completion"] for row in sampled(model, tokenizer, rows("test-1"), seed=7)]
    assert len(set(texts)) == len(texts)
    assert (
        texts != [row["completion"] for row in sampled(model, tokenizer, rows("test-1"), "sft", seed=7)][: len(texts)]
    )
    assert texts != [row["completion"] for row in sampled(model, tokenizer, rows("test-1"), seed=8)]


def test_only_the_readers_samples_depend_on_the_readers_settings(model, tokenizer):
    narrow, wide = (sampled(model, tokenizer, rows("test-0"), reader=reader) for reader in (GREEDY, UNTRUNCATED))
    assert [row for row in narrow if not row["reader"]] == [row for row in wide if not row["reader"]]
    assert wide[-1]["completion_ids"] != wide[0]["completion_ids"]  # it has a seed of its own
    made, _ = greedy(model, narrow[-1]["prompt_ids"], 10, tokenizer.eos_id)
    assert narrow[-1]["completion_ids"] == made != wide[-1]["completion_ids"]
