import math

import numpy as np
import pytest
import torch

from picollm import files
from picollm.errors import TrainingError
from picollm.losses import starting_loss
from picollm.objectives import language_modelling, preference
from picollm.scoring import pair_logps
from picollm.train import History, Run, check_start, fit, schedule, steps_for
from tests.tiny import pair_rows, response_rows, tiny_model, training


def make_run(model=None, objective=language_modelling, train=None, validation=None, steps=6, **settings) -> Run:
    return Run(
        name="sft",
        model=model or tiny_model(),
        objective=objective,
        train=train or response_rows(20),
        validation=validation or response_rows(6, seed=9),
        settings=training(**settings),
        steps=steps,
        seed=4,
        precision="float32",
    )


def finish(run: Run) -> History:
    history = History()
    for _ in fit(run, history):
        pass
    return history


@pytest.mark.parametrize("objective", ["language_modelling", "sigmoid", "ipo"])
def test_one_step_equals_adamw_on_the_mean_loss_written_out(objective):
    """The golden step. If it fails, the loop no longer takes one AdamW step on the mean loss of the whole batch."""
    model, by_hand = tiny_model(), tiny_model()
    if objective == "language_modelling":
        rows, loss = response_rows(8), language_modelling
    else:
        rows, loss = pair_rows(8), preference(objective, 0.2, 0.1, 0.5)
    run = make_run(model, loss, rows, rows, steps=1, micro_batch_size=3, warmup=0.0)
    sums = loss(by_hand, rows.batch(np.arange(8)))
    (sums.loss / sums.count).backward()
    parameters = list(by_hand.parameters())
    norm = torch.sqrt(sum((parameter.grad**2).sum() for parameter in parameters))
    for parameter in parameters:
        gradient = parameter.grad * min(1.0, 1.0 / (norm.item() + 1e-6))
        decay = 0.1 if parameter.ndim == 2 else 0.0
        with torch.no_grad():
            # After one step Adam's bias-corrected moments are the gradient and its square.
            parameter.mul_(1 - 1e-2 * decay).sub_(1e-2 * gradient / (gradient.abs() + 1e-8))
    trained = {name: value.clone() for name, value in _after_steps(run).items()}
    for (name, expected), found in zip(by_hand.state_dict().items(), trained.values(), strict=True):
        assert torch.allclose(found, expected, atol=2e-5), name


def _after_steps(run: Run) -> dict[str, torch.Tensor]:
    """The weights after the last step, before the best ones are put back."""
    for step in fit(run, History()):
        if step == run.steps:
            return run.model.state_dict()
    raise AssertionError("the run did not reach its last step")


def test_micro_batch_size_changes_neither_losses_nor_gradient_norms():
    histories = [finish(make_run(micro_batch_size=size)) for size in (1, 4, 8)]
    for history in histories[1:]:
        for row, first in zip(history.train, histories[0].train, strict=True):
            assert row["loss"] == pytest.approx(first["loss"], abs=1e-5)
            assert row["grad_norm"] == pytest.approx(first["grad_norm"], abs=1e-4)


def test_the_same_run_twice_is_equal_to_the_bit_and_another_seed_is_not():
    states = []
    for seed in (4, 4, 5):
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


def test_training_stops_after_patience_validations_without_improvement():
    run = make_run(train=response_rows(4), steps=200, lr=5e-2, batch_size=4, validate_every=2, patience=3)
    history = finish(run)
    assert history.steps < 200
    assert history.validation[-1]["step"] == history.best_step + 3 * 2


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


@pytest.mark.parametrize("loss", ["sigmoid", "ipo"])
def test_a_policy_that_is_its_reference_passes_the_check_of_the_first_loss_and_another_does_not(loss):
    model, rows = tiny_model(), pair_rows(10, reference=False)
    rows.reference_logps = pair_logps(model, rows, 3, "float32")
    objective, expected = preference(loss, 0.1, 0.2, 1.0), starting_loss(loss, 0.1, 0.2)
    check_start(make_run(model, objective, rows, rows), expected)
    with pytest.raises(TrainingError, match="policy == reference implies"):
        check_start(make_run(tiny_model(seed=1), objective, rows, rows), expected)


def test_the_schedule_warms_up_linearly_and_ends_at_its_final_share():
    settings = training(warmup=0.2, final_lr=0.1)
    assert [schedule(step, 10, settings) for step in (0, 1)] == [0.5, 1.0]
    # Half of the remaining eight steps: 0.1 + 0.9 * (1 + cos(pi / 2)) / 2 = 0.55.
    assert schedule(6, 10, settings) == pytest.approx(0.55)
    assert schedule(10, 10, settings) == pytest.approx(0.1)


def test_epochs_become_steps_that_read_all_rows():
    assert steps_for(1, 100, 32) == 4
    assert steps_for(0.5, 100, 10) == 5
    assert steps_for(0.001, 100, 32) == 1


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
