from picollm.core import files
from picollm.training.run import History
from tests.training.test_loop import finish, make_run


def test_history_is_written_as_dense_csv_and_numbers_without_a_time(tmp_path):
    run = make_run()
    history = finish(run)
    history.write(run, str(tmp_path / "plots"), str(tmp_path / "metrics.json"))
    train, validation = (files.read_csv(tmp_path / "plots" / f"{name}.csv") for name in ("train", "val"))
    assert train["step"] == [1, 2, 3, 4, 5, 6]
    assert validation["step"] == [0, 2, 4, 6]
    numbers = files.read_json(tmp_path / "metrics.json")
    assert numbers["best_loss"] == min(validation["loss"])
    assert numbers["parameters"] == sum(parameter.numel() for parameter in run.model.parameters())
    assert not (tmp_path / "plots/monitor.csv").exists()


def test_a_stages_own_rows_are_written_beside_the_others(tmp_path):
    run = make_run()
    history = finish(run)
    history.monitor = [{"step": 0, "chosen_logps": -1.5}]
    history.write(run, str(tmp_path), str(tmp_path / "metrics.json"))
    assert files.read_csv(tmp_path / "monitor.csv") == {"step": [0.0], "chosen_logps": [-1.5]}


def test_stale_counts_the_validations_since_the_best():
    history = History(validation=[{"step": step} for step in (0, 2, 4, 6)], best_step=2)
    assert history.stale == 2
