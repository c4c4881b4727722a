"""fit(): the one loop of pretraining, SFT and DPO."""

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from picollm.batching.batch import share, step_rows
from picollm.batching.rows import Rows
from picollm.core.errors import Interrupted, TrainingError
from picollm.model.runtime import autocast, compiles
from picollm.training import distributed, interrupt
from picollm.training.objective import Sums
from picollm.training.optim import make_optimizer, schedule
from picollm.training.resume import State
from picollm.training.run import History, Run, Window, means


def steps_for(epochs: float, rows: int, batch_size: int) -> int:
    """Optimiser steps that read `rows` rows `epochs` times."""
    return max(1, math.ceil(epochs * rows / batch_size))


def fit(run: Run, history: History, state: State) -> Iterator[int]:
    """Train `run.model` in place, from the newest `state` if there is one; yield the step after each validation.

    The first validation comes before any training. When the generator ends the model holds the weights of its best validation
    loss. Raises TrainingError when a loss or a gradient is not finite, Interrupted, after saving `state`, on SIGTERM or Ctrl-C.
    """
    compile_blocks(run)
    live = Live(run, history)
    live.restore(state)
    step_objective = distributed.replicated(run.model, run.objective, run.strategy)
    hidden = None if distributed.is_main() else True  # None: shown on a terminal only
    progress = tqdm(total=run.steps, initial=live.step, desc=run.name, unit="step", disable=hidden)
    with interrupt.postponed():
        try:
            while True:
                if live.validation_due():
                    progress.write(live.validate())
                    yield live.step
                if live.finished():
                    break
                live.train(step_objective, progress)
                if live.step % run.settings.checkpoint_every == 0:
                    live.save(state)
            interrupt.check()  # one that came during the last validation
        except Interrupted:
            live.save(state)
            distributed.wait()  # torchrun ends the others once one has ended, and the main one may still be writing
            raise
    progress.close()
    live.take_best()


def compile_blocks(run: Run) -> None:
    """Compile the model's blocks, in place, where `run.compile` says so or the run is long enough. The last leaves
    out what is not wanted, the others are alike: two compilations, however many layers. Attention's rectangles are others in each
    batch and stay outside."""
    if compiles(run.compile, run.device, run.flops / distributed.world_size()):
        if distributed.is_main():
            print(f"{run.name}: compiling the model", flush=True)
        run.model.attend = torch.compiler.disable(run.model.attend)
        for block in run.model.model.layers:
            block.compile(dynamic=True)


class Live:
    """Everything that changes while a run trains; a saved state is all of it, between two steps.

    Data order depends on (seed, step) alone and the model has no dropout, so there is no generator to save.
    """

    def __init__(self, run: Run, history: History):
        self.run, self.history, self.step = run, history, 0
        self.optimizer = make_optimizer(distributed.weights(run.model).values(), run.settings)
        self.window = Window(run)
        self.best = {name: weight.detach().clone() for name, weight in distributed.weights(run.model).items()}

    def validation_due(self) -> bool:
        due = self.step % self.run.settings.validate_every == 0 or self.step == self.run.steps
        done = self.history.validation and self.history.validation[-1]["step"] == self.step
        return due and not done

    def finished(self) -> bool:
        return self.step == self.run.steps or self.history.stale >= self.run.settings.patience

    def validate(self) -> str:
        """Append a validation row and keep the weights if they are the best so far; a line that says so."""
        run, history = self.run, self.history
        total = measure(run, run.validation, np.arange(len(run.validation.lengths)))
        row = {"step": self.step, **means(run, total, f"validation at step {self.step}")}
        history.validation.append(row)
        if history.best_loss is None or row["loss"] < history.best_loss:
            history.best_loss, history.best_step = row["loss"], self.step
            self._copy(from_=distributed.weights(run.model), to=self.best)
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "step")
        return f"{run.name}: step {self.step}/{run.steps}: validation {numbers} (best: step {history.best_step})"

    def train(self, step_objective: Callable, progress: tqdm) -> None:
        """Take one optimiser step and log it where a row is due."""
        run, history = self.run, self.history
        lr = run.settings.lr * schedule(self.step, run.steps, run.settings)
        self.window.add(*train_step(run, step_objective, self.optimizer, self.step, lr))
        self.step += 1
        history.steps, history.tokens = self.step, self.window.tokens
        if self.step % run.settings.log_every == 0 or self.step == run.steps:
            history.train.append(self.window.row(self.step, lr))
            progress.set_postfix_str(f"loss {history.train[-1]['loss']:.3f}, {self.window.speed:,.0f} tokens/s")
        progress.update()

    def take_best(self) -> None:
        self._copy(from_=self.best, to=distributed.weights(self.run.model))

    def save(self, state: State) -> None:
        if self.step == 0:
            return  # nothing is trained yet
        progress = {"history": dataclasses.asdict(self.history), "step": self.step}
        whole = {name: distributed.full_on_main(tensor) for name, tensor in self._tensors().items()}
        state.save(self.step, whole, progress)

    def restore(self, state: State) -> None:
        """Go on from the newest saved state, where there is one."""
        saved = state.load()
        if saved is None:
            return
        tensors, progress = saved
        print(f"{self.run.name}: going on from step {progress['step']}", flush=True)
        self.step = progress["step"]
        for name, value in progress["history"].items():
            setattr(self.history, name, value)
        weights = distributed.weights(self.run.model)
        for name, weight in weights.items():
            moments = _below(f"optimizer.{name}.", tensors)
            self.optimizer.state[weight] = {
                key: distributed.divided_like(moment, weight) if moment.ndim else moment.to(weight.device)
                for key, moment in moments.items()
            }
        for prefix, target in (("model.", weights), ("best.", self.best)):
            source = _below(prefix, tensors)
            whole = {name: distributed.divided_like(source[name], weight) for name, weight in target.items()}
            self._copy(from_=whole, to=target)
        self.window.restore(_below("window.", tensors), self.history.tokens)

    def _tensors(self) -> dict[str, Tensor]:
        weights = distributed.weights(self.run.model)
        tensors = {f"model.{name}": weight.detach() for name, weight in weights.items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
        for name, weight in weights.items():
            tensors |= {f"optimizer.{name}.{key}": moment for key, moment in self.optimizer.state[weight].items()}
        return tensors | {f"window.{name}": tensor for name, tensor in self.window.tensors().items()}

    @staticmethod
    @torch.no_grad()
    def _copy(from_: dict[str, Tensor], to: dict[str, Tensor]) -> None:
        for name, target in to.items():
            target.copy_(from_[name])


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def check_start(run: Run, expected: float) -> None:
    """Raise TrainingError unless the first training batch's preference loss is `expected`, to 1e-4 of it (or of 1) in float32
    and to 1e-2 in tf32 and bfloat16, whose rounding depends on what shares a batch.

    A policy that starts as its own reference has margin 0 on every pair; anything else means that the reference log-probs
    belong to another model, other pairs or another precision.
    """
    rows = step_rows(len(run.train.lengths), run.settings.batch_size, run.seed, 0)
    total = measure(run, run.train, rows)
    found = (total.metrics["preference_loss"] / total.count).item()
    tolerance = 1e-4 if run.precision == "float32" else 1e-2
    if not abs(found - expected) <= tolerance * max(1.0, expected):
        raise TrainingError(
            f"{run.name}: the first loss is {found:.6f}; policy == reference implies {expected:.6f}. The reference "
            "log-probs do not belong to this model and these pairs: run the reference stage again"
        )


def train_step(
    run: Run, step_objective: Callable, optimizer: torch.optim.Optimizer, step: int, lr: float
) -> tuple[Sums, Tensor, int]:
    """One optimiser step over its micro-batches: sums over the whole batch, its gradient norm, tokens read."""
    rows = step_rows(len(run.train.lengths), run.settings.batch_size, run.seed, step)
    micros = _share(run, run.train, rows)
    total, tokens = None, 0
    for number, (micro, counts) in enumerate(micros, start=1):
        interrupt.check()
        batch = run.train.batch(micro).to(run.device)
        with distributed.accumulating(step_objective, last=number == len(micros)):
            with autocast(run.device, run.precision):
                sums = step_objective(batch)
            sums = sums if counts else sums.nothing()
            (sums.loss * distributed.world_size()).backward()  # between processes gradients are averaged
        total = sums if total is None else total.plus(sums)
        tokens += counts * batch.input_ids.numel()
    total, tokens = _over_processes(total, tokens)
    parameters = list(distributed.weights(run.model).values())
    torch._foreach_div_([distributed.local(parameter.grad) for parameter in parameters], total.count)
    norm = distributed.full(torch.nn.utils.clip_grad_norm_(parameters, run.settings.grad_clip))
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    return total, norm, tokens


@torch.no_grad()
def measure(run: Run, source: Rows, rows: np.ndarray) -> Sums:
    """The objective's sums over some rows, without gradients."""
    total = None
    for micro, counts in _share(run, source, rows):
        interrupt.check()
        with autocast(run.device, run.precision):
            sums = run.objective(run.model, source.batch(micro).to(run.device))
        sums = sums if counts else sums.nothing()
        total = sums if total is None else total.plus(sums)
    return _over_processes(total, 0)[0]


def _share(run: Run, source: Rows, rows: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    size = run.settings.micro_batch_size
    return share(rows, source.lengths, size, distributed.rank(), distributed.world_size())


def _over_processes(total: Sums, tokens: int) -> tuple[Sums, int]:
    """Sums and tokens of all processes together."""
    if distributed.world_size() == 1:
        return total, tokens
    numbers = [total.loss.detach(), total.count, *total.metrics.values()]
    added = distributed.add_up(torch.stack([number.double() for number in numbers]))
    loss, count, *metrics = added.unbind()
    return Sums(loss, count, dict(zip(total.metrics, metrics, strict=True))), distributed.sum_of(tokens)
