import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from picollm.evaluation.metrics import HEADLINE
from picollm.lab.proxies import PROXIES, TRUTHS, correlations, spearman, write_correlations
from picollm.lab.study import MEASURES, VALIDATION, Study, key

STUDY = Study(Path("studies/s.yaml"), [], [{"dpo.seed": 1}], {})


def runs(losses: str, **columns) -> pd.DataFrame:
    """One run for each letter of `losses`, with a beta of its own."""
    parameters = [key({"dpo.loss": loss, "dpo.beta": place, "dpo.seed": 1}) for place, loss in enumerate(losses)]
    return pd.DataFrame({"parameters": parameters, "error": None, **columns})


def test_ties_share_their_mean_rank():
    # Ranks 1.5, 1.5, 3, 4 and 1, 2, 3, 4, about their mean 2.5: covariance 4.5, variances 4.5 and 5.
    assert spearman(np.array([[5, 1], [5, 2], [7, 3], [9, 100]])) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_every_number_that_is_correlated_is_a_column_of_a_study():
    assert {*PROXIES, *TRUTHS} <= {*HEADLINE, *MEASURES.values(), *VALIDATION.values()}


def test_a_proxy_that_ranks_each_loss_rightly_and_the_losses_wrongly():
    # Within each loss the rank is the same, so 1; the first four runs have the lower truth and the higher proxy.
    table = runs("aaaabbbb", **{
        "dpo.reward_acc": [0.85, 0.86, 0.87, 0.88, 0.75, 0.76, 0.77, 0.78],
        "dpo.reward": [11.0, 12.0, 13.0, 14.0, 21.0, 22.0, 23.0, 24.0],
    })  # fmt: skip
    (row,) = correlations(STUDY, table).to_dict("records")
    assert (row["proxy"], row["truth"], row["n"]) == ("dpo.reward_acc", "dpo.reward", 8)
    assert (row["within_loss"], row["within_n"]) == (1.0, 2)
    # Differences of the ranks are 4 in each of the 8 runs: 1 - 6 * 128 / (8 * 63).
    assert row["correlation"] == pytest.approx(1 - 6 * 128 / (8 * 63))
    assert row["low"] < row["correlation"] < row["high"]


def test_the_seeds_of_a_configuration_count_as_one():
    # Means of the seeds rank as 1, 2, 3, 4 both times; the single runs would not.
    one = runs("aaaa", **{"dpo.kl": [1.0, 2, 3, 4], "dpo.reward": [1.0, 2, 3, 4]})
    two = runs("aaaa", **{"dpo.kl": [1.2, 2.2, 3.2, 4.2], "dpo.reward": [0.9, 1.9, 2.9, 3.9]})
    two["parameters"] = two["parameters"].str.replace('"dpo.seed": 1', '"dpo.seed": 2')
    (row,) = correlations(STUDY, pd.concat([one, two], ignore_index=True)).to_dict("records")
    assert (row["n"], row["correlation"]) == (4, 1.0)


def test_runs_that_failed_or_lack_a_number_do_not_count():
    table = runs("aaaaaa", **{"dpo.kl": [1.0, 2, 3, 4, 5, 6], "dpo.reward": [1.0, 2, 3, 4, 0, np.nan]})
    table.loc[4, "error"] = "error: it failed"
    (row,) = correlations(STUDY, table).to_dict("records")
    assert (row["n"], row["correlation"]) == (4, 1.0)


@pytest.mark.parametrize("gains", [[1.0, 2, 3], [1.0, 1, 1, 1]])
def test_few_runs_and_a_constant_have_no_correlation(tmp_path, gains):
    study = Study(tmp_path / "s.yaml", [], [{"dpo.seed": 1}], {})
    table = runs("a" * len(gains), **{"dpo.kl": np.arange(len(gains)), "dpo.reward": gains})
    assert write_correlations(study, table) == ""
    assert not list(tmp_path.iterdir())
