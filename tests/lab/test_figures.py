import json
import math
import struct

import matplotlib
import pytest

from picollm.core import files
from picollm.core.errors import DataError
from picollm.lab import figures as plots
from picollm.stories.spec import SLOTS


@pytest.fixture
def folder(tmp_path):
    steps = [0, 10, 20]
    for stage in ("pretrain", "sft", "dpo"):
        for name in ("train", "val"):
            losses = zip(steps, (3.0, 1.0, 2.0), strict=True)
            rows = [{"step": step, "loss": loss} for step, loss in losses]
            files.write_csv(tmp_path / stage / f"{name}.csv", ["step", "loss"], rows)
    columns = ["step", "chosen_reward", "rejected_reward", "margin"]
    rows = [dict(zip(columns, (step, step / 10, -step / 5, step * 0.3), strict=True)) for step in steps]
    files.write_csv(tmp_path / "dpo.csv", columns, rows)
    columns = ["step", "chosen_logps", "rejected_logps"]
    rows = [dict(zip(columns, (step, -90 + step, -95 + step), strict=True)) for step in steps]
    files.write_csv(tmp_path / "monitor.csv", columns, rows)
    files.write_json(tmp_path / "eval.json", numbers(("test", "unseen")))
    files.write_csv(tmp_path / "adherence.csv", ["model", "split", "slot", "adherence"], adherence_rows())
    return tmp_path


def numbers(splits) -> dict[str, float]:
    values = {}
    for place, model in enumerate(("base", "sft", "dpo")):
        for split in splits:
            values[f"{model}.{split}.ceiling"] = 0.9
            for name in ("dread", "pref_acc", "reward_acc"):
                value = 0.25 * (place + 1)
                key = f"{model}.{split}.{name}"
                values |= {key: value, f"{key}_low": value - 0.1, f"{key}_high": value + 0.1}
    return values


def adherence_rows() -> list[dict]:
    return [
        {"model": model, "split": split, "slot": slot, "adherence": 0.1 * place}
        for model in ("base", "sft", "dpo")
        for split in ("test", "unseen")
        for place, slot in enumerate(SLOTS)
    ]


def line(axes, label: str) -> list[tuple[float, float]]:
    return next([tuple(point) for point in drawn.get_xydata()] for drawn in axes.lines if drawn.get_label() == label)


def heights(axes) -> list[float]:
    return [round(bar.get_height(), 6) for bar in axes.patches]


def test_curves_draw_the_monitor_left_and_the_rewards_right(folder):
    left, right = plots.curves(folder / "monitor.csv", folder / "dpo.csv").axes
    assert line(left, "chosen") == [(0, -90), (10, -80), (20, -70)]
    assert line(left, "rejected") == [(0, -95), (10, -85), (20, -75)]
    assert line(right, "chosen") == [(0, 0), (10, 1), (20, 2)]
    assert line(right, "rejected") == [(0, 0), (10, -2), (20, -4)]
    assert line(right, "margin") == [(0, 0), (10, 3), (20, 6)]


def test_losses_mark_the_step_whose_weights_were_kept(folder):
    panels = plots.losses({stage: str(folder / stage) for stage in ("pretrain", "sft", "dpo")}).axes
    assert line(panels[0], "validation") == [(0, 3), (10, 1), (20, 2)]
    assert line(panels[1], "kept: step 10") == [(10, 1)]
    assert line(panels[2], "training") == [(0, 3), (10, 1), (20, 2)]


@pytest.mark.parametrize(("start", "drawn"), [(0.693147, [math.log(2)] * 2), (25.0, None)])
def test_log_2_is_drawn_where_the_loss_starts_there_and_not_for_another_loss(folder, start, drawn):
    rows = [{"step": 0, "loss": start}, {"step": 10, "loss": 0.5}]
    files.write_csv(folder / "dpo/val.csv", ["step", "loss"], rows)
    panel = plots.losses({"dpo": folder / "dpo"}).axes[0]
    found = [list(line.get_ydata()) for line in panel.lines if line.get_label() == "log 2"]
    assert found == ([] if drawn is None else [drawn])


def test_a_stage_that_did_not_train_has_its_validation_loss_alone(folder):
    files.write_csv(folder / "pretrain/train.csv", ["step", "loss"], [])
    panel = plots.losses({"pretrain": str(folder / "pretrain")}).axes[0]
    assert "training" not in [drawn.get_label() for drawn in panel.lines]


def test_before_and_after_show_dread_per_model_and_split_and_adherence_per_slot(folder):
    left, right = plots.before_after(folder / "eval.json", folder / "adherence.csv").axes
    assert heights(left) == [0.25, 0.5, 0.75] * 2
    assert heights(right) == [round(0.1 * place, 6) for place in range(7)] * 4  # sft and dpo, test and unseen


def test_data_without_specifications_or_unseen_split_say_so(folder):
    files.write_json(folder / "eval.json", numbers(("test",)))
    files.write_csv(folder / "adherence.csv", ["model", "split", "slot", "adherence"], [])
    left, right = plots.before_after(folder / "eval.json", folder / "adherence.csv").axes
    assert heights(left) == [0.25, 0.5, 0.75]
    assert "not specifications" in right.texts[0].get_text()


def test_accuracies_show_every_group_and_model(folder):
    figure = plots.accuracies(folder / "eval.json")
    assert sorted(heights(figure.axes[0])) == sorted([0.25, 0.5, 0.75] * 2)
    assert sorted(heights(figure.axes[1])) == sorted([0.25, 0.5, 0.75] * 2)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["test", "unseen"]


def test_accuracies_of_strata_stand_beside_their_split_and_the_ceilings_are_lines(folder):
    values = numbers(("test",))
    for key, value in numbers(("test",)).items():
        values[key.replace(".test.", ".test.degree.")] = value / 2
    files.write_json(folder / "eval.json", values)
    panel = plots.accuracies(folder / "eval.json").axes[0]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["test", "test\ndegree"]
    assert heights(panel) == [0.25, 0.125, 0.5, 0.25, 0.75, 0.375]
    heights_of_lines = [drawn.get_segments()[0][0][1] for drawn in panel.collections if len(drawn.get_segments()) == 1]
    assert {0.9, 0.45} <= {round(float(height), 6) for height in heights_of_lines}


def test_the_bars_of_an_interval_reach_from_low_to_high(folder):
    left = plots.before_after(folder / "eval.json", folder / "adherence.csv").axes[0]
    reached = [bars.get_segments()[0][:, 1].round(6).tolist() for bars in left.collections]
    assert reached == [[0.15, 0.35], [0.4, 0.6], [0.65, 0.85]] * 2


def test_a_legend_covers_no_data(folder):
    figure = plots.curves(folder / "monitor.csv", folder / "dpo.csv")
    plots.save(figure, folder / "a.png")
    for axes in figure.axes:
        assert not axes.get_legend().get_window_extent().overlaps(axes.get_window_extent())


def test_the_same_input_gives_the_same_bytes(folder):
    for name in ("a.png", "b.png"):
        plots.save(plots.curves(folder / "monitor.csv", folder / "dpo.csv"), folder / name)
    first = (folder / "a.png").read_bytes()
    assert first.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert struct.unpack(">II", first[16:24]) == (11 * plots.DPI, round(4.2 * plots.DPI))
    assert first == (folder / "b.png").read_bytes()
    assert b"Software" not in first
    assert sorted(path.name for path in folder.glob("*.png")) == ["a.png", "b.png"]


def test_the_users_own_style_changes_no_byte(folder):
    plots.save(plots.curves(folder / "monitor.csv", folder / "dpo.csv"), folder / "a.png")
    with matplotlib.rc_context({"font.family": "serif", "axes.grid": True, "lines.linewidth": 4, "savefig.dpi": 30}):
        plots.save(plots.curves(folder / "monitor.csv", folder / "dpo.csv"), folder / "b.png")
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()


def test_a_missing_column_or_key_is_named(folder):
    with pytest.raises(DataError, match=r"dpo.csv: no column chosen_logps; found step, chosen_reward"):
        plots.curves(folder / "dpo.csv", folder / "dpo.csv")
    broken = numbers(("test",))
    del broken["dpo.test.dread_low"]
    files.write_json(folder / "eval.json", broken)
    with pytest.raises(DataError, match=r"eval.json: no dpo.test.dread_low"):
        plots.before_after(folder / "eval.json", folder / "adherence.csv")


@pytest.mark.parametrize("key", ["sft.test.dread", "base.unseen.dread", "sft.unseen.dread"])
def test_a_split_is_not_left_out_because_one_model_lacks_it(folder, key):
    broken = numbers(("test", "unseen"))
    del broken[key]
    files.write_json(folder / "eval.json", broken)
    with pytest.raises(DataError, match=f"no {key}"):
        plots.before_after(folder / "eval.json", folder / "adherence.csv")


@pytest.mark.parametrize("key", ["sft.test.pref_acc", "sft.unseen.pref_acc", "dpo.test.reward_acc"])
def test_a_missing_accuracy_is_named(folder, key):
    broken = numbers(("test", "unseen"))
    del broken[key]
    files.write_json(folder / "eval.json", broken)
    with pytest.raises(DataError, match=f"no {key}"):
        plots.accuracies(folder / "eval.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [([1], "expected a JSON object"), (numbers(("test",)) | {"dpo.test.dread": "x"}, "dpo.test.dread is 'x'")],
)
def test_an_evaluation_that_is_not_flat_numbers_is_an_error(folder, content, message):
    (folder / "eval.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        plots.before_after(folder / "eval.json", folder / "adherence.csv")


@pytest.mark.parametrize("cell", ["oops", "nan", "inf", ""])
def test_a_cell_that_is_no_finite_number_is_named_with_its_line(folder, cell):
    (folder / "monitor.csv").write_text(f"step,chosen_logps,rejected_logps\n0,-9,-9\n10,-8,{cell}\n20,-7,-7\n")
    with pytest.raises(DataError, match=r"monitor.csv:3: rejected_logps is"):
        plots.curves(folder / "monitor.csv", folder / "dpo.csv")


def test_a_monitor_or_validation_without_rows_is_an_error(folder):
    files.write_csv(folder / "empty.csv", ["step", "chosen_logps", "rejected_logps"], [])
    with pytest.raises(DataError, match=r"empty.csv: no rows"):
        plots.curves(folder / "empty.csv", folder / "dpo.csv")
    files.write_csv(folder / "sft/val.csv", ["step", "loss"], [])
    with pytest.raises(DataError, match=r"val.csv: no rows"):
        plots.losses({"sft": folder / "sft"})


@pytest.mark.parametrize("slot", [SLOTS[0], SLOTS[-1]])
def test_a_missing_row_of_adherence_is_named(folder, slot):
    rows = [row for row in adherence_rows() if (row["model"], row["split"], row["slot"]) != ("sft", "test", slot)]
    files.write_csv(folder / "adherence.csv", ["model", "split", "slot", "adherence"], rows)
    with pytest.raises(DataError, match=f"no row of sft, test, {slot}"):
        plots.before_after(folder / "eval.json", folder / "adherence.csv")


def test_an_evaluation_without_accuracies_is_an_error_and_no_empty_figure(folder):
    files.write_json(folder / "eval.json", {"base.sft_loss": 1.0})
    with pytest.raises(DataError, match=r"no base.test.pref_acc"):
        plots.accuracies(folder / "eval.json")
