import numpy as np
import torch

from picollm.batching.batch import micro_batches, micro_batches_of_rank, pack, pack_pairs, step_rows


def test_sequences_are_packed_and_prompts_are_not_targets():
    batch = pack([np.array([5, 6, 7, 8]), np.array([5, 9])], [2, 1])
    assert batch.input_ids.tolist() == [5, 6, 7, 8, 5, 9]
    assert batch.layout.positions.tolist() == [0, 1, 2, 3, 0, 1]
    # Tokens 1, 2 and 4 predict 7, 8 (sequence 0) and 9 (sequence 1).
    assert batch.predictors.tolist() == [1, 2, 4]
    assert batch.targets.tolist() == [7, 8, 9]
    assert batch.sequence_ids.tolist() == [0, 0, 1]
    assert batch.size == 2
    assert batch.reference_logps is None


def test_a_pairs_prompt_is_packed_once_and_predicts_the_first_token_of_both_responses():
    batch = pack_pairs([np.array([1, 2])], [np.array([3, 4])], [np.array([6])], np.array([-1.5, -2.5]))
    assert batch.input_ids.tolist() == [1, 2, 3, 4, 6]
    assert batch.layout.positions.tolist() == [0, 1, 2, 3, 2]
    assert batch.layout.to_padded.tolist() == [0, 1, 2, 3, 0, 1, 4]
    assert batch.layout.shapes == ((1, 4), (1, 3))
    # The last token of the prompt, the first chosen token, the last token of the prompt again.
    assert batch.predictors.tolist() == [1, 2, 1]
    assert batch.targets.tolist() == [3, 4, 6]
    assert batch.sequence_ids.tolist() == [0, 0, 1]
    assert batch.reference_logps.tolist() == [-1.5, -2.5]


def test_every_epoch_has_every_row_once_even_across_steps():
    order = np.concatenate([step_rows(10, 4, seed=(7,), step=step) for step in range(5)])
    assert sorted(order[:10]) == list(range(10))
    assert sorted(order[10:20]) == list(range(10))
    assert order[:10].tolist() != order[10:].tolist()


def test_the_rows_of_a_step_depend_on_seed_and_step_alone():
    expected = step_rows(10, 4, seed=(7,), step=3).tolist()
    step_rows(10, 4, seed=(8,), step=0)
    assert step_rows(10, 4, seed=(7,), step=3).tolist() == expected
    assert step_rows(10, 4, seed=(8,), step=3).tolist() != expected


def test_a_batch_larger_than_the_data_continues_with_the_next_epoch():
    rows = step_rows(3, 8, seed=(0,), step=0)
    assert sorted(rows[:3]) == sorted(rows[3:6]) == [0, 1, 2]


def test_micro_batches_have_each_row_once_and_group_similar_lengths():
    lengths = np.array([3, 9, 4, 8, 1])
    groups = micro_batches(np.array([4, 0, 1, 2, 3]), lengths, 2)
    assert [lengths[group].tolist() for group in groups] == [[9, 8], [4, 3], [1]]


def test_to_moves_every_tensor_of_a_batch():
    batch = pack_pairs([np.array([1])], [np.array([2])], [np.array([3])], np.array([-1.5, 0.0])).to(
        torch.device("meta")
    )
    tensors = [
        batch.input_ids,
        batch.predictors,
        batch.targets,
        batch.sequence_ids,
        batch.reference_logps,
        batch.layout.positions,
        batch.layout.rows,
        batch.layout.to_padded,
        batch.layout.to_packed,
    ]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert batch.size == 2


def test_one_process_gets_all_micro_batches():
    rows, lengths = np.array([3, 0, 2, 1]), np.array([5, 9, 7, 6])
    shares = micro_batches_of_rank(rows, lengths, 3, rank=0, world_size=1)
    assert [(micro.tolist(), counts) for micro, counts in shares] == [([1, 2, 3], True), ([0], True)]


def test_ranks_have_every_row_once_and_equally_many_micro_batches():
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 50, 40)
    for batch, size, processes in [(7, 3, 2), (1, 4, 3), (16, 4, 4), (9, 2, 5), (8, 8, 3)]:
        rows = rng.choice(40, batch, replace=False)
        shares = [micro_batches_of_rank(rows, lengths, size, rank, processes) for rank in range(processes)]
        assert len({len(micros) for micros in shares}) == 1
        counted = [row for micros in shares for micro, counts in micros if counts for row in micro]
        assert sorted(counted) == sorted(rows)
        assert all(1 <= len(micro) <= size for micros in shares for micro, _ in micros)


def test_rows_are_dealt_to_ranks_longest_first_so_that_they_have_about_the_same_work():
    lengths = np.arange(1, 9)
    first, second = (micro_batches_of_rank(np.arange(8), lengths, 8, rank, 2) for rank in (0, 1))
    assert lengths[first[0][0]].tolist() == [8, 6, 4, 2]
    assert lengths[second[0][0]].tolist() == [7, 5, 3, 1]
