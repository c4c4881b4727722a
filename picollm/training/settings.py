"""Settings of training."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from picollm.core.config import BatchSize, Count, Positive, Settings, Share
from picollm.model.settings import Lora

Rate = Annotated[float, Field(gt=0, le=100)]
Epochs = Annotated[float, Field(gt=0, le=10**6)]


class Training(Settings):
    """Settings of the training loop. Batch sizes count rows (pretraining, SFT) or pairs (DPO); `warmup` is a fraction of the steps,
    `final_lr` a fraction of `lr`. `muon` updates the matrices of the layers by Muon, all else by AdamW."""

    optimizer: Literal["adamw", "muon"]
    lr: Rate
    batch_size: BatchSize
    micro_batch_size: BatchSize
    warmup: Share
    final_lr: Share
    weight_decay: Annotated[float, Field(ge=0, le=1000)]
    grad_clip: Positive
    log_every: Count
    validate_every: Count
    checkpoint_every: Count
    patience: Count


class Pretrain(Training):
    section: ClassVar[str] = "pretrain"
    steps: Count


class FineTuning(Training):
    """`lora`: the adapters that are trained instead of all weights, or None."""

    lora: Lora | None
    epochs: Epochs


class Sft(FineTuning):
    section: ClassVar[str] = "sft"


class Parallel(Settings):
    """How a run is distributed over processes, and whether its model is compiled."""

    strategy: Literal["ddp", "fsdp"]
    compile: Literal["auto", "on", "off"]
