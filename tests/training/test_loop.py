import dataclasses
import math
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from picollm.core.errors import Interrupted, TrainingError
from picollm.preference.objective import preference
from picollm.training.language_model import language_modelling
from picollm.training.loop import fit, steps_for
from picollm.training.resume import State
from picollm.training.run import History, Run
from tests.tiny import dpo, pair_rows, response_rows, tiny_model, training

ROOT = Path(__file__).parents[2]


def make_run(model=None, objective=language_modelling, train=None, validation=None, steps=6, **settings) -> Run:
    return Run(
        name="sft",
        model=model or tiny_model(),
        objective=objective,
        train=train or response_rows(20),
        validation=validation or response_rows(6, seed=9),
        settings=training(**settings),
        steps=steps,
        seed=(4,),
        precision="float32",
        strategy="ddp",
        compile="off",
    )


def finish(run: Run, state: State | None = None) -> History:
    history = History()
    with tempfile.TemporaryDirectory() as folder:
        for _ in fit(run, history, state or State(Path(folder))):
            pass
    return history


@pytest.mark.parametrize("objective", ["language_modelling", "sigmoid", "ipo"])
def test_one_step_equals_adamw_on_the_mean_loss_written_out(objective):
    """The golden step. If it fails, the loop no longer takes one AdamW step on the mean loss of the whole batch."""
    model, by_hand = tiny_model(), tiny_model()
    if objective == "language_modelling":
        rows, loss = response_rows(8), language_modelling
    else:
        rows, loss = pair_rows(8), preference(dpo(loss=objective, beta=0.2, label_smoothing=0.1, sft_weight=0.5))
    run = make_run(model, loss, rows, rows, steps=1, micro_batch_size=3, warmup=0.0)
    sums = loss(by_hand, rows.batch(np.arange(8)))
    (sums.loss / sums.count).backward()
    parameters = dict(by_hand.named_parameters())
    norm = torch.sqrt(sum((parameter.grad**2).sum() for parameter in parameters.values()))
    for name, parameter in parameters.items():
        gradient = parameter.grad * min(1.0, 1.0 / (norm.item() + 1e-6))
        decay = 0.1 if ".layers." in name and parameter.ndim == 2 else 0.0
        eps = 0.12 / math.sqrt(parameter.numel()) if ".layers." not in name and parameter.ndim == 2 else 1e-8
        with torch.no_grad():
            # After one step Adam's bias-corrected moments are the gradient and its square.
            parameter.mul_(1 - 1e-2 * decay).sub_(1e-2 * gradient / (gradient.abs() + eps))
    trained = {name: value.clone() for name, value in _after_steps(run).items()}
    for (name, expected), found in zip(by_hand.state_dict().items(), trained.values(), strict=True):
        assert torch.allclose(found, expected, atol=2e-5), name


def _after_steps(run: Run) -> dict[str, torch.Tensor]:
    """The weights after the last step, before the best ones are put back."""
    with tempfile.TemporaryDirectory() as folder:
        for step in fit(run, History(), State(Path(folder))):
            if step == run.steps:
                return run.model.state_dict()
    raise AssertionError("the run did not reach its last step")


@pytest.mark.slow  # it waits for the C++ compiler
@pytest.mark.filterwarnings("ignore")  # those that torch.compile raises and hides itself
@pytest.mark.parametrize("objective", ["language_modelling", "sigmoid"])
def test_a_compiled_run_has_the_losses_of_one_that_is_not_and_as_many_compilations_for_any_number_of_layers(objective):
    if objective == "language_modelling":
        loss, rows = language_modelling, response_rows(20)
    else:
        loss, rows = preference(dpo(loss=objective, beta=0.2, label_smoothing=0.1, sft_weight=0.5)), pair_rows(20)
    graphs = []
    for layers in (2, 4):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        plain, compiled = (
            finish(
                dataclasses.replace(make_run(tiny_model(num_hidden_layers=layers), loss, rows, rows), compile=wanted)
            )
            for wanted in ("off", "on")
        )
        graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
        for left, right in zip(plain.train + plain.validation, compiled.train + compiled.validation, strict=True):
            assert left["loss"] == pytest.approx(right["loss"], rel=1e-4)
    assert graphs[0] == graphs[1] > 0


def test_micro_batch_size_changes_neither_losses_nor_gradient_norms():
    histories = [finish(make_run(micro_batch_size=size)) for size in (1, 2, 8)]
    for history in histories[1:]:
        for row, first in zip(history.train, histories[0].train, strict=True):
            assert row["num_tokens"] == first["num_tokens"]
            assert row["loss"] == pytest.approx(first["loss"], abs=1e-5)
            assert row["grad_norm"] == pytest.approx(first["grad_norm"], abs=1e-4)


@pytest.mark.parametrize("objective", ["language_modelling", "sigmoid"])
def test_losses_and_gradients_are_those_of_padded_rows_computed_one_token_after_the_other(objective):
    """Packing and the shared prompt of a pair change nothing: the plain computation pads rows and repeats prompts."""
    model, plain = tiny_model(), tiny_model()
    if objective == "language_modelling":
        rows, loss = response_rows(6), language_modelling
        sequences, starts = rows.sequences, rows.prompt_lengths
    else:
        rows, loss = pair_rows(6), preference(dpo())
        sequences = [
            np.concatenate(pair)
            for side in (rows.chosen, rows.rejected)
            for pair in zip(rows.prompts, side, strict=True)
        ]
        starts = [len(prompt) for prompt in rows.prompts] * 2
    sums = loss(model, rows.batch(np.arange(6)))
    sums.loss.backward()
    logps = []
    for padding in (0, 5):
        ids = torch.zeros(len(sequences), max(map(len, sequences)) + padding, dtype=torch.int64)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.from_numpy(sequence)
        table = plain(ids).log_softmax(dim=-1)
        picked = [
            table[row, start - 1 : len(sequence) - 1].gather(1, torch.from_numpy(sequence[start:])[:, None]).sum()
            for row, (sequence, start) in enumerate(zip(sequences, starts, strict=True))
        ]
        logps.append(torch.stack(picked))
    assert torch.allclose(logps[0], logps[1], atol=1e-5)
    if objective == "language_modelling":
        expected = -logps[0].sum()
    else:
        chosen, rejected = (logps[0] - torch.tensor(rows.reference_logps.T.reshape(-1), dtype=torch.float32)).chunk(2)
        expected = -torch.nn.functional.logsigmoid(0.1 * (chosen - rejected)).sum()
    expected.backward()
    assert sums.loss.item() == pytest.approx(expected.item(), abs=1e-5 * len(sequences))
    for (name, found), wanted in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(found.grad, wanted.grad, atol=1e-4), name


def test_the_same_run_twice_is_equal_to_the_bit_and_another_seed_is_not():
    states = []
    for seed in ((4,), (4,), (4, 5)):
        run = make_run()
        run = Run(**{**vars(run), "seed": seed})
        finish(run)
        states.append(run.model.state_dict()["model.embed_tokens.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_the_model_ends_with_the_weights_of_its_best_validation_loss():
    rows = response_rows(6, seed=9)
    run = make_run(train=response_rows(4), validation=rows, steps=30, lr=5e-2, batch_size=4, validate_every=3)
    history = finish(run)
    losses = {row["step"]: row["loss"] for row in history.validation}
    assert history.best_step == min(losses, key=losses.get) < 30  # four rows are soon overfitted
    sums = language_modelling(run.model, rows.batch(np.arange(6)))
    assert (sums.loss / sums.count).item() == pytest.approx(history.best_loss, abs=1e-5)


def test_training_stops_after_patience_validations_without_improvement_and_says_so(capsys):
    run = make_run(train=response_rows(4), steps=200, lr=5e-2, batch_size=4, validate_every=2, patience=3)
    history = finish(run)
    assert history.steps < 200
    assert history.validation[-1]["step"] == history.best_step + 3 * 2
    assert (
        f"sft: early stopping at step {history.steps}: no validation loss below that of step {history.best_step} "
        "in the last 3 validations (patience)\n"
    ) in capsys.readouterr().out


def test_a_loss_that_is_not_finite_stops_with_the_step_and_what_to_do():
    model = tiny_model()
    with torch.no_grad():
        model.model.norm.weight.fill_(math.inf)
    with pytest.raises(TrainingError, match=r"sft: the loss is nan \(validation at step 0\).*Lower sft.lr"):
        finish(make_run(model))


def test_zero_steps_measure_and_change_nothing():
    run = make_run(steps=0)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    history = finish(run)
    assert [row["step"] for row in history.validation] == [0]
    assert all(torch.equal(before[name], value) for name, value in run.model.state_dict().items())


def test_in_bfloat16_a_run_has_nearly_the_losses_of_float32():
    exact, rough = make_run(), dataclasses.replace(make_run(), precision="bfloat16")
    for row, other in zip(finish(rough).train, finish(exact).train, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=2e-2)
        assert row["loss"] != other["loss"]
        assert row["grad_norm"] == pytest.approx(other["grad_norm"], rel=0.1)


def test_epochs_become_steps_that_read_all_rows():
    assert steps_for(1, 100, 32) == 4
    assert steps_for(0.5, 100, 10) == 5
    assert steps_for(0.001, 100, 32) == 1


def signalling(objective, call: int):
    """The objective, whose `call`-th call sends this process SIGTERM."""
    calls = 0

    def signals(model, batch):
        nonlocal calls
        calls += 1
        if calls == call:
            signal.raise_signal(signal.SIGTERM)
        return objective(model, batch)

    return signals


@pytest.mark.parametrize("objective", ["language_modelling", "sigmoid"])
def test_a_run_that_a_signal_stops_anywhere_ends_as_if_it_had_not_been_stopped(objective, tmp_path):
    """Every micro-batch of the run, of training and of validation, is stopped at once: 12 + 4 x 2 of them."""

    def fresh(loss) -> Run:
        rows = (
            (response_rows(20), response_rows(6, seed=9))
            if objective == "language_modelling"
            else (pair_rows(20), pair_rows(6))
        )
        optimizer = "muon" if objective == "language_modelling" else "adamw"
        return make_run(None, loss, *rows, optimizer=optimizer, log_every=4, checkpoint_every=3)

    loss = language_modelling if objective == "language_modelling" else preference(dpo())
    whole = fresh(loss)
    expected = finish(whole)
    stopped = 0
    for call in range(1, 21):
        state = State(tmp_path / str(call))
        try:
            finish(fresh(signalling(loss, call)), state)
        except Interrupted:
            stopped += 1
        again = fresh(loss)
        history = finish(again, state)
        assert history == expected, f"stopped at micro-batch {call}"
        assert list(history.validation[0]) == list(expected.validation[0])  # the columns of both CSV files
        for name, weight in whole.model.state_dict().items():
            assert torch.equal(again.model.state_dict()[name], weight), f"stopped at micro-batch {call}: {name}"
    assert stopped == 20


KILLED = """
import os, signal, sys
from pathlib import Path
from picollm.core import files
from picollm.training.language_model import language_modelling
from picollm.training.resume import State
from tests.training.test_loop import finish, make_run

calls = 0
def objective(model, batch):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return language_modelling(model, batch)

run = make_run(objective=objective, checkpoint_every=1)
history = finish(run, State(Path(sys.argv[1])))
print(history.train, {name: weight.tolist() for name, weight in run.model.named_parameters()})
"""


def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been_killed(tmp_path):
    """kill -9 in the 5th micro-batch of every start, until the run is through."""

    def start(folder: str, call: int) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", KILLED, str(tmp_path / folder), str(call)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    whole = start("whole", -1)
    assert whole.returncode == 0
    kills = 0
    while (ended := start("killed", 5)).returncode == -signal.SIGKILL:
        kills += 1
    assert kills >= 3
    assert ended.stdout.splitlines()[-1] == whole.stdout.splitlines()[-1]


def test_a_gradient_that_is_not_finite_stops_the_run():
    def objective(model, batch):
        sums = language_modelling(model, batch)
        weight = model.model.norm.weight
        return dataclasses.replace(
            sums, loss=sums.loss + (weight - 1).abs().sqrt().sum()
        )  # its slope at 1 is not finite

    with pytest.raises(TrainingError, match=r"the gradient norm is .* no weights were kept"):
        finish(make_run(objective=objective, steps=1))
