import pandas as pd
import pytest

from picollm.core import files
from picollm.core.errors import DataError
from picollm.evaluation.optimum import best_of_n_kl
from picollm.lab.drawing import save
from picollm.lab.frontier import at_equal_gain, frontier, of_study, paired_at_equal_gain
from picollm.lab.study import key

RUNS = [
    ({"dpo.loss": "sigmoid", "dpo.beta": 1.0, "dpo.seed": 1}, 0.5, 1.0),
    ({"dpo.loss": "sigmoid", "dpo.beta": 0.1, "dpo.seed": 1}, 1.0, 4.0),
    ({"dpo.loss": "sigmoid", "dpo.beta": 0.1, "dpo.seed": 2}, 1.2, 6.0),
    ({"dpo.loss": "simpo", "dpo.beta": 2.0, "dpo.simpo_gamma": 0.5, "dpo.seed": 1}, 0.8, 2.0),
    ({"dpo.loss": {"sigmoid": 0.8, "bco_pair": 1}, "dpo.beta": 0.1, "dpo.seed": 1}, 0.9, 3.0),
]
GRID = """
grid:
  - {dpo.loss: sigmoid, dpo.beta: [0.1, 1.0]}
  - {dpo.loss: simpo, dpo.beta: 2.0, dpo.simpo_gamma: 0.5}
  - {dpo.loss: {sigmoid: 0.8, bco_pair: 1}, dpo.beta: 0.1}
seeds: {dpo.seed: [1, 2]}
baseline: {dpo.loss: sigmoid, dpo.beta: 1.0}
"""
DEFAULT = "grid: [{}]\nseeds: {seed: [1, 2]}\nbaseline: {}\n"


@pytest.fixture
def study(tmp_path, monkeypatch):
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets/tiny.yaml").write_text("vocabulary: 300\n")
    (tmp_path / "params.yaml").write_text("preset: tiny\ndpo: {loss: hinge, beta: 0.7}\n")
    monkeypatch.chdir(tmp_path)
    rows = [
        {"parameters": key(values), "error": "", "dpo.gain": gain, "dpo.kl": kl, "dpo.kl_efficiency": 0.2 * gain}
        for values, gain, kl in RUNS
    ]
    earlier = rows[0] | {"parameters": key(RUNS[0][0] | {"dpo.beta": 3.0})}  # that the grid no longer has
    failed = rows[1] | {"error": "finished, but its metrics cannot be read"}
    pd.DataFrame([*rows, earlier, failed]).to_csv(tmp_path / "study.csv", index=False)
    (tmp_path / "study.yaml").write_text(GRID)
    return tmp_path / "study.csv"


def test_an_objective_is_a_loss_with_the_settings_that_vary_and_failed_and_former_runs_are_left_out(study):
    table = of_study(study)
    assert table[["objective", "dpo.beta", "dpo.seed", "dpo.kl"]].values.tolist() == [
        ["1 bco_pair + 0.8 sigmoid", 0.1, 1, 3.0],
        ["sigmoid", 0.1, 1, 4.0],
        ["sigmoid", 0.1, 2, 6.0],
        ["sigmoid", 1.0, 1, 1.0],
        ["simpo, simpo_gamma 0.5", 2.0, 1, 2.0],
    ]


COLUMNS = ["objective", "dpo.beta", "dpo.seed", "dpo.gain", "dpo.kl", "dpo.kl_efficiency"]


def test_efficiency_at_equal_gain_is_that_between_the_two_nearest_betas():
    rows = [
        *[("sigmoid", 4.0, seed, 0.5, 1.0, efficiency) for seed, efficiency in ((1, 0.6), (2, 0.4))],
        ("sigmoid", 1.0, 1, 0.7, 2.0, 0.3),  # of one seed; the mean at beta 4 is 0.5
        ("sigmoid", 0.5, 1, 0.8, 3.0, 0.2),
        ("hinge", 2.0, 1, 0.1, 0.5, None),  # of no clear gain, and left out: nothing lies on the other side of the next
        ("hinge", 1.0, 1, 0.7, 2.0, 0.9),
    ]
    found = at_equal_gain(pd.DataFrame(rows, columns=COLUMNS)).set_index("objective")
    assert found.loc["sigmoid", "kl_efficiency at 0.6"] == pytest.approx(0.4)
    assert found.loc["sigmoid", "beta at 0.6"] == pytest.approx(2)
    assert found.loc["sigmoid", "kl_efficiency at 0.75"] == pytest.approx(0.25)
    assert found.loc["sigmoid", "beta at 0.75"] == pytest.approx(0.5**0.5)
    assert found.loc[:, "kl_efficiency at 0.9"].isna().all() and found.loc["hinge"].isna().all()


def test_of_two_branches_that_reach_a_gain_the_one_of_larger_beta_is_reported():
    rows = [("sigmoid", 4.0, 1, 0.5, 1, 0.6), ("sigmoid", 1.0, 1, 0.9, 2, 0.4), ("sigmoid", 0.25, 1, 0.6, 3, 0.1)]
    found = at_equal_gain(pd.DataFrame(rows, columns=COLUMNS))
    assert found.loc[0, "kl_efficiency at 0.75"] == pytest.approx(0.6 - 0.2 * 0.25 / 0.4)
    assert found.loc[0, "beta at 0.75"] == pytest.approx(4 ** (1 - 0.25 / 0.4))


def test_a_beta_with_a_seed_of_unknown_efficiency_is_left_out():
    rows = [("sigmoid", 4.0, 1, 0.5, 1, 0.6), ("sigmoid", 4.0, 2, 0.1, 1, None), ("sigmoid", 1.0, 1, 0.9, 2, 0.4)]
    assert at_equal_gain(pd.DataFrame(rows, columns=COLUMNS)).loc[0].isna().sum() == 6


def test_differences_at_equal_gain_are_paired_by_seed():
    rows = [
        *[("sigmoid", 1.0, 1, 0.7, 1, 0.4), ("sigmoid", 0.5, 1, 0.9, 2, 0.3), ("sigmoid", 0.2, 1, 1.3, 4, 0.1)],
        *[("sigmoid", 1.0, 2, 0.5, 1, 0.3), ("sigmoid", 0.5, 2, 0.7, 2, 0.2)],
        ("sigmoid", 1.0, 3, 0.7, 1, 0.4),  # one run alone
        *[("hinge", 2.0, 1, 0.8, 1, 0.45), ("hinge", 2.0, 2, 0.75, 1, 0.275), ("hinge", 2.0, 3, 0.7, 1, 0.9)],
        *[("ipo", 2.0, 1, 1.1, 1, 0.2), ("ipo", 2.0, 2, 0.85, 1, 0.9)],  # the second 0.15 beyond its curve
    ]
    found = paired_at_equal_gain(pd.DataFrame(rows, columns=COLUMNS), "sigmoid").set_index("objective")
    # At these gains sigmoid has 0.35 and, extrapolated, 0.175: differences of 0.1 each.
    assert found.loc["hinge"].to_list() == pytest.approx([2.0, 2, 0.775, 0.1, 0.1, 0.1])
    assert found.loc["ipo"].to_list()[:4] == pytest.approx([2.0, 1, 1.1, 0.0])
    assert found.loc["ipo", ["low", "high"]].isna().all()


def test_runs_of_one_seed_need_no_column_of_seeds():
    rows = [("sigmoid", 1.0, 0.7, 1, 0.4), ("sigmoid", 0.5, 0.9, 2, 0.3), ("hinge", 2.0, 0.8, 1, 0.45)]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "dpo.seed"])
    assert paired_at_equal_gain(table, "sigmoid")["difference"].to_list() == pytest.approx([0.1])
    assert paired_at_equal_gain(table, "simpo").empty


def test_without_any_known_efficiency_every_value_is_absent():
    rows = [("sigmoid", 4.0, 1, 0.5, 1, None), ("sigmoid", 1.0, 1, 0.9, 2, None)]
    assert at_equal_gain(pd.DataFrame(rows, columns=COLUMNS)).loc[0].isna().sum() == 6


def test_a_loss_or_beta_that_a_study_does_not_vary_is_that_of_the_workspace(study):
    rows = [{"parameters": key({"seed": seed}), "error": "", "dpo.gain": 1.0, "dpo.kl": 2.0} for seed in (1, 2)]
    pd.DataFrame(rows).to_csv(study, index=False)
    study.with_suffix(".yaml").write_text(DEFAULT)
    assert of_study(study)[["objective", "dpo.beta", "seed"]].values.tolist() == [["hinge", 0.7, 1], ["hinge", 0.7, 2]]


def test_a_study_without_true_reward_is_refused(study):
    (study.parent / "own.yaml").write_text(DEFAULT)
    (study.parent / "own.csv").write_text('parameters,error,dpo.gain,dpo.kl\n"{""seed"": 1}",,,2.0\n')
    with pytest.raises(DataError, match=r"no experiment has dpo\.gain"):
        of_study(study.parent / "own.csv")


def test_a_study_without_a_finished_run_is_refused(tmp_path):
    (tmp_path / "study.yaml").write_text(DEFAULT)
    (tmp_path / "study.csv").write_text('parameters,error,dpo.gain,dpo.kl\n"{""seed"": 1}",it failed,1,1\n')
    with pytest.raises(DataError, match=r"study\.csv: no finished run"):
        of_study(tmp_path / "study.csv")


def test_curves_go_from_little_kl_to_much_and_average_seeds_below_the_optimum_in_units_of_gain(study, tmp_path):
    # Dread 10 of SFT and 30 of DPO at a gain of 2: one unit of gain is a reward of 10.
    numbers = {"sft.test.reward": 10.0, "dpo.test.reward": 30.0, "dpo.test.gain": 2.0, "sft.test.best_of_4": 25.0}
    files.write_json(tmp_path / "eval.json", numbers)
    (tmp_path / "optimum.csv").write_text("t,kl,reward\n0,0,10\n0.1,0.5,20\n")
    figure = frontier(of_study(study), tmp_path / "eval.json", tmp_path / "optimum.csv")
    left, right = figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in left.lines}
    assert lines["sigmoid"] == [[1.0, 0.5], [5.0, 1.1]]
    assert lines["optimum of this SFT model, as far as it is known"] == [[0.0, 0.0], [0.5, 1.0]]
    assert lines["best of n of SFT"] == [[best_of_n_kl(4), 1.5]]
    assert lines["SFT"] == [[0, 0]]
    assert [line.get_xydata().tolist() for line in right.lines][1] == [[0.5, 0.1], pytest.approx([1.1, 0.22])]
    save(figure, tmp_path / "frontier.png")
