import numpy as np
import pytest

from picollm.batching.rows import DocumentRows, PairRows, ResponseRows
from picollm.text.tokens import Tokens, offsets_path


@pytest.fixture
def tokens(tmp_path):
    """Documents of 4, 9 and 2 tokens: 0..3, 4..12, 13..14."""
    np.save(tmp_path / "t.npy", np.arange(15, dtype=np.uint16))
    np.save(offsets_path(tmp_path / "t.npy"), np.array([0, 4, 13, 15]))
    return Tokens(tmp_path / "t.npy")


def test_each_document_is_a_row_where_it_fits(tokens):
    rows = DocumentRows(tokens, context=9)
    assert rows.lengths.tolist() == [4, 9, 2]
    batch = rows.batch(np.array([2, 0]))
    assert batch.input_ids.tolist() == [13, 14, 0, 1, 2, 3]
    assert batch.targets.tolist() == [14, 1, 2, 3]
    assert batch.sequence_ids.tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("context", [2, 3, 4, 5, 8])
def test_every_token_but_a_documents_first_is_a_target_exactly_once(tokens, context):
    rows = DocumentRows(tokens, context)
    assert rows.lengths.max() <= context
    batch = rows.batch(np.arange(len(rows.lengths)))
    assert sorted(batch.targets.tolist()) == [token for token in range(15) if token not in (0, 4, 13)]


def test_the_prompt_of_a_response_row_bears_no_loss():
    rows = ResponseRows([np.array([0, 5, 6, 7, 0])], [3])
    batch = rows.batch(np.array([0]))
    assert batch.targets.tolist() == [7, 0]


def test_pair_rows_stack_chosen_above_rejected_with_the_reference_in_the_same_order():
    prompts = [np.array([1, 2]), np.array([4])]
    chosen, rejected = [np.array([3]), np.array([5])], [np.array([6, 7]), np.array([8])]
    rows = PairRows(prompts, chosen, rejected, np.array([[-1.0, -2.0], [-3.0, -4.0]]))
    assert rows.lengths.tolist() == [4, 2]
    batch = rows.batch(np.array([1, 0]))
    assert batch.input_ids.tolist() == [4, 5, 8, 1, 2, 3, 6, 7]
    assert batch.targets.tolist() == [5, 3, 8, 6, 7]
    assert batch.sequence_ids.tolist() == [0, 1, 2, 3, 3]
    assert batch.reference_logps.tolist() == [-3.0, -1.0, -4.0, -2.0]
