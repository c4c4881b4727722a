"""Optimizer and learning-rate schedule."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from picollm.training.settings import Training

ADAM_BETAS = (0.9, 0.99)


def make_optimizer(parameters: Iterable[nn.Parameter], settings: Training) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter 2019) with weight decay on matrices, not on norms."""
    parameters = list(parameters)
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=ADAM_BETAS, fused=True)


def schedule(step: int, steps: int, settings: Training) -> float:
    """Fraction of the peak learning rate at optimizer step `step` (from 0): linear warmup, then cosine decay to `final_lr`."""
    warmup = round(settings.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return settings.final_lr + (1 - settings.final_lr) * 0.5 * (1 + math.cos(math.pi * progress))
