import numpy as np
import pytest
import torch

from picollm.inference.generate import generate, sample_tokens
from tests.tiny import VOCABULARY, greedy, sequences, tiny_model

PROMPTS = [ids.tolist() for ids in sequences(5, seed=3, shortest=2, longest=9)]


def run(model, prompts, seeds, temperature=1.0, top_p=0.9, stop_ids=(0,), batch_size=8, new=8):
    return generate(model, prompts, seeds, new, temperature, top_p, stop_ids, batch_size)


def one_each(model, prompts, seeds, **settings):
    return [completion for (completion,) in run(model, prompts, [[seed] for seed in seeds], **settings)]


def test_greedy_completions_equal_those_of_full_passes():
    model = tiny_model(seed=5)
    for prompt, completion in zip(PROMPTS, one_each(model, PROMPTS, range(5), temperature=0.0), strict=True):
        ids, ended = greedy(model, prompt, 8, 0)
        assert (completion.ids, completion.ended) == (ids, ended)


def test_a_sample_depends_on_its_own_seed_and_not_on_its_batch():
    model = tiny_model(seed=1)
    seeds = [[7, 8, 9], [10], [11, 12], [], [13, 14, 15, 16]]
    together = run(model, PROMPTS, seeds)
    assert [len(completions) for completions in together] == [3, 1, 2, 0, 4]
    for prompt, of_prompt, completions in zip(PROMPTS, seeds, together, strict=True):
        assert completions == [one_each(model, [prompt], [seed])[0] for seed in of_prompt]
    for size in (1, 2, 3, 100):
        assert run(model, PROMPTS, seeds, batch_size=size) == together
    assert run(model, PROMPTS, [[seed + 100 for seed in of_prompt] for of_prompt in seeds]) != together


def test_completions_of_one_prompt_differ_in_length_and_end_where_their_own_token_ends():
    model = tiny_model(seed=1)
    (completions,) = run(model, PROMPTS[:1], [range(200)], batch_size=50, new=20)
    assert len({len(completion.ids) for completion in completions}) > 10
    assert {completion.ended for completion in completions} == {True, False}
    assert all(completion.ended == (len(completion.ids) < 20) for completion in completions)
    assert not any(0 in completion.ids for completion in completions)


def test_a_completion_stops_at_the_first_of_the_stop_tokens_and_keeps_it_apart():
    model = tiny_model()
    first = one_each(model, PROMPTS, range(5), temperature=0.0)
    stop_ids = [first[0].ids[2], first[1].ids[1]]
    cut = one_each(model, PROMPTS, range(5), temperature=0.0, stop_ids=stop_ids)
    assert {tuple(short.end) for short in cut} >= {(token,) for token in stop_ids}
    for whole, short in zip(first, cut, strict=True):
        places = [place for place, token in enumerate(whole.ids) if token in stop_ids]
        end = places[0] if places else len(whole.ids)
        assert short.ids == whole.ids[:end]
        assert short.end == (whole.ids[end : end + 1] or whole.end)
        assert short.ended == bool(short.end)


def test_sampling_frequencies_follow_the_softmax():
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(10_000, 3)
    uniforms = (torch.arange(10_000) + 0.5) / 10_000
    counts = np.bincount(sample_tokens(logits, uniforms, 1.0, 1.0).numpy(), minlength=3)
    assert counts.tolist() == [5000, 3000, 2000]


def test_a_temperature_of_one_half_squares_the_probabilities():
    logits = torch.tensor([0.75, 0.25]).log().expand(1000, 2)
    uniforms = (torch.arange(1000) + 0.5) / 1000
    # 0.75^2 : 0.25^2 = 9 : 1
    assert (sample_tokens(logits, uniforms, 0.5, 1.0) == 0).sum().item() == 900


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    logits = torch.tensor([0.2, 0.5, 0.3]).log().expand(1000, 3)
    uniforms = (torch.arange(1000) + 0.5) / 1000
    # 0.5 alone does not reach 0.6, 0.5 + 0.3 does: token 0 is out, the others keep the ratio 5 : 3.
    counts = np.bincount(sample_tokens(logits, uniforms, 1.0, 0.6).numpy(), minlength=3)
    assert counts.tolist() == [0, 625, 375]


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_the_ends_of_the_unit_interval_give_a_token_of_the_nucleus(uniform):
    logits = torch.randn(4, VOCABULARY, generator=torch.Generator().manual_seed(0))
    top = logits.argmax(dim=-1)
    assert sample_tokens(logits, torch.full((4,), uniform), 1.0, 1e-6).tolist() == top.tolist()


def test_a_nucleus_larger_than_the_candidates_is_found_from_the_whole_vocabulary():
    weights = torch.rand(3, 199, generator=torch.Generator().manual_seed(1)) + 0.5
    weights = torch.cat([weights, torch.full((3, 1), 1e-4)], dim=1)
    weights[1, 7] = 1e6  # one peaked row between two flat ones
    uniforms = ((torch.arange(4000) + 0.5) / 4000).repeat_interleave(3)
    sampled = sample_tokens(weights.log().repeat(4000, 1), uniforms, 1.0, 0.9).view(4000, 3)
    for row, probabilities in enumerate((weights / weights.sum(dim=1, keepdim=True)).numpy()):
        descending = np.sort(probabilities)[::-1]
        kept = int((np.cumsum(descending) < 0.9).sum()) + 1
        assert kept == 1 if row == 1 else kept > 64
        assert sampled[:, row].unique().tolist() == np.flatnonzero(probabilities >= descending[kept - 1]).tolist()
