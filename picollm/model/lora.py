"""LoRA adapters (Hu et al. 2021): a frozen model with trainable low-rank updates of some of its projections."""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from picollm.core import files
from picollm.model.settings import Lora
from picollm.model.transformer import Linear, Transformer


class LoraLinear(Linear):
    """W x + scale * B A x (equation 3), with the frozen weight and bias of another Linear: [.., in_features] -> [.., out_features].

    As in peft, A is drawn uniformly from +-1 / sqrt(in_features) and B is 0, so the first output is that of W alone.
    """

    def __init__(self, base: Linear, rank: int, scale: float, generator: torch.Generator):
        with torch.device("meta"):
            super().__init__(base.in_features, base.out_features, base.bias is not None)
        self.weight, self.bias, self.scale = base.weight, base.bias, scale
        bound = 1 / math.sqrt(base.in_features)
        first = torch.empty(rank, base.in_features).uniform_(-bound, bound, generator=generator)
        self.lora_A = nn.Parameter(first)
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.scale * F.linear(F.linear(x, self.lora_A), self.lora_B)


def with_adapters(model: Transformer, settings: Lora, seed: int) -> Transformer:
    """The model with new adapters, the only parameters that are trained. It shares all others with `model`, which is frozen and stays
    as it is: the policy's reference, without a second copy of the weights."""
    model.requires_grad_(False)
    with torch.device("meta"):
        adapted = Transformer(model.config)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        module, _, key = name.rpartition(".")
        setattr(adapted.get_submodule(module), key, parameter)
    adapted.inverse_frequencies = model.inverse_frequencies
    generator = torch.Generator().manual_seed(seed)
    for block in adapted.model.layers:
        for part in (block.self_attn, block.mlp):
            for target in (name for name in settings.targets if hasattr(part, name)):
                linear = getattr(part, target)
                setattr(part, target, LoraLinear(linear, settings.rank, settings.alpha / settings.rank, generator))
    return adapted


def adapters(model: Transformer) -> Iterator[tuple[str, LoraLinear]]:
    """Name and module of each projection with an adapter."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLinear))


def save_adapter(folder: Path, tensors: dict[str, Tensor], settings: Lora, base: str) -> None:
    """Write an adapter of the model in `base` as peft does; `tensors` by their names in the model."""
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "target_modules": list(settings.targets),
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }
    files.write_json(folder / "adapter_config.json", config)
    renamed = {f"base_model.model.{name}.weight": tensor.contiguous() for name, tensor in tensors.items()}
    save_file(renamed, folder / "adapter_model.safetensors", metadata={"format": "pt"})
