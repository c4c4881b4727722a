"""fit(): the one loop of pretraining, SFT and DPO."""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from picollm import files
from picollm.data.batch import micro_batches, step_rows
from picollm.data.rows import Rows
from picollm.errors import TrainingError
from picollm.model import Transformer
from picollm.objectives import Objective, Sums
from picollm.params import Training
from picollm.runtime import autocast

ADAM_BETAS = (0.9, 0.95)


@dataclass
class History:
    """What a run leaves behind: dense CSV rows, and the best validation loss with its step."""

    train: list[dict[str, float]] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    best_step: int = 0
    best_loss: float = math.inf
    steps: int = 0
    tokens: int = 0

    def write(self, run: "Run", plots: str, metrics: str) -> None:
        """train.csv and val.csv in `plots`, and the numbers of `metrics`; none of them holds a time."""
        columns = list(self.validation[0])
        files.write_csv(f"{plots}/train.csv", [*columns, "lr", "grad_norm", "tokens"], self.train)
        files.write_csv(f"{plots}/val.csv", columns, self.validation)
        best = next(row for row in self.validation if row["step"] == self.best_step)
        numbers = {f"best_{name}": value for name, value in best.items()}
        numbers |= {
            "steps": self.steps,
            "tokens": self.tokens,
            "row_tokens": float(run.train.lengths.mean()),
            "row_tokens_max": int(run.train.lengths.max()),
            "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        }
        files.write_json(metrics, numbers)


@dataclass(frozen=True)
class Run:
    """One training run: a model on its device, what to minimise, over which rows, for how long."""

    name: str
    model: Transformer
    objective: Objective
    train: Rows
    validation: Rows
    settings: Training
    steps: int
    seed: int
    precision: str
    tokens_per_byte: float | None = None  # of the loss's tokens; adds bits per byte beside a language-model loss

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device


def steps_for(epochs: float, rows: int, batch_size: int) -> int:
    """Optimiser steps that read `rows` rows `epochs` times."""
    return max(1, math.ceil(epochs * rows / batch_size))


def fit(run: Run, history: History) -> Iterator[int]:
    """Train `run.model` in place; yield the step after each validation (the first before any training).

    When the generator ends the model holds the weights of its best validation loss. Raises TrainingError when a loss or a
    gradient is not finite.
    """
    optimizer = make_optimizer(run.model, run.settings)
    best = copy.deepcopy(run.model.state_dict())
    progress = tqdm(total=run.steps, desc=run.name, unit="step", disable=None)
    window = Window(run)
    stale = 0
    for step in range(run.steps + 1):
        if step % run.settings.validate_every == 0 or step == run.steps:
            row = validate(run, step)
            history.validation.append(row)
            stale += 1
            if row["loss"] < history.best_loss:
                history.best_loss, history.best_step, stale = row["loss"], step, 0
                best = copy.deepcopy(run.model.state_dict())
            progress.write(_line(run, row, history))
            yield step
        if step == run.steps or stale >= run.settings.patience:
            break
        lr = run.settings.lr * schedule(step, run.steps, run.settings)
        window.add(*train_step(run, optimizer, step, lr))
        history.steps = step + 1
        if (step + 1) % run.settings.log_every == 0 or step + 1 == run.steps:
            history.train.append(window.row(step + 1, lr))
            history.tokens = window.tokens
            progress.set_postfix_str(f"loss {history.train[-1]['loss']:.3f}, {window.speed:,.0f} tokens/s")
        progress.update()
    progress.close()
    run.model.load_state_dict(best)


def check_start(run: Run, expected: float) -> None:
    """Raise TrainingError unless the first training batch's preference loss is `expected`, to 1e-4 of it (or of 1).

    A policy that starts as its own reference has margin 0 on every pair; anything else means that the reference log-probs
    belong to another model, other pairs or another precision.
    """
    rows = step_rows(len(run.train.lengths), run.settings.batch_size, run.seed, 0)
    total = measure(run, run.train, rows)
    found = (total.metrics["preference_loss"] / total.count).item()
    if not abs(found - expected) <= 1e-4 * max(1.0, expected):
        raise TrainingError(
            f"{run.name}: the first loss is {found:.6f}; policy == reference implies {expected:.6f}. The reference "
            "log-probs do not belong to this model and these pairs: run the reference stage again"
        )


def make_optimizer(model: Transformer, settings: Training) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), fused; weight decay on matrices, not on norms."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=ADAM_BETAS, fused=True)


def schedule(step: int, steps: int, settings: Training) -> float:
    """Share of the peak learning rate at optimiser step `step` (from 0): linear warm-up, then cosine to `final_lr`."""
    warmup = round(settings.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return settings.final_lr + (1 - settings.final_lr) * 0.5 * (1 + math.cos(math.pi * done))


def train_step(run: Run, optimizer: torch.optim.Optimizer, step: int, lr: float) -> tuple[Sums, Tensor, int]:
    """One optimiser step over its micro-batches: summed losses and counts, gradient norm, tokens read."""
    rows = step_rows(len(run.train.lengths), run.settings.batch_size, run.seed, step)
    total, tokens = None, 0
    for micro in micro_batches(rows, run.train.lengths, run.settings.micro_batch_size):
        batch = run.train.batch(micro).to(run.device)
        with autocast(run.device, run.precision):
            sums = run.objective(run.model, batch)
        sums.loss.backward()
        total = sums_of(total, sums)
        tokens += batch.input_ids.numel()
    parameters = list(run.model.parameters())
    torch._foreach_div_([parameter.grad for parameter in parameters], total.count)
    norm = torch.nn.utils.clip_grad_norm_(parameters, run.settings.grad_clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    return total, norm, tokens


def sums_of(total: Sums | None, sums: Sums) -> Sums:
    """Add two Sums, detached from the graph."""
    loss = sums.loss.detach()
    if total is None:
        return Sums(loss, sums.count, sums.metrics)
    metrics = {name: value + sums.metrics[name] for name, value in total.metrics.items()}
    return Sums(total.loss + loss, total.count + sums.count, metrics)


@torch.no_grad()
def measure(run: Run, source: Rows, rows: np.ndarray) -> Sums:
    """The objective's sums over some rows, without gradients."""
    total = None
    for micro in micro_batches(rows, source.lengths, run.settings.micro_batch_size):
        with autocast(run.device, run.precision):
            total = sums_of(total, run.objective(run.model, source.batch(micro).to(run.device)))
    return total


def validate(run: Run, step: int) -> dict[str, float]:
    """Mean loss and metrics over all validation rows, as a CSV row."""
    total = measure(run, run.validation, np.arange(len(run.validation.lengths)))
    return {"step": step, **means(run, total, f"validation at step {step}")}


def means(run: Run, total: Sums, where: str) -> dict[str, float]:
    """Sums -> means, with bits per byte where the run knows its bytes."""
    loss = (total.loss / total.count).item()
    if not math.isfinite(loss):
        raise TrainingError(
            f"{run.name}: the loss is {loss} ({where}); no weights were kept. Lower {run.name}.lr "
            f"(now {run.settings.lr:g}) or {run.name}.grad_clip (now {run.settings.grad_clip:g})"
        )
    row = {"loss": loss}
    if run.tokens_per_byte is not None:
        row["bits_per_byte"] = loss * run.tokens_per_byte / math.log(2)
    return row | {name: (value / total.count).item() for name, value in total.metrics.items()}


class Window:
    """Sums since the last logged step, kept on the device so that a step waits for nothing."""

    def __init__(self, run: Run):
        self.run, self.tokens, self.speed = run, 0, 0.0
        self._clear()

    def _clear(self) -> None:
        self.total, self.norm, self.since, self.tokens_before = None, None, time.monotonic(), self.tokens

    def add(self, sums: Sums, norm: Tensor, tokens: int) -> None:
        self.total, self.norm = sums_of(self.total, sums), norm
        self.tokens += tokens

    def row(self, step: int, lr: float) -> dict[str, float]:
        """The CSV row of the steps since the last one: means, the last step's gradient norm, tokens read so far."""
        row = {"step": step, **means(self.run, self.total, f"training, step {step}")}
        self.speed = (self.tokens - self.tokens_before) / max(1e-9, time.monotonic() - self.since)
        row |= {"lr": lr, "grad_norm": self.norm.item(), "tokens": self.tokens}
        self._clear()
        return row


def _line(run: Run, row: dict[str, float], history: History) -> str:
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in row.items() if name != "step")
    return f"{run.name}: step {row['step']}/{run.steps}: validation {numbers} (best: step {history.best_step})"
