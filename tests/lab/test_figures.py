import math
import struct

import matplotlib
import pytest

from picollm.core import files
from picollm.core.errors import DataError
from picollm.lab import figures as plots
from picollm.lab.drawing import DPI, save
from picollm.stories.spec import SLOTS

MONITOR = ["step", "logps/chosen", "logps/rejected"]
ADHERENCE = ["model", "split", "slot", "adherence"]


@pytest.fixture
def folder(tmp_path):
    steps = [0, 10, 20]
    for stage in ("pretrain", "sft", "dpo"):
        for name in ("train", "val"):
            losses = zip(steps, (3.0, 1.0, 2.0), strict=True)
            rows = [{"step": step, "loss": loss} for step, loss in losses]
            files.write_csv(tmp_path / stage / f"{name}.csv", ["step", "loss"], rows)
    columns = ["step", "rewards/chosen", "rewards/rejected", "rewards/margins"]
    rows = [dict(zip(columns, (step, step / 10, -step / 5, step * 0.3), strict=True)) for step in steps]
    files.write_csv(tmp_path / "dpo.csv", columns, rows)
    rows = [(step, -90 + step, -95 + step) for step in steps]
    files.write_csv(tmp_path / "monitor.csv", MONITOR, [dict(zip(MONITOR, row, strict=True)) for row in rows])
    files.write_json(tmp_path / "eval.json", numbers(("test", "unseen")))
    files.write_csv(tmp_path / "adherence.csv", ADHERENCE, adherence_rows())
    return tmp_path


def numbers(splits, specifications=True) -> dict[str, float]:
    """What evaluate writes, as far as the figures read it: base 0.25, sft 0.5, dpo 0.75, intervals of 0.1 either way."""
    values = {}
    for place, model in enumerate(("base", "sft", "dpo")):
        value = 0.25 * (place + 1)
        for split in splits:
            names = ["pref_acc", "ended"] + ["reward_acc"] * (model != "sft") + ["dread"] * specifications
            for key in [f"{model}.{split}.{name}" for name in names]:
                values |= {key: value, f"{key}_low": value - 0.1, f"{key}_high": value + 0.1}
            names = ["length", "repetition"] + ["kl"] * (model != "sft") + ["ceiling"] * specifications
            values |= {f"{model}.{split}.{name}": 0.9 if name == "ceiling" else value for name in names}
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


def ticks(axes) -> list[str]:
    return [tick.get_text() for tick in axes.get_xticklabels()]


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_curves_draw_the_monitor_left_and_the_rewards_right(folder):
    left, right = plots.curves(folder / "monitor.csv", folder / "dpo.csv").axes
    assert line(left, "chosen") == [(0, -90), (10, -80), (20, -70)]
    assert line(left, "rejected") == [(0, -95), (10, -85), (20, -75)]
    assert line(right, "chosen") == [(0, 0), (10, 1), (20, 2)]
    assert line(right, "rejected") == [(0, 0), (10, -2), (20, -4)]
    assert line(right, "margins") == [(0, 0), (10, 3), (20, 6)]


@pytest.mark.parametrize(
    ("logps", "scale", "least"), [([-1100, -60, -20], "symlog", 5), ([-310, -300, -290], "linear", 5)]
)
def test_the_axis_of_log_probs_is_labelled_whatever_their_range(folder, logps, scale, least):
    rows = [dict(zip(MONITOR, (step, value, value), strict=True)) for step, value in enumerate(logps)]
    files.write_csv(folder / "monitor.csv", MONITOR, rows)
    figure = plots.curves(folder / "monitor.csv", folder / "dpo.csv")
    save(figure, folder / "a.png")
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    labelled = [tick for tick in axes.get_yticks() if low <= tick <= high]
    texts = [text.get_text() for text in axes.get_yticklabels() if low <= text.get_position()[1] <= high]
    assert axes.get_yscale() == scale
    assert len(labelled) >= least
    assert [float(text.replace("\u2212", "-")) for text in texts] == labelled


def test_without_monitor_pairs_the_rewards_stand_alone(folder):
    files.write_csv(folder / "monitor.csv", MONITOR, [])
    (axes,) = plots.curves(folder / "monitor.csv", folder / "dpo.csv").axes
    assert legend(axes) == ["chosen", "rejected", "margins"]


def test_losses_mark_the_step_whose_weights_were_kept(folder):
    panels = plots.losses({stage: str(folder / stage) for stage in ("pretrain", "sft", "dpo")}).axes
    assert line(panels[0], "validation") == [(0, 3), (10, 1), (20, 2)]
    assert line(panels[1], "kept: step 10") == [(10, 1)]
    assert line(panels[2], "training") == [(0, 3), (10, 1), (20, 2)]


@pytest.mark.parametrize(("start", "drawn"), [(0.693147, [math.log(2)] * 2), (25.0, None)])
def test_log_2_is_drawn_if_the_loss_starts_there_and_not_for_another_loss(folder, start, drawn):
    rows = [{"step": 0, "loss": start}, {"step": 10, "loss": 0.5}]
    files.write_csv(folder / "dpo/val.csv", ["step", "loss"], rows)
    panel = plots.losses({"dpo": folder / "dpo"}).axes[0]
    found = [list(line.get_ydata()) for line in panel.lines if line.get_label() == "log 2"]
    assert found == ([] if drawn is None else [drawn])


def test_a_stage_that_did_not_train_has_its_validation_loss_alone(folder):
    files.write_csv(folder / "pretrain/train.csv", ["step", "loss"], [])
    panel = plots.losses({"pretrain": str(folder / "pretrain")}).axes[0]
    assert "training" not in [drawn.get_label() for drawn in panel.lines]


def test_before_and_after_show_dread_per_split_and_model_and_adherence_per_slot(folder):
    left, right = plots.before_after(folder / "eval.json", folder / "adherence.csv").axes
    assert ticks(left) == ["test", "unseen"]
    assert heights(left) == [0.25, 0.25, 0.5, 0.5, 0.75, 0.75]
    assert ticks(right) == list(SLOTS)
    assert legend(right) == ["sft, test", "sft, unseen", "dpo, test", "dpo, unseen"]
    assert heights(right) == [round(0.1 * place, 6) for place in range(7)] * 4


def test_labels_of_other_prompts_stand_where_they_belong_and_are_slanted_if_they_are_long(folder):
    slots = {"test": ["taboo rule", "supporting character", "important object"], "unseen": ["important object"]}
    slots["test"] += ["a label of many words", "another label of many words"]
    rows = [
        dict(zip(ADHERENCE, (model, split, slot, 0.5), strict=True))
        for model in ("sft", "dpo")
        for split, labels in slots.items()
        for slot in labels
    ]
    files.write_csv(folder / "adherence.csv", ADHERENCE, rows)
    files.write_json(folder / "eval.json", numbers(("test", "unseen"), specifications=False))
    left, right = plots.before_after(folder / "eval.json", folder / "adherence.csv").axes
    assert left.get_title() == "Samples that reached end of text"
    assert ticks(right) == slots["test"]
    unseen = [bar.get_x() + bar.get_width() / 2 for bar in right.patches if bar.get_hatch()]
    assert [round(x) for x in unseen] == [2, 2]
    assert right.get_xticklabels()[0].get_rotation() == 30


def test_bars_of_the_unseen_split_are_hatched(folder):
    left, right = plots.before_after(folder / "eval.json", folder / "adherence.csv").axes
    assert [bar.get_hatch() for bar in left.patches] == ["", "///"] * 3
    assert [bool(bar.get_hatch()) for bar in right.patches] == ([False] * 7 + [True] * 7) * 2


def test_an_interval_reaches_from_low_to_high(folder):
    left = plots.before_after(folder / "eval.json", folder / "adherence.csv").axes[0]
    reached = [[list(bar[:, 1].round(6)) for bar in bars.get_segments()] for bars in left.collections]
    assert reached == [[[0.15, 0.35]] * 2, [[0.4, 0.6]] * 2, [[0.65, 0.85]] * 2]


def test_prompts_that_are_no_specifications_are_compared_without_dread_and_adherence(folder):
    files.write_json(folder / "eval.json", numbers(("test",), specifications=False))
    files.write_csv(folder / "adherence.csv", ADHERENCE, [])
    panels = plots.before_after(folder / "eval.json", folder / "adherence.csv").axes
    assert [panel.get_title() for panel in panels] == [
        "Length of the samples",
        "Samples that reached end of text",
        "Repetition within a sample",
        "KL(DPO || SFT)",
    ]
    assert [heights(panel) for panel in panels] == [[0.25, 0.5, 0.75]] * 3 + [[0.75]]
    assert [text.get_text() for text in panels[0].texts] == ["0.25", "0.5", "0.75"]


def test_accuracies_show_every_model_and_reward_accuracies_the_dpo_model_alone(folder):
    left, right = plots.accuracies(folder / "eval.json").axes
    assert ticks(left) == ticks(right) == ["test", "unseen"]
    assert heights(left) == [0.25, 0.25, 0.5, 0.5, 0.75, 0.75]
    assert heights(right) == [0.75, 0.75]
    assert legend(right) == ["0.5: the reference (sft), by construction", "ceiling", "dpo"]


def test_accuracies_of_strata_stand_beside_their_split_and_the_ceilings_are_lines(folder):
    whole = numbers(("test", "unseen"))
    strata = {key.replace(".test.", ".test.degree."): value / 2 for key, value in whole.items() if ".test." in key}
    files.write_json(folder / "eval.json", whole | strata)
    panel = plots.accuracies(folder / "eval.json").axes[0]
    assert ticks(panel) == ["test", "test\ndegree", "unseen"]
    assert heights(panel) == [0.25, 0.125, 0.25, 0.5, 0.25, 0.5, 0.75, 0.375, 0.75]
    (ceilings,) = [drawn for drawn in panel.collections if drawn.get_label() == "ceiling"]
    assert [round(float(segment[0][1]), 6) for segment in ceilings.get_segments()] == [0.9, 0.45, 0.9]


def test_accuracies_without_the_rules_labels_have_no_ceiling(folder):
    files.write_json(folder / "eval.json", numbers(("test",), specifications=False))
    assert legend(plots.accuracies(folder / "eval.json").axes[0]) == ["0.5: chance", "base", "sft", "dpo"]


def test_a_legend_covers_neither_data_nor_labels(folder):
    for figure in (plots.curves(folder / "monitor.csv", folder / "dpo.csv"), plots.accuracies(folder / "eval.json")):
        save(figure, folder / "a.png")
        for axes in figure.axes:
            legend_box = axes.get_legend().get_window_extent()
            assert not legend_box.overlaps(axes.get_window_extent())
            assert not legend_box.overlaps(axes.xaxis.get_tightbbox())


def test_the_same_input_gives_the_same_bytes(folder):
    for name in ("a.png", "b.png"):
        save(plots.curves(folder / "monitor.csv", folder / "dpo.csv"), folder / name)
    first = (folder / "a.png").read_bytes()
    assert first.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert struct.unpack(">II", first[16:24]) == (11 * DPI, round(4.2 * DPI))
    assert first == (folder / "b.png").read_bytes()
    assert b"Software" not in first
    assert sorted(path.name for path in folder.glob("*.png")) == ["a.png", "b.png"]


def test_the_users_own_style_changes_no_byte(folder):
    save(plots.curves(folder / "monitor.csv", folder / "dpo.csv"), folder / "a.png")
    with matplotlib.rc_context({"font.family": "serif", "axes.grid": True, "lines.linewidth": 4, "savefig.dpi": 30}):
        save(plots.curves(folder / "monitor.csv", folder / "dpo.csv"), folder / "b.png")
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()


def test_a_missing_column_is_named(folder):
    with pytest.raises(DataError, match=r"dpo.csv: no column logps/chosen; found step, rewards/chosen"):
        plots.curves(folder / "dpo.csv", folder / "dpo.csv")


@pytest.mark.parametrize("key", ["dpo.test.dread_low", "sft.test.dread", "base.unseen.dread"])
def test_a_missing_number_is_named(folder, key):
    values = numbers(("test", "unseen"))
    del values[key]
    files.write_json(folder / "eval.json", values)
    with pytest.raises(DataError, match=f"eval.json: no {key}; run the evaluate stage again"):
        plots.before_after(folder / "eval.json", folder / "adherence.csv")


def test_an_evaluation_without_accuracies_is_an_error_and_no_empty_figure(folder):
    files.write_json(folder / "eval.json", {"base.sft_loss": 1.0})
    with pytest.raises(DataError, match=r"no base.test.pref_acc"):
        plots.accuracies(folder / "eval.json")
