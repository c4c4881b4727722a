import numpy as np
import pandas as pd
import pytest

from picollm.evaluation.track import TRACK, stopping_measures, track_table

IDS = ["a", "a", "b", "b", "c", "c", "d", "d"]


def samples(*dreads: float) -> pd.DataFrame:
    """Two samples of each of four prompts: their reward; KL 1 and log-prob -3 and -5."""
    count = len(dreads)
    return pd.DataFrame(
        {
            "id": IDS[:count],
            "number": [0, 1] * (count // 2),
            "completion": "It ran.",
            "ended": True,
            "words": 2,
            "reward": dreads,
            "kl": 1.0,
            "logps": [-3.0, -5.0] * (count // 2),
        }
    )


VALIDATION = pd.DataFrame(
    {"step": [0, 10, 20, 30], "loss": [0.7, 0.5, 0.4, 0.6], "rewards/accuracies": [0.5, 0.7, 0.8, 0.9],
     "logps/chosen": [-9.0, -10.0, -11.0, -12.0], "logps/rejected": [-9.0, -12.0, -15.0, -18.0],
     "rewards/chosen": 0.0}
)  # fmt: skip


def test_a_row_joins_the_samples_of_a_snapshot_with_the_validation_at_its_step():
    reference = samples(0, 2, 0, 2, 0, 2, 0, 2)
    table = track_table({20: samples(4, 6, 4, 6, 4, 6, 4, 6)}, reference, VALIDATION)
    assert list(table.columns) == list(TRACK)
    (row,) = table.to_dict("records")
    assert (row["step"], row["reward"], row["kl"], row["entropy"], row["length"]) == (20, 5, 1, 4, 2)
    assert row["gain"] == pytest.approx(4 / np.sqrt(2))
    assert (row["validation_loss"], row["rewards/accuracies"], row["logps/chosen"]) == (0.4, 0.8, -11)


def test_without_snapshots_the_table_has_columns_alone():
    table = track_table({}, samples(0, 2), VALIDATION)
    assert table.empty and list(table.columns) == list(TRACK)


def test_the_regret_of_stopping_is_measured_on_prompts_that_did_not_choose_the_step():
    # Of prompts a and c the last step has the most reward, 9, of b and d the first, 7; validation loss keeps the middle, 5.
    snapshots = {
        10: samples(0, 0, 7, 7, 0, 0, 7, 7),
        20: samples(5, 5, 5, 5, 5, 5, 5, 5),
        30: samples(9, 9, 1, 1, 9, 9, 1, 1),
    }
    # a and c choose step 30: on b and d 1 - 5; b and d choose step 10: on a and c 0 - 5.
    assert stopping_measures(snapshots, VALIDATION) == {"kept_step": 20, "best_step": 20, "regret": (-4 - 5) / 2}


def test_a_step_that_is_better_on_all_prompts_is_the_best_and_its_advantage_the_regret():
    snapshots = {10: samples(*[1] * 8), 20: samples(*[2] * 8), 30: samples(*[5] * 8)}
    assert stopping_measures(snapshots, VALIDATION) == {"kept_step": 20, "best_step": 30, "regret": 3.0}


def test_of_the_snapshots_the_one_with_the_lowest_validation_loss_counts_as_kept():
    # The lowest of all is step 20's, of which there is no snapshot; of 10 and 30 it is 10's.
    snapshots = {10: samples(*[1] * 8), 30: samples(*[5] * 8)}
    assert stopping_measures(snapshots, VALIDATION) == {"kept_step": 10, "best_step": 30, "regret": 4.0}


def test_too_little_to_compare_has_no_regret():
    assert stopping_measures({10: samples(1, 1)}, VALIDATION) == {}
    assert stopping_measures({20: samples(1, 1), 30: samples(2, 2)}, VALIDATION) == {}  # one prompt
    plain = samples(1, 1).drop(columns="reward")
    assert stopping_measures({10: plain, 20: plain}, VALIDATION) == {}
