import math
from pathlib import Path

import pandas as pd
import pytest

from picollm.lab.study import Study, key
from picollm.lab.summary import summary, t_interval

SEEDS = [{"dpo.seed": 1}, {"dpo.seed": 2}, {"dpo.seed": 3}]
BASE, OTHER = {"dpo.beta": 0.3}, {"dpo.beta": 1.0}
STUDY = Study(Path("studies/s.yaml"), [BASE, OTHER], SEEDS, BASE)


def table(gains: dict[float, list[float]]) -> pd.DataFrame:
    rows = [
        {"parameters": key({"dpo.beta": beta} | seed), "dpo.beta": beta, **seed, "seconds": 1.0, "error": None, "dpo.gain": gain}
        for beta, values in gains.items()
        for seed, gain in zip(SEEDS, values, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_interval_of_a_mean_is_students():
    # Mean 2, sd 1, standard error 1 / sqrt(3), t(2) = 4.303.
    found = t_interval(pd.Series([1.0, 2.0, 3.0, math.nan]))
    assert (found["n"], found["mean"], found["sd"]) == (3, 2.0, 1.0)
    assert (found["low"], found["high"]) == pytest.approx((2 - 4.303 / math.sqrt(3), 2 + 4.303 / math.sqrt(3)))


def test_a_single_number_has_no_interval():
    found = t_interval(pd.Series([2.0]))
    assert (found["n"], found["mean"]) == (1, 2.0)
    assert math.isnan(found["sd"]) and math.isnan(found["low"])


def test_differences_from_the_baseline_are_paired_by_seed():
    # Seeds differ by 10 and the configurations by 1, 2 and 3 of the same seed.
    found = summary(STUDY, table({0.3: [0.0, 10.0, 20.0], 1.0: [1.0, 12.0, 23.0]}))
    assert found["measure"].tolist() == ["dpo.gain", "dpo.gain"]
    base, other = found.to_dict("records")
    assert (base["difference"], other["difference"], other["n"]) == (0.0, 2.0, 3)
    assert other["difference_high"] - other["difference"] == pytest.approx(4.303 / math.sqrt(3))
    assert other["high"] - other["mean"] > 20


def test_a_failed_run_is_left_out_with_its_pair():
    rows = table({0.3: [0.0, 10.0, 20.0], 1.0: [1.0, 12.0, 23.0]})
    rows.loc[rows["parameters"] == key(BASE | SEEDS[0]), ["dpo.gain", "error"]] = [math.nan, "error: it failed"]
    base, other = summary(STUDY, rows).to_dict("records")
    assert (base["n"], other["n"]) == (2, 3)
    assert other["difference"] == 2.5
