import math
from pathlib import Path

import pandas as pd
import pytest

from picollm.lab.study import Study, key
from picollm.lab.summary import summary, t_interval, write_summary

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


def finished(values: dict, gain: float) -> dict:
    seconds = {"commit": "a", "seconds": 1.0, "dvc_seconds": 0.0, "error": None}
    return {"parameters": key(values), "dpo.seed": values["dpo.seed"], "dpo.gain": gain, **seconds}


def test_a_line_names_what_varies_and_counts_the_seeds_that_have_a_number(tmp_path):
    configurations = [{"dpo.lr": 0.1, "dpo.beta": 0.3}, {"dpo.lr": 0.1, "dpo.loss": {"hinge": 1.0}, "dpo.beta": 1.0}]
    study = Study(tmp_path / "s.yaml", configurations, SEEDS[:2], configurations[0])
    rows = [finished(run, gain) for run, gain in zip(study.runs(), (0.5, 0.5, 0.5, math.nan), strict=True)]
    lines = write_summary(study, pd.DataFrame(rows)).splitlines()
    assert lines[1].split() == ["dpo.beta", "dpo.loss"]
    assert [(line.split()[0], line.split()[-2]) for line in lines[2:4]] == [("0.3", "2"), ("1.0", "1")]
    assert lines[3].split()[1:3] == ["{hinge:", "1.0}"]


def test_a_study_of_seeds_alone_is_one_line(tmp_path):
    study = Study(tmp_path / "s.yaml", [{}], SEEDS, {})
    lines = write_summary(study, pd.DataFrame([finished(seed, 0.5) for seed in SEEDS])).splitlines()
    assert lines[1].split()[-2:] == ["3", "0"]
