"""Objectives: (model, batch) -> sums and a count, so that the result does not depend on the size of micro-batches."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from picollm.batching.batch import Batch
from picollm.model.transformer import Transformer


@dataclass(frozen=True)
class Sums:
    """Sums over a batch, all scalars: `loss` and each metric divided by `count` (tokens or pairs) are means."""

    loss: Tensor
    count: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)

    def plus(self, other: "Sums") -> "Sums":
        """The sums over both batches, detached from the autograd graph."""
        metrics = {name: value + other.metrics[name] for name, value in self.metrics.items()}
        return Sums(self.loss.detach() + other.loss.detach(), self.count + other.count, metrics)

    def zeroed(self) -> "Sums":
        """The sums times zero, still in the autograd graph, so that backward yields zero gradients."""
        return Sums(self.loss * 0, self.count * 0, {name: value * 0 for name, value in self.metrics.items()})


Objective = Callable[[Transformer, Batch], Sums]
