from pathlib import Path

import pytest
import torch

from picollm.core import files
from picollm.model.directory import load_model
from picollm.preference.snapshots import Snapshots, snapshot_steps
from picollm.text.tokenizer import train_bpe
from picollm.training.loop import fit
from picollm.training.resume import State
from picollm.training.run import History
from tests.tiny import pair_rows, preference_run, tiny_model


def make_run(model, **settings):
    return preference_run(model, pair_rows(20), pair_rows(6, seed=9), steps=6, validate_every=2, **settings)


@pytest.mark.parametrize(
    ("steps", "validate_every", "count", "expected"),
    [
        (120, 30, 4, {30, 60, 90, 120}),
        (120, 30, 2, {60, 120}),
        (120, 30, 9, {30, 60, 90, 120}),
        (100, 30, 1, {100}),
        (100, 30, 3, {30, 60, 100}),
        (5, 30, 2, {5}),
        (120, 30, 0, set()),
    ],
)
def test_snapshots_are_spread_evenly_over_the_validations_and_end_with_the_last(steps, validate_every, count, expected):
    assert snapshot_steps(steps, validate_every, count) == expected


def test_a_snapshot_holds_the_weights_of_its_step_and_outlives_the_process_that_kept_it(tmp_path):
    tokenizer = train_bpe(iter(["the cat sat on the mat"]), 270)
    model = tiny_model(vocab_size=tokenizer.vocab_size)
    run, state = make_run(model, snapshots=3), State(tmp_path / "state")
    weights = {}
    for step in fit(run, History(), state):
        Snapshots(run, state, tokenizer, 3).keep(step)  # a new object each time, as after a kill
        weights[step] = {name: value.clone() for name, value in model.state_dict().items()}
    output = tmp_path / "snapshots"
    (output / "000099").mkdir(parents=True)  # of an earlier run
    Snapshots(run, state, tokenizer, 3).write(output, 5)
    assert files.read_json(output / "steps.json") == [2, 4]  # a later one is of an attempt that was killed
    assert sorted(path.name for path in output.iterdir()) == ["000002", "000004", "steps.json"]
    for step in (2, 4):
        kept = load_model(output / f"{step:06d}").state_dict()
        assert all(torch.equal(kept[name], value) for name, value in weights[step].items())


def test_without_snapshots_there_are_only_their_steps(tmp_path):
    tokenizer = train_bpe(iter(["the cat sat on the mat"]), 270)
    run = make_run(tiny_model(vocab_size=tokenizer.vocab_size))
    snapshots = Snapshots(run, State(tmp_path / "state"), tokenizer, 0)
    snapshots.keep(6)
    snapshots.write(tmp_path / "snapshots", 6)
    assert [path.name for path in Path(tmp_path / "snapshots").iterdir()] == ["steps.json"]
    assert files.read_json(tmp_path / "snapshots/steps.json") == []
