import math

import pytest

from picollm import files, plots
from picollm.errors import DataError
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


def test_losses_mark_the_step_whose_weights_were_kept_and_log_2(folder):
    panels = plots.losses({stage: str(folder / stage) for stage in ("pretrain", "sft", "dpo")}).axes
    assert line(panels[0], "validation") == [(0, 3), (10, 1), (20, 2)]
    assert line(panels[1], "kept: step 10") == [(10, 1)]
    assert line(panels[2], "log 2")[0][1] == pytest.approx(math.log(2))


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


def test_the_same_input_gives_the_same_bytes(folder):
    for name in ("a.png", "b.png"):
        plots.save(plots.curves(folder / "monitor.csv", folder / "dpo.csv"), folder / name)
    first = (folder / "a.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert first == (folder / "b.png").read_bytes()
    assert b"Software" not in first


def test_a_missing_column_or_key_is_named(folder):
    with pytest.raises(DataError, match=r"dpo.csv: no column chosen_logps; found step, chosen_reward"):
        plots.curves(folder / "dpo.csv", folder / "dpo.csv")
    broken = numbers(("test",))
    del broken["dpo.test.dread_low"]
    files.write_json(folder / "eval.json", broken)
    with pytest.raises(DataError, match=r"no dpo.test.dread_low"):
        plots.before_after(folder / "eval.json", folder / "adherence.csv")
