import numpy as np
import pytest

from picollm.core.errors import DataError
from picollm.core.files import write_jsonl
from picollm.preference.reference import read_reference
from picollm.records.jsonl import PreferenceRecord

RECORDS = [PreferenceRecord(id, "p", "p", "c", "r", 1.0, 0.0, None, "own") for id in ("a", "b", "c")]
ROWS = [
    {"id": "a", "chosen_logps": -1.5, "rejected_logps": -2.5},
    {"id": "b", "chosen_logps": -3.25, "rejected_logps": -4},
    {"id": "c", "chosen_logps": -5.0, "rejected_logps": -6.0},
]


@pytest.fixture
def reference_file(tmp_path):
    def write(rows):
        write_jsonl(tmp_path / "reference.jsonl", rows)
        return tmp_path / "reference.jsonl"

    return write


def test_reference_logps_are_read_as_they_were_written(reference_file):
    logps = read_reference(reference_file(ROWS), RECORDS)
    assert logps.dtype == np.float64
    assert logps.tolist() == [[-1.5, -2.5], [-3.25, -4.0], [-5.0, -6.0]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROWS[0], ROWS[2], ROWS[1]], r"reference\.jsonl:2: id 'c', expected 'b'"),
        ([{**ROWS[0], "id": "z"}, *ROWS[1:]], r"reference\.jsonl:1: id 'z', expected 'a'"),
        ([{"chosen_logps": -1.0, "rejected_logps": -1.0}], r"reference\.jsonl:1: id None, expected 'a'"),
        (ROWS[:2], r"reference\.jsonl: 2 rows, expected 3"),
        ([], r"reference\.jsonl: 0 rows, expected 3"),
        ([*ROWS, ROWS[0]], r"reference\.jsonl:4: more rows than there are pairs \(3\)"),
    ],
)
def test_a_reference_of_other_pairs_is_refused(reference_file, rows, message):
    with pytest.raises(DataError, match=message):
        read_reference(reference_file(rows), RECORDS)


def test_a_missing_reference_is_named(tmp_path):
    with pytest.raises(DataError, match=r"reference\.jsonl"):
        read_reference(tmp_path / "reference.jsonl", RECORDS)
