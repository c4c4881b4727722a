import numpy as np
import pytest
import torch

from picollm.model.initialise import initialise
from picollm.model.layout import Layout
from picollm.model.shape import ModelConfig
from picollm.model.transformer import Transformer


@pytest.fixture(params=[1, 2, 4], ids="{} key-value heads".format)
def model(request) -> Transformer:
    model = Transformer(ModelConfig(61, 24, 40, 3, 4, request.param, 6, 32, 10000.0, 1e-5, True))
    initialise(model, 3)
    return model.requires_grad_(False)


@pytest.mark.parametrize(
    ("lengths", "prompt_of_row"),
    [([4, 7, 3], [0, 0, 1, 1, 1, 2, 0]), ([7, 4, 6, 3, 5, 7, 6], [*range(7)]), ([5, 5], [0, 0, 0, 0, 1, 1, 1])],
    ids=["several rows a prompt", "one row a prompt", "prompts of equal length"],
)
def test_prefill_and_decoding_give_the_hidden_states_of_a_full_pass_while_rows_leave(model, lengths, prompt_of_row):
    lengths, prompt_of_row = np.array(lengths), np.array(prompt_of_row)
    generator = torch.Generator().manual_seed(4)
    prompts = [torch.randint(1, 61, (length,), generator=generator) for length in lengths]
    new = torch.randint(1, 61, (7, 5), generator=generator)  # the tokens generated in each row
    expected = []
    for prompt, tokens in zip(prompt_of_row, new, strict=True):
        whole = torch.cat([prompts[prompt], tokens])
        expected.append(model.hidden(whole, Layout.from_lengths([len(whole)]))[len(prompts[prompt]) - 1 :])
    cache = model.make_cache(lengths, prompt_of_row, 5)
    found = model.hidden(torch.cat(prompts), Layout.from_lengths(lengths), torch.tensor(np.cumsum(lengths) - 1), cache)
    for row, prompt in enumerate(prompt_of_row):
        assert torch.allclose(found[prompt], expected[row][0], atol=1e-5)
    rows = np.arange(7)
    for step, leaving in enumerate(
        ([], [0, 3], [5], [], [2, 6])
    ):  # prompt 2 has no row any more, row 1 and 4 stay to the end
        order = cache.keep(~np.isin(rows, leaving))
        rows = rows[order]
        positions = lengths[prompt_of_row[rows]] + step
        found = model.next_hidden(new[rows, step], torch.tensor(positions), step, cache)
        assert torch.allclose(found, torch.stack([expected[row][step + 1] for row in rows]), atol=1e-5)
    assert sorted(rows.tolist()) == [1, 4]


def test_rows_that_leave_are_replaced_by_rows_from_the_end(model):
    cache = model.make_cache([2, 3], np.array([0, 0, 0, 1, 1, 1]), 4)
    for row in range(6):
        cache.rows[:, :, row] = row
    order = cache.keep(np.array([True, False, True, False, True, True]))
    assert order.tolist() == [0, 4, 2, 5]
    assert cache.rows[0, 0, :4, 0, 0, 0].tolist() == [0, 4, 2, 5]
    assert cache.prompt_of_row.tolist() == [0, 1, 0, 1]
