"""Settings of a training run."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from picollm.core.config import BatchSize, Count, Positive, Settings, Share

Rate = Annotated[float, Field(gt=0, le=100)]
Epochs = Annotated[float, Field(gt=0, le=10**6)]


class Training(Settings):
    """What the one loop needs; batch sizes count rows (pretraining, SFT) or pairs (DPO)."""

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


class Sft(Training):
    section: ClassVar[str] = "sft"
    epochs: Epochs


class Parallel(Settings):
    """How a run is spread over processes, and whether its model is compiled."""

    strategy: Literal["ddp", "fsdp"]
    compile: Literal["auto", "on", "off"]
