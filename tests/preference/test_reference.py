import numpy as np
import pytest

from picollm.core.errors import DataError
from picollm.core.files import write_jsonl
from picollm.preference.reference import read_reference

ROWS = [
    {"id": "a", "chosen_logps": -1.5, "rejected_logps": -2.5},
    {"id": "b", "chosen_logps": -3.25, "rejected_logps": -4},
    {"id": "c", "chosen_logps": -5.0, "rejected_logps": -6.0},
]


def test_reference_logps_are_read_as_they_were_written(tmp_path):
    write_jsonl(tmp_path / "reference.jsonl", ROWS)
    logps = read_reference(tmp_path / "reference.jsonl", ["a", "b", "c"])
    assert logps.dtype == np.float64
    assert logps.tolist() == [[-1.5, -2.5], [-3.25, -4.0], [-5.0, -6.0]]


@pytest.mark.parametrize(
    "rows", [[ROWS[0], ROWS[2], ROWS[1]], [{**ROWS[0], "id": "z"}, *ROWS[1:]], ROWS[:2], [], [*ROWS, ROWS[0]]]
)
def test_a_reference_of_other_pairs_is_refused(tmp_path, rows):
    write_jsonl(tmp_path / "reference.jsonl", rows)
    with pytest.raises(DataError, match=r"reference\.jsonl: not the log-probs of these 3 pairs"):
        read_reference(tmp_path / "reference.jsonl", ["a", "b", "c"])
