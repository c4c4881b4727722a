import numpy as np
import pytest

from picollm.core.errors import DataError, TrainingError
from picollm.core.files import write_jsonl
from picollm.logprobs.rows import pair_logps
from picollm.preference.reference import check_reference, read_reference
from tests.tiny import pair_rows, preference_run, tiny_model

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


@pytest.mark.parametrize(
    ("precision", "settings"),
    [
        ("float32", {"label_smoothing": 0.2, "sft_weight": 1.0}),
        ("float32", {"loss": "simpo", "simpo_gamma": 1.0, "beta": 2.0}),
        ("bfloat16", {}),  # the reference was computed in other batches, which rounds otherwise
    ],
)
def test_a_policy_that_is_its_reference_passes_the_check_and_another_does_not(precision, settings):
    model, rows = tiny_model(), pair_rows(10, reference=False)
    rows.reference_logps = pair_logps(model, rows, 3, precision)
    check_reference(preference_run(model, rows, precision=precision, **settings))
    with pytest.raises(TrainingError, match=r"dpo: policy and reference differ by -?\d.*on the chosen responses"):
        check_reference(preference_run(tiny_model(seed=1), rows, precision=precision, **settings))


def test_a_reference_of_another_temporal_decay_fails_the_check():
    model, rows = tiny_model(), pair_rows(10, reference=False)
    rows.reference_logps = pair_logps(model, rows, 3, "float32", 0.9)
    check_reference(preference_run(model, rows, temporal_decay=0.9))
    with pytest.raises(TrainingError, match="policy and reference differ by"):
        check_reference(preference_run(model, rows, temporal_decay=0.8))


@pytest.mark.parametrize(("side", "name"), [(0, "chosen"), (1, "rejected")])
def test_either_side_of_the_pairs_is_checked(side, name):
    model, rows = tiny_model(), pair_rows(10, reference=False)
    rows.reference_logps = pair_logps(model, rows, 3, "float32")
    rows.reference_logps[:, side] += 0.01
    with pytest.raises(TrainingError, match=f"-0.0100.* nats on the {name} responses"):
        check_reference(preference_run(model, rows))
