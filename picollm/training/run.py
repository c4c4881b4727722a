"""A training run (Run), its logs (History, Window) and its progress output (Progress)."""

import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from picollm.batching.rows import Rows
from picollm.core import files
from picollm.core.errors import TrainingError
from picollm.model.directory import save_model
from picollm.model.lora import adapters, save_adapter
from picollm.model.transformer import Transformer
from picollm.text.tokenizer import Tokenizer
from picollm.training import distributed
from picollm.training.objective import Objective, Sums
from picollm.training.settings import Training

PRINTED = ("loss", "bits_per_byte", "rewards/accuracies")  # columns in progress output
LINE_SHARE, LINE_SECONDS = 0.1, 30.0  # share of the run's steps, or seconds, between two progress lines


@dataclass(frozen=True)
class Run:
    """Everything that defines a training run; `model` is already on its device."""

    name: str
    model: Transformer
    objective: Objective
    train: Rows
    validation: Rows
    settings: Training
    steps: int
    seed: tuple[int, ...]
    precision: str
    strategy: str
    compile: str
    tokens_per_byte: float | None = None  # of the validation targets; if given, bits per byte are logged

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def trained_count(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)

    @property
    def flops(self) -> float:
        """Approximate floating-point operations of the run: 6 per parameter and token (Kaplan et al. 2020, section 2.1); for a pair
        only the longer sequence is counted."""
        return 6.0 * self.parameter_count * self.steps * self.settings.batch_size * float(self.train.lengths.mean())

    def describe(self) -> str:
        """Two lines that say what the run will do: steps, rows, tokens, parameters, hardware."""
        rows, batch, processes = len(self.train.lengths), self.settings.batch_size, distributed.world_size()
        threads = torch.get_num_threads()
        hardware = "1 thread" if threads == 1 else f"{threads} threads"
        trained = f"{self.trained_count:,} of " if self.trained_count < self.parameter_count else ""
        if self.device.type == "cuda":
            hardware = torch.cuda.get_device_name(self.device)
        return (
            f"{self.name}: {self.steps:,} steps of {batch:,} rows, {self.steps * batch / rows:.2f} epochs of {rows:,} rows "
            f"({self.train.lengths.sum():,} tokens); {len(self.validation.lengths):,} rows for validation\n"
            f"{self.name}: {trained}{self.parameter_count:,} parameters in {self.precision} on {self.device} ({hardware}), "
            + (f"{processes} processes ({self.strategy})" if processes > 1 else "1 process")
        )


@dataclass
class History:
    """The log of a run: CSV rows without missing values, and the best validation loss with its step."""

    train: list[dict[str, float]] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    monitor: list[dict[str, float]] = field(default_factory=list)  # one row per validation, if the stage adds them
    best_step: int = 0
    best_loss: float | None = None
    steps: int = 0
    tokens: int = 0

    @property
    def validations_since_best(self) -> int:
        return sum(row["step"] > self.best_step for row in self.validation)

    def write(self, run: Run, plots: str, metrics: str) -> None:
        """Write train.csv and val.csv into `plots` and the summary `metrics` (JSON). No file contains a time."""
        columns = list(self.validation[0])
        files.write_csv(f"{plots}/train.csv", [*columns, "learning_rate", "grad_norm", "num_tokens"], self.train)
        files.write_csv(f"{plots}/val.csv", columns, self.validation)
        best = next(row for row in self.validation if row["step"] == self.best_step)
        numbers = {f"best_{name}": value for name, value in best.items()}
        numbers |= {
            "steps": self.steps,
            "tokens": self.tokens,
            "row_tokens": float(run.train.lengths.mean()),
            "row_tokens_max": int(run.train.lengths.max()),
            "parameters": run.parameter_count,
        }
        files.write_json(metrics, numbers)


def write_results(
    run: Run, history: History, tokenizer: Tokenizer, model: str, plots: str, metrics: str, base: str | None = None
) -> None:
    """Write the model directory, CSV files and summary of a run, on rank 0; a collective call. Adapters of the model in `base`, if that
    is what was trained, are written beside the merged weights, into adapter/ of the model directory."""
    full, tensors = full_model(run.model), {}
    lora = run.settings.lora if base else None
    if lora:
        trained = distributed.trained_parameters(run.model)
        tensors = {name: distributed.gather_to_main(tensor.detach()) for name, tensor in trained.items()}
    if distributed.is_main():
        save_model(model, full, tokenizer)
        if lora:
            save_adapter(Path(model, "adapter"), tensors, lora, base)
        history.write(run, plots, metrics)


def full_model(model: Transformer) -> Transformer:
    """The model itself; or a copy on the CPU, unsharded if FSDP sharded it, with its adapters, if any, merged; a collective call."""
    parameters = distributed.named_parameters(model)
    adapted = dict(adapters(model))
    if not adapted and not any(distributed.is_sharded(parameter) for parameter in parameters.values()):
        return model
    copy = Transformer(model.config)
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter.copy_(distributed.full_tensor(parameters[name]))  # one at a time, so no GPU has to hold them all
        for name, linear in adapted.items():
            first, second = (distributed.full_tensor(tensor).cpu() for tensor in (linear.lora_A, linear.lora_B))
            copy.get_parameter(f"{name}.weight").add_(second @ first, alpha=linear.scale)
    return copy


class Window:
    """Sums since the last logged step, kept on the device so that only logging waits for it."""

    def __init__(self, run: Run):
        self.run, self.tokens, self.tokens_per_second = run, 0, 0.0
        self._clear()

    def _clear(self) -> None:
        self.total, self.norm, self.since, self.tokens_before = None, None, time.monotonic(), self.tokens

    def add(self, sums: Sums, norm: Tensor, tokens: int) -> None:
        self.total = sums if self.total is None else self.total.plus(sums)
        self.norm = norm
        self.tokens += tokens

    def row(self, step: int, lr: float) -> dict[str, float]:
        """The CSV row of the steps since the last row: means, gradient norm of the last step, tokens since the start of training."""
        row = {"step": step, **means(self.run, self.total, f"training, step {step}")}
        norm = self.norm.item()
        if not math.isfinite(norm):
            raise _not_finite(self.run, "gradient norm", norm, f"training, step {step}")
        self.tokens_per_second = (self.tokens - self.tokens_before) / max(1e-9, time.monotonic() - self.since)
        row |= {"learning_rate": lr, "grad_norm": norm, "num_tokens": self.tokens}
        self._clear()
        return row

    def tensors(self) -> dict[str, Tensor]:
        """The state for `restore` besides the token count; empty right after a row."""
        if self.total is None:
            return {}
        metrics = {f"metrics.{name}": value for name, value in self.total.metrics.items()}
        return {"loss": self.total.loss, "count": self.total.count, "norm": self.norm, **metrics}

    def restore(self, tensors: dict[str, Tensor], tokens: int) -> None:
        self.tokens = self.tokens_before = tokens
        if tensors:
            tensors = {name: tensor.to(self.run.device) for name, tensor in tensors.items()}
            self.norm = tensors["norm"]
            metrics = {
                name.removeprefix("metrics."): tensor for name, tensor in tensors.items() if name.startswith("metrics.")
            }
            self.total = Sums(tensors["loss"], tensors["count"], metrics)


class Progress:
    """A progress bar on a terminal, otherwise a line every LINE_SHARE of the steps or LINE_SECONDS."""

    def __init__(self, run: Run, step: int):
        self.run, self.first, self.printed = run, None, None
        self.lines = not (sys.stdout.isatty() and sys.stderr.isatty())
        disable = None if distributed.is_main() else True  # None: tqdm shows the bar only if stderr is a terminal
        self.bar = tqdm(total=run.steps, initial=step, desc=run.name, unit="step", disable=disable)

    def advance(self, step: int) -> None:
        """Count a step. The first, which may include compilation, is left out of the estimate of the remaining time."""
        self.bar.update()
        self.first = self.first or (step, time.monotonic())

    def log(self, row: dict[str, float], tokens_per_second: float) -> None:
        """Show a row of the training log."""
        text = f"{self.format(row, 3)}, {tokens_per_second:,.0f} tokens/s"
        self.bar.set_postfix_str(text)
        (first, began), (step, now) = self.first, (row["step"], time.monotonic())
        if self.lines and step > first and self._due(step, now):
            left = (now - began) / (step - first) * (self.run.steps - step)
            self.write(f"{self.run.name}: step {step}/{self.run.steps}: {text}, {tqdm.format_interval(left)} left")
            self.printed = step, now

    def _due(self, step: int, now: float) -> bool:
        if self.printed is None:
            return True
        before, then = self.printed
        return step - before >= LINE_SHARE * self.run.steps or now - then >= LINE_SECONDS

    def write(self, line: str) -> None:
        self.bar.write(line)
        sys.stdout.flush()

    def close(self) -> None:
        self.bar.close()

    @staticmethod
    def format(row: dict[str, float], digits: int) -> str:
        return ", ".join(f"{name} {row[name]:.{digits}f}" for name in PRINTED if name in row)


def means(run: Run, total: Sums, where: str) -> dict[str, float]:
    """Means of the sums, and bits per byte if `run.tokens_per_byte` is given. Raises TrainingError if the loss is not finite."""
    loss = (total.loss / total.count).item()
    if not math.isfinite(loss):
        raise _not_finite(run, "loss", loss, where)
    row = {"loss": loss}
    if run.tokens_per_byte is not None:
        row["bits_per_byte"] = loss * run.tokens_per_byte / math.log(2)
    return row | {name: (value / total.count).item() for name, value in total.metrics.items()}


def _not_finite(run: Run, what: str, value: float, where: str) -> TrainingError:
    return TrainingError(
        f"{run.name}: the {what} is {value} ({where}); no weights were kept. Lower {run.name}.lr "
        f"(now {run.settings.lr:g}) or {run.name}.grad_clip (now {run.settings.grad_clip:g})"
    )
