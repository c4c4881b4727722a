import math

import numpy as np
import pandas as pd
import pytest

from picollm.lab.proxies import correlations, spearman, write_correlations
from picollm.lab.study import Study


def runs(**columns) -> pd.DataFrame:
    return pd.DataFrame({"error": None, **columns})


def test_ties_share_their_mean_rank():
    # Ranks 1.5, 1.5, 3, 4 and 1, 2, 3, 4, about their mean 2.5: covariance 4.5, variances 4.5 and 5.
    assert spearman(np.array([[5, 1], [5, 2], [7, 3], [9, 100]])) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_a_proxy_that_ranks_each_loss_rightly_and_the_losses_wrongly():
    # Within each loss the rank is the same, so 1; the first four runs have the lower truth and the higher proxy.
    table = runs(**{
        "dpo.loss": ["sigmoid"] * 4 + ["ipo"] * 4,
        "dpo.reward_acc": [0.85, 0.86, 0.87, 0.88, 0.75, 0.76, 0.77, 0.78],
        "dpo.reward": [11.0, 12.0, 13.0, 14.0, 21.0, 22.0, 23.0, 24.0],
    })  # fmt: skip
    (row,) = correlations(table).to_dict("records")
    assert (row["proxy"], row["truth"], row["n"]) == ("dpo.reward_acc", "dpo.reward", 8)
    assert (row["within_loss"], row["within_n"]) == (1.0, 2)
    # Differences of the ranks are 4 in each of the 8 runs: 1 - 6 * 128 / (8 * 63).
    assert row["correlation"] == pytest.approx(1 - 6 * 128 / (8 * 63))
    assert row["low"] < row["correlation"] < row["high"]


def test_runs_that_failed_or_lack_a_number_do_not_count():
    table = runs(**{"dpo.kl": [1.0, 2, 3, 4, 5, 6], "dpo.reward": [1.0, 2, 3, 4, 0, np.nan]})
    table.loc[4, "error"] = "error: it failed"
    (row,) = correlations(table).to_dict("records")
    assert (row["n"], row["correlation"]) == (4, 1.0)


def test_few_runs_have_no_correlation(tmp_path):
    study = Study(tmp_path / "s.yaml", [], [], {})
    assert write_correlations(study, runs(**{"dpo.kl": [1.0, 2, 3], "dpo.reward": [1.0, 2, 3]})) == ""
    assert not list(tmp_path.iterdir())
