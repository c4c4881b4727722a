"""Optimizer and learning-rate schedule."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from picollm.training.settings import Training

ADAM_BETAS = (0.9, 0.99)
EMBEDDING_EPS = 0.12  # relative to the root mean square of an embedding's gradient of norm 1


def make_optimizers(parameters: Mapping[str, nn.Parameter], settings: Training) -> list[torch.optim.Optimizer]:
    """Fused AdamW (Loshchilov & Hutter 2019), with weight decay on the matrices of the layers alone.

    With `optimizer: muon` those matrices are updated by Muon instead (Jordan et al. 2024), which orthogonalises the momentum.
    Its update is scaled to the root mean square of AdamW's (Liu et al. 2025, equation 4), so one learning rate serves both.

    A token that hardly occurs has a tiny gradient, in the same direction as every other such token: away from the hidden states.
    AdamW would scale it to a step of full size, and rare tokens would become indistinguishable (Stollenwerk & Stollenwerk 2025).
    A larger epsilon for the embeddings, and for the output matrix of a model with untied weights, keeps these steps small.
    """
    layers = {name: parameter for name, parameter in parameters.items() if name.startswith("model.layers.")}
    matrices = [parameter for parameter in layers.values() if parameter.ndim == 2]
    vectors = [parameter for parameter in parameters.values() if parameter.ndim < 2]
    embeddings = [parameter for name, parameter in parameters.items() if name not in layers and parameter.ndim == 2]
    groups = [
        {"params": [parameter], "weight_decay": 0.0, "eps": EMBEDDING_EPS / math.sqrt(parameter.numel())}
        for parameter in embeddings
    ]
    groups.append({"params": vectors, "weight_decay": 0.0})
    muon = []
    if settings.optimizer == "muon":
        options = {"weight_decay": settings.weight_decay, "adjust_lr_fn": "match_rms_adamw"}
        muon.append(torch.optim.Muon(matrices, lr=settings.lr, **options))
    else:
        groups.append({"params": matrices, "weight_decay": settings.weight_decay})
    return [torch.optim.AdamW(groups, lr=settings.lr, betas=ADAM_BETAS, fused=True), *muon]


def schedule(step: int, steps: int, settings: Training) -> float:
    """Fraction of the peak learning rate at optimizer step `step` (from 0): linear warmup, then cosine decay to `final_lr`."""
    warmup = round(settings.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return settings.final_lr + (1 - settings.final_lr) * 0.5 * (1 + math.cos(math.pi * progress))
