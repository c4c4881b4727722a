import pytest

from picollm.core import files
from picollm.core.errors import DataError
from picollm.lab.drawing import save
from picollm.lab.reward_kl import reward_kl

OPTIMUM = ["t", "kl", "reward", "reward_low", "reward_high"]


def numbers(**changes):
    """DPO at 8 nats with a reward of 20; the optimum pays 2 nats for that."""
    values = {"sft.test.best_of_2": 15.0, "sft.test.best_of_2_low": 14.0, "sft.test.best_of_4": 18.0}
    for key, value in (("sft.test.reward", 10.0), ("dpo.test.reward", 20.0), ("dpo.test.kl", 8.0)):
        values |= {key: value, f"{key}_low": value - 1, f"{key}_high": value + 2}
    return values | {"dpo.test.kl_efficiency": 0.25, "dpo.test.calibration": 0.5} | changes


@pytest.fixture
def draw(tmp_path):
    def call(values, optimum=True, calibration=True):
        files.write_json(tmp_path / "eval.json", values)
        rows = [dict(zip(OPTIMUM, (t, t**2, 10 + 7 * t, 9 + 7 * t, 11 + 7 * t), strict=True)) for t in (0.0, 1.0, 2.0)]
        files.write_csv(tmp_path / "optimum.csv", OPTIMUM, rows if optimum else [])
        rows = [{"predicted": 0.2, "rule": 0.1}, {"predicted": 0.8, "rule": 0.9}] if calibration else []
        files.write_csv(tmp_path / "calibration.csv", ["predicted", "rule"], rows)
        figure = reward_kl(*(tmp_path / name for name in ("eval.json", "optimum.csv", "calibration.csv")))
        save(figure, tmp_path / "a.png")
        return figure.axes

    return call


def points(axes, label):
    drawn = {handle.get_label(): handle for handle in (*axes.lines, *(bars[0] for bars in axes.containers))}
    drawn |= {bars.get_label(): bars[0] for bars in axes.containers}
    return [tuple(map(float, point)) for point in drawn[label].get_xydata()]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_sft_is_at_the_origin_and_dpo_at_its_kl_with_both_intervals(draw):
    left, _ = draw(numbers())
    assert points(left, "sft") == [(0, 10)]
    assert points(left, "dpo") == [(8, 20)]
    bars = {bars.get_label(): bars[2] for bars in left.containers}
    segments = [[tuple(map(float, point)) for point in part.get_segments()[0]] for part in bars["dpo"]]
    assert segments == [[(7, 20), (10, 20)], [(8, 19), (8, 22)]]


def test_the_optimum_is_a_curve_with_a_band_and_best_of_n_are_points(draw):
    left, _ = draw(numbers())
    assert points(left, "optimum, as far as it is known") == [(0, 10), (1, 17), (4, 24)]
    # log 2 - 1/2 and log 4 - 3/4
    assert points(left, "best of n of SFT") == [pytest.approx((0.193147, 15)), pytest.approx((0.636294, 18))]
    band = left.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 9 and band[:, 1].max() == 25


def test_what_the_optimum_would_pay_is_written_and_drawn(draw):
    left, _ = draw(numbers())
    assert "the same reward for 2 nats\ninstead of 8" in texts(left)
    assert any([tuple(p) for p in line.get_xydata()] == [(2, 20), (8, 20)] for line in left.lines)


def test_without_an_efficiency_nothing_is_said_of_it(draw):
    values = numbers()
    del values["dpo.test.kl_efficiency"]
    left, _ = draw(values)
    assert not any("instead of" in text for text in texts(left))


@pytest.mark.parametrize("kl", [0.0, 0.6, 8.0, 600.0])
def test_the_axis_reaches_from_0_to_every_point_and_has_ticks(draw, kl):
    left, _ = draw(numbers(**{"dpo.test.kl": kl, "dpo.test.kl_low": kl, "dpo.test.kl_high": kl}))
    low, high = left.get_xlim()
    assert low <= 0 and high > max(kl, 4)
    assert len([tick for tick in left.get_xticks() if low <= tick <= high]) >= 5


def test_the_rules_probability_is_drawn_against_the_policys_with_the_slope(draw):
    _, right = draw(numbers())
    assert points(right, "dpo") == [(0.2, 0.1), (0.8, 0.9)]
    assert points(right, "calibrated") == [(0, 0), (1, 1)]
    assert right.get_title() == "Calibration of the implicit reward: slope 0.50 of 1"


def test_without_a_rule_the_figure_says_what_is_unknown_and_gives_the_kl(draw):
    values = {key: value for key, value in numbers().items() if "dpo.test.kl" in key and "efficiency" not in key}
    left, right = draw(values, optimum=False, calibration=False)
    (said,) = texts(left)
    assert "No rule labelled this data" in said and "KL(DPO || SFT): 8 nats per sample (7 to 10)" in said
    assert "No rule labelled this data" in texts(right)[0]
    assert not left.lines and not left.containers


def test_a_missing_number_is_named(draw):
    values = numbers()
    del values["dpo.test.kl_low"]
    with pytest.raises(DataError, match=r"eval.json: no dpo.test.kl_low; run the evaluate stage again"):
        draw(values)
