"""A training run: what it is made of (Run), what it records (History), and the sums since its last record (Window)."""

import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from picollm.batching.rows import Rows
from picollm.core import files
from picollm.core.errors import TrainingError
from picollm.model.directory import save_model
from picollm.model.transformer import Transformer
from picollm.text.tokenizer import Tokenizer
from picollm.training import distributed
from picollm.training.objective import Objective, Sums
from picollm.training.settings import Training


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
    strategy: str
    compile: str
    tokens_per_byte: float | None = None  # of the loss's tokens; adds bits per byte beside a language-model loss

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def flops(self) -> float:
        """Floating-point operations of the whole run, about: 6 per weight and token (Kaplan et al. 2020, section 2.1); a pair
        counts its longer sequence."""
        tokens = self.steps * self.settings.batch_size * float(self.train.lengths.mean())
        return 6.0 * tokens * sum(weight.numel() for weight in distributed.weights(self.model).values())


@dataclass
class History:
    """What a run leaves behind: dense CSV rows, and the best validation loss with its step."""

    train: list[dict[str, float]] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    monitor: list[dict[str, float]] = field(default_factory=list)  # a stage's own row per validation, if it has one
    best_step: int = 0
    best_loss: float | None = None
    steps: int = 0
    tokens: int = 0

    @property
    def stale(self) -> int:
        """Validations since the best one."""
        return sum(row["step"] > self.best_step for row in self.validation)

    def write(self, run: Run, plots: str, metrics: str) -> None:
        """The CSV files in `plots` and the numbers of `metrics`; none of them holds a time."""
        columns = list(self.validation[0])
        files.write_csv(f"{plots}/train.csv", [*columns, "lr", "grad_norm", "tokens"], self.train)
        files.write_csv(f"{plots}/val.csv", columns, self.validation)
        if self.monitor:
            files.write_csv(f"{plots}/monitor.csv", list(self.monitor[0]), self.monitor)
        best = next(row for row in self.validation if row["step"] == self.best_step)
        numbers = {f"best_{name}": value for name, value in best.items()}
        numbers |= {
            "steps": self.steps,
            "tokens": self.tokens,
            "row_tokens": float(run.train.lengths.mean()),
            "row_tokens_max": int(run.train.lengths.max()),
            "parameters": sum(weight.numel() for weight in distributed.weights(run.model).values()),
        }
        files.write_json(metrics, numbers)


def write_results(run: Run, history: History, tokenizer: Tokenizer, model: str, plots: str, metrics: str) -> None:
    """The model directory, CSV files and numbers of a run. All its processes call this; the main one writes."""
    whole = whole_model(run.model)
    if distributed.is_main():
        save_model(model, whole, tokenizer)
        history.write(run, plots, metrics)


def whole_model(model: Transformer) -> Transformer:
    """The model itself, or, where FSDP divided its weights, a copy that has all of them."""
    weights = distributed.weights(model)
    if not any(distributed.is_divided(weight) for weight in weights.values()):
        return model
    copy = Transformer(model.config)
    with torch.no_grad():
        for name, weight in copy.named_parameters():
            weight.copy_(distributed.full(weights[name]))  # one at a time: no card need hold them all
    return copy


class Window:
    """Sums since the last logged step, kept on the device so that a step waits for nothing."""

    def __init__(self, run: Run):
        self.run, self.tokens, self.speed = run, 0, 0.0
        self._clear()

    def _clear(self) -> None:
        self.total, self.norm, self.since, self.tokens_before = None, None, time.monotonic(), self.tokens

    def add(self, sums: Sums, norm: Tensor, tokens: int) -> None:
        self.total = sums if self.total is None else self.total.plus(sums)
        self.norm = norm
        self.tokens += tokens

    def row(self, step: int, lr: float) -> dict[str, float]:
        """The CSV row of the steps since the last one: means, the last step's gradient norm, tokens read so far."""
        row = {"step": step, **means(self.run, self.total, f"training, step {step}")}
        norm = self.norm.item()
        if not math.isfinite(norm):
            raise not_finite(self.run, "gradient norm", norm, f"training, step {step}")
        self.speed = (self.tokens - self.tokens_before) / max(1e-9, time.monotonic() - self.since)
        row |= {"lr": lr, "grad_norm": norm, "tokens": self.tokens}
        self._clear()
        return row

    def tensors(self) -> dict[str, Tensor]:
        """What `restore` needs besides the tokens; nothing just after a row."""
        if self.total is None:
            return {}
        metrics = {f"metrics.{name}": value for name, value in self.total.metrics.items()}
        return {"loss": self.total.loss, "count": self.total.count, "norm": self.norm, **metrics}

    def restore(self, tensors: dict[str, Tensor], tokens: int) -> None:
        self.tokens = self.tokens_before = tokens
        if tensors:
            here = {name: tensor.to(self.run.device) for name, tensor in tensors.items()}
            self.norm = here["norm"]
            metrics = {
                name.removeprefix("metrics."): tensor for name, tensor in here.items() if name.startswith("metrics.")
            }
            self.total = Sums(here["loss"], here["count"], metrics)


def means(run: Run, total: Sums, where: str) -> dict[str, float]:
    """Sums -> means, with bits per byte where the run knows its bytes. Raises TrainingError for a loss that is not finite."""
    loss = (total.loss / total.count).item()
    if not math.isfinite(loss):
        raise not_finite(run, "loss", loss, where)
    row = {"loss": loss}
    if run.tokens_per_byte is not None:
        row["bits_per_byte"] = loss * run.tokens_per_byte / math.log(2)
    return row | {name: (value / total.count).item() for name, value in total.metrics.items()}


def not_finite(run: Run, what: str, value: float, where: str) -> TrainingError:
    return TrainingError(
        f"{run.name}: the {what} is {value} ({where}); no weights were kept. Lower {run.name}.lr "
        f"(now {run.settings.lr:g}) or {run.name}.grad_clip (now {run.settings.grad_clip:g})"
    )
