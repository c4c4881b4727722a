import pandas as pd

from picollm.core import files
from picollm.evaluation.track import TRACK
from picollm.lab.drawing import save
from picollm.lab.track import track


def test_both_steps_are_marked_and_each_panel_shows_its_column(tmp_path):
    rows = [{name: place + step for place, name in enumerate(TRACK)} | {"step": step} for step in (30, 60, 90)]
    pd.DataFrame(rows).to_csv(tmp_path / "track.csv", index=False)
    files.write_json(tmp_path / "eval.json", {"track.kept_step": 60, "track.best_step": 90, "track.regret": 1.25})
    figure = track(tmp_path / "track.csv", tmp_path / "eval.json")
    reward, losses, kl, logps = figure.axes[:4]
    assert "costs 1.2" in reward.get_title()
    assert reward.lines[0].get_xydata().tolist() == [[step, step + TRACK.index("reward")] for step in (30, 60, 90)]
    assert [line.get_xdata()[0] for line in losses.lines[1:]] == [60, 90]
    assert len(logps.lines) == 4 and len(kl.lines) == 3
    save(figure, tmp_path / "track.png")


def test_without_snapshots_the_figure_says_so(tmp_path):
    pd.DataFrame(columns=list(TRACK)).to_csv(tmp_path / "track.csv", index=False)
    files.write_json(tmp_path / "eval.json", {})
    (axes,) = track(tmp_path / "track.csv", tmp_path / "eval.json").axes
    assert "No true reward along this run" in axes.texts[0].get_text()
