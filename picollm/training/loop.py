"""The training loop of pretraining, SFT and DPO."""

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from picollm.batching.batch import micro_batches_of_rank, step_rows
from picollm.batching.rows import Rows
from picollm.core.errors import Interrupted
from picollm.model.runtime import autocast, should_compile
from picollm.training import distributed, interrupt
from picollm.training.objective import Sums
from picollm.training.optim import make_optimizers, schedule
from picollm.training.resume import State
from picollm.training.run import History, Progress, Run, Window, means


def steps_for(epochs: float, rows: int, batch_size: int) -> int:
    """Number of optimizer steps in `epochs` passes over `rows` rows."""
    return max(1, math.ceil(epochs * rows / batch_size))


def fit(run: Run, history: History, state: State) -> Iterator[int]:
    """Train `run.model` in place, resuming from `state` if there is one; yield the step number after each validation.

    The first validation is before step 1. At the end the model has the weights of the best validation loss. Raises
    TrainingError if a loss or gradient is not finite; on SIGTERM or Ctrl-C saves `state` and raises Interrupted.
    """
    if distributed.is_main():
        print(run.describe(), flush=True)
    compile_blocks(run)
    trainer = Trainer(run, history)
    trainer.restore(state)
    step_objective = distributed.data_parallel(run.model, run.objective, run.strategy)
    progress = Progress(run, trainer.step)
    with interrupt.deferred():
        try:
            while True:
                if trainer.validation_due():
                    progress.write(trainer.validate())
                    yield trainer.step
                if trainer.finished():
                    break
                trainer.train(step_objective, progress)
                if trainer.step % run.settings.checkpoint_every == 0:
                    trainer.save(state)
            interrupt.check()  # for a signal during the last validation
        except Interrupted:
            trainer.save(state)
            distributed.barrier()  # torchrun stops all processes once one has ended; rank 0 may still be writing
            raise
    if trainer.step < run.steps:
        progress.write(
            f"{run.name}: early stopping at step {trainer.step}: no validation loss below that of step {history.best_step} "
            f"in the last {run.settings.patience} validations (patience)"
        )
    progress.close()
    trainer.load_best()


def compile_blocks(run: Run) -> None:
    """Compile the model's blocks in place if `run.compile` is on, or auto and the run is long enough.

    All blocks but the last, which computes fewer outputs, share one compilation. Attention is not compiled: its shapes differ
    from batch to batch.
    """
    if should_compile(run.compile, run.device, run.flops / distributed.world_size()):
        if distributed.is_main():
            print(f"{run.name}: compiling the model", flush=True)
        run.model.attend = torch.compiler.disable(run.model.attend)
        for block in run.model.model.layers:
            block.compile(dynamic=True)


class Trainer:
    """Everything that changes during a run: weights, optimizer, best weights, log. A saved state contains all of it.

    Data order depends only on (seed, step) and the model has no dropout, so there is no random state to save.
    """

    def __init__(self, run: Run, history: History):
        self.run, self.history, self.step = run, history, 0
        parameters = distributed.trained_parameters(run.model)
        self.optimizers = make_optimizers(parameters, run.settings)
        self.window = Window(run)
        self.best = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    def validation_due(self) -> bool:
        due = self.step % self.run.settings.validate_every == 0 or self.step == self.run.steps
        done = self.history.validation and self.history.validation[-1]["step"] == self.step
        return due and not done

    def finished(self) -> bool:
        return self.step == self.run.steps or self.history.validations_since_best >= self.run.settings.patience

    def validate(self) -> str:
        """Append a validation row, keep the weights if they are the best so far, and return a line to print."""
        run, history = self.run, self.history
        total = evaluate(run, run.validation, np.arange(len(run.validation.lengths)))
        row = {"step": self.step, **means(run, total, f"validation at step {self.step}")}
        history.validation.append(row)
        if history.best_loss is None or row["loss"] < history.best_loss:
            history.best_loss, history.best_step = row["loss"], self.step
            _copy(distributed.trained_parameters(run.model), self.best)
        numbers = Progress.format(row, 4)
        return f"{run.name}: step {self.step}/{run.steps}: validation {numbers} (best: step {history.best_step})"

    def train(self, step_objective: Callable, progress: Progress) -> None:
        """Take one optimizer step and append a training row if one is due."""
        run, history = self.run, self.history
        lr = run.settings.lr * schedule(self.step, run.steps, run.settings)
        self.window.add(*train_step(run, step_objective, self.optimizers, self.step, lr))
        self.step += 1
        history.steps, history.tokens = self.step, self.window.tokens
        progress.advance(self.step)
        if self.step % run.settings.log_every == 0 or self.step == run.steps:
            history.train.append(self.window.row(self.step, lr))
            progress.log(history.train[-1], self.window.tokens_per_second)

    def load_best(self) -> None:
        _copy(self.best, distributed.trained_parameters(self.run.model))

    def save(self, state: State) -> None:
        progress = {"history": dataclasses.asdict(self.history), "step": self.step}
        full = {name: distributed.gather_to_main(tensor) for name, tensor in self._tensors().items()}
        state.save(self.step, full, progress)

    def restore(self, state: State) -> None:
        """Resume from the newest saved state, if there is one."""
        saved = state.load()
        if saved is None:
            return
        tensors, progress = saved
        print(f"{self.run.name}: resuming from step {progress['step']}", flush=True)
        self.step = progress["step"]
        vars(self.history).update(progress["history"])
        parameters = distributed.trained_parameters(self.run.model)
        for prefix, targets in (("model.", parameters), ("best.", self.best)):
            values = _with_prefix(prefix, tensors)
            _copy({name: distributed.shard_like(values[name], target) for name, target in targets.items()}, targets)
        for optimizer, parameter, prefix in self._optimized():
            values = _with_prefix(prefix, tensors)
            optimizer.state[parameter] = {
                key: distributed.shard_like(value, parameter) for key, value in values.items()
            }
        self.window.restore(_with_prefix("window.", tensors), self.history.tokens)

    def _tensors(self) -> dict[str, Tensor]:
        parameters = distributed.trained_parameters(self.run.model)
        tensors = {f"model.{name}": parameter.detach() for name, parameter in parameters.items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
        for optimizer, parameter, prefix in self._optimized():
            tensors |= {f"{prefix}{key}": value for key, value in optimizer.state[parameter].items()}
        return tensors | {f"window.{name}": tensor for name, tensor in self.window.tensors().items()}

    def _optimized(self) -> Iterator[tuple[torch.optim.Optimizer, nn.Parameter, str]]:
        """Every parameter with its optimizer and the prefix of its state in a saved state."""
        names = {parameter: name for name, parameter in distributed.trained_parameters(self.run.model).items()}
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    yield optimizer, parameter, f"optimizer.{names[parameter]}."


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def train_step(
    run: Run, step_objective: Callable, optimizers: list[torch.optim.Optimizer], step: int, lr: float
) -> tuple[Sums, Tensor, int]:
    """One optimizer step: the objective's sums over the batch, the gradient norm before clipping, and the tokens of the batch."""
    rows = step_rows(len(run.train.lengths), run.settings.batch_size, run.seed, step)
    micros = _micro_batches(run, run.train, rows)
    total, tokens = None, 0
    for number, (micro, real) in enumerate(micros, start=1):
        interrupt.check()
        batch = run.train.batch(micro).to(run.device)
        with distributed.gradient_sync(step_objective, enabled=number == len(micros)):
            with autocast(run.device, run.precision):
                sums = step_objective(batch)
            sums = sums if real else sums.zeroed()
            # DDP and FSDP average gradients over processes; the factor undoes the division.
            (sums.loss * distributed.world_size()).backward()
        total = sums if total is None else total.plus(sums)
        tokens += real * batch.input_ids.numel()
    total, tokens = _all_reduce(total), int(distributed.all_reduce_sum(torch.tensor(tokens)))
    parameters = list(distributed.trained_parameters(run.model).values())
    torch._foreach_div_([distributed.to_local(parameter.grad) for parameter in parameters], total.count)
    norm = distributed.full_tensor(torch.nn.utils.clip_grad_norm_(parameters, run.settings.grad_clip))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        optimizer.zero_grad()
    return total, norm, tokens


@torch.no_grad()
def evaluate(run: Run, dataset: Rows, rows: np.ndarray) -> Sums:
    """The objective's sums over the given rows of a data set, without gradients."""
    total = None
    for micro, real in _micro_batches(run, dataset, rows):
        interrupt.check()
        with autocast(run.device, run.precision):
            sums = run.objective(run.model, dataset.batch(micro).to(run.device))
        sums = sums if real else sums.zeroed()
        total = sums if total is None else total.plus(sums)
    return _all_reduce(total)


def _micro_batches(run: Run, dataset: Rows, rows: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    size = run.settings.micro_batch_size
    return micro_batches_of_rank(rows, dataset.lengths, size, distributed.rank(), distributed.world_size())


def _all_reduce(total: Sums) -> Sums:
    """The sums over all processes, added in float64."""
    if distributed.world_size() == 1:
        return total
    values = [total.loss.detach(), total.count, *total.metrics.values()]
    loss, count, *metrics = distributed.all_reduce_sum(torch.stack([value.double() for value in values])).unbind()
    return Sums(loss, count, dict(zip(total.metrics, metrics, strict=True)))
