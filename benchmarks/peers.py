"""The peers' sides: transformers and TRL, imported only when a side is built, and offline."""

import importlib.metadata
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.jobs import (
    BETA,
    CHECK_PROMPTS,
    CHECK_STEPS,
    CHECK_TOKENS,
    EOS,
    SETTINGS,
    Example,
    Job,
    examples,
    lengths,
)
from benchmarks.timing import BenchmarkError, Side, Work
from picollm.model.runtime import autocast
from picollm.training.optim import ADAM_BETAS, make_optimizers

# No downloads, no telemetry; set before the first import of a library that reads them.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def versions() -> dict[str, str]:
    """Installed versions of PyTorch and the extra `peers`. Raises BenchmarkError if one is missing."""
    try:
        return {name: importlib.metadata.version(name) for name in ("torch", "transformers", "trl", "accelerate")}
    except importlib.metadata.PackageNotFoundError as error:
        raise BenchmarkError(f"{error.name} is not installed; run `make bench`, or install the extra peers") from None


def sides(job: Job, defaults: bool) -> dict[str, Side]:
    """The peers of a job by name, each with the default allocator and with picollm's allocator settings.

    With `defaults` also TRL with its documented defaults.
    """
    builds = {"transformers eager": transformers_eager} if job.large else _SIDES[job.kind]
    found = {name: Side(build) for name, build in builds.items()}
    found |= {f"{name}, memory kept": Side(build, keep_memory=True) for name, build in builds.items()}
    if defaults and job.kind in _DEFAULT_SIDES:
        found |= {"as documented": Side(_DEFAULT_SIDES[job.kind], as_documented=True)}
    return found


def _load(folder: Path, name: str, device: torch.device) -> nn.Module:
    os.environ.update(OFFLINE)
    os.environ["HF_HOME"] = str(folder / "hf")
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(folder / name, dtype=torch.float32, attn_implementation="sdpa").to(device)


def _padded(sequences: Sequence, side: str = "right") -> tuple[Tensor, Tensor]:
    """Ids and attention mask [B, T], in the given order."""
    width = max(map(len, sequences))
    ids = torch.full((len(sequences), width), EOS)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        place = slice(0, len(sequence)) if side == "right" else slice(width - len(sequence), width)
        ids[row, place], mask[row, place] = torch.as_tensor(sequence), 1
    return ids, mask


def _repeated(step: Callable[[], float]) -> Work:
    return Work(lambda: [step() for _ in range(CHECK_STEPS)], step)


def transformers_eager(job: Job, folder: Path, precision: str, device: torch.device, compiled: bool = False) -> Work:
    """A plain training loop: forward with labels, backward, clip, fused AdamW. No mask, since no row is padded."""
    model = _load(folder, "model", device).train()
    if compiled:
        model.compile()
    (optimizer,) = make_optimizers(dict(model.named_parameters()), SETTINGS)
    ids = _padded([example.sequences()[0] for example in examples(job)])[0].to(device)

    def step() -> float:
        with autocast(device, precision):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS.grad_clip)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return _repeated(step)


def transformers_trainer(job: Job, folder: Path, precision: str, device: torch.device) -> Work:
    model = _load(folder, "model", device)
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(**_arguments(job, folder, precision, device))
    ids = _padded([example.sequences()[0] for example in examples(job)])[0]
    return _stepping(Trainer(model=model, args=arguments), {"input_ids": ids, "labels": ids})


def trl_sft(
    job: Job, folder: Path, precision: str, device: torch.device, packing: bool = False, defaults: bool = False
) -> Work:
    """SFTTrainer's own preparation, collation, loss and backward pass; packed rows use a block-diagonal attention mask."""
    model = _load(folder, "model", device)
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [
        {
            "input_ids": example.sequences()[0].tolist(),
            "completion_mask": [0] * len(example.prompt) + [1] * len(example.responses[0]),
        }
        for example in examples(job)
    ]
    arguments = SFTConfig(
        **_arguments(job, folder, precision, device, defaults), completion_only_loss=True, packing=packing
    )
    trainer = SFTTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=_tokenizer(folder)
    )
    return _stepping(trainer, next(iter(trainer.get_train_dataloader())))


def trl_dpo(
    job: Job, folder: Path, precision: str, device: torch.device, precompute: bool = False, defaults: bool = False
) -> Work:
    """DPOTrainer's own collation, loss and backward pass, with a reference model or with precomputed reference log-probs."""
    model, reference = (_load(folder, name, device) for name in ("model", "reference"))
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    arguments = DPOConfig(
        **_arguments(job, folder, precision, device, defaults), beta=BETA, precompute_ref_log_probs=precompute
    )
    # The trainer takes text alone; the pairs, which are ids, go through its collator below.
    text = Dataset.from_list([{"prompt": "once", "chosen": " upon", "rejected": " a"}])
    trainer = DPOTrainer(
        model=model, ref_model=reference, args=arguments, train_dataset=text, processing_class=_tokenizer(folder)
    )
    batch = trainer.data_collator([_pair(example) for example in examples(job)])
    if precompute:
        on_device = trainer._prepare_inputs(dict(batch))
        names = ("ref_chosen_logps", "ref_rejected_logps")
        batch |= dict(zip(names, trainer.compute_ref_log_probs(reference, on_device), strict=True))
        trainer.ref_model = None
    return _stepping(trainer, batch)


def _pair(example: Example) -> dict[str, list[int]]:
    names = ("chosen_ids", "rejected_ids")
    responses = {name: ids.tolist() for name, ids in zip(names, example.responses, strict=True)}
    return {"prompt_ids": example.prompt.tolist(), **responses}


def _tokenizer(folder: Path):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder / "model")


def _arguments(job: Job, folder: Path, precision: str, device: torch.device, defaults: bool = False) -> dict:
    """TrainingArguments for the same update as picollm's, except that picollm does not decay embeddings and has a larger epsilon there.

    `defaults` keeps TRL's precision and checkpointing.
    """
    speed = {} if defaults else {"bf16": precision == "bfloat16", "activation_checkpointing": False}
    return {
        "output_dir": str(folder / "trainer"),
        "per_device_train_batch_size": job.rows,
        "learning_rate": SETTINGS.lr,
        "weight_decay": SETTINGS.weight_decay,
        "max_grad_norm": SETTINGS.grad_clip,
        "adam_beta1": ADAM_BETAS[0],
        "adam_beta2": ADAM_BETAS[1],
        "optim": "adamw_torch_fused",
        "use_cpu": device.type == "cpu",
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        **speed,
    }


def _stepping(trainer, batch: dict) -> Work:
    """What transformers' Trainer does in each step, without its logging and its schedule."""
    trainer.create_optimizer()
    model, optimizer = trainer.accelerator.prepare(trainer.model, trainer.optimizer)
    trainer.optimizer = optimizer
    trainer.current_gradient_accumulation_steps = 1
    if trainer.args.activation_checkpointing:
        trainer.model.activation_checkpointing_enable()

    def step() -> float:
        loss = trainer.training_step(model, dict(batch))
        trainer.accelerator.clip_grad_norm_(model.parameters(), trainer.args.max_grad_norm)
        optimizer.step()
        model.zero_grad()
        return loss.item()

    return _repeated(step)


def transformers_generate(job: Job, folder: Path, precision: str, device: torch.device) -> Work:
    """generate() for all prompts at once, left-padded; each row ends where picollm's did, and the batch with the last of them."""
    model, greedy = (_load(folder, name, device).eval() for name in ("ending", "model"))
    from transformers import StoppingCriteria, StoppingCriteriaList

    prompts = [example.prompt for example in examples(job)]
    ids, mask = (tensor.to(device) for tensor in _padded(prompts, "left"))
    ends = torch.tensor(lengths(folder), device=device)

    class AtLength(StoppingCriteria):
        def __call__(self, input_ids: Tensor, scores: Tensor, **_) -> Tensor:
            return input_ids.shape[1] - ids.shape[1] >= ends

    def completed(model: nn.Module, ids: Tensor, mask: Tensor, tokens: int, **settings) -> Tensor:
        model.generation_config.eos_token_id = None
        model.generation_config.max_length = None
        out = model.generate(ids, attention_mask=mask, max_new_tokens=tokens, pad_token_id=EOS, **settings)
        return out[:, ids.shape[1] :]

    def run() -> int:
        stop = StoppingCriteriaList([AtLength()])
        out = completed(
            model, ids, mask, job.response, do_sample=True, temperature=1.0, top_k=0, stopping_criteria=stop
        )
        return int(torch.minimum(ends, torch.tensor(out.shape[1], device=device)).sum())

    def check() -> list[float]:
        some = (tensor.to(device) for tensor in _padded(prompts[:CHECK_PROMPTS], "left"))
        return [*completed(greedy, *some, CHECK_TOKENS, do_sample=False).flatten().tolist(), run()]

    return Work(check, run)


def transformers_score(job: Job, folder: Path, precision: str, device: torch.device) -> Work:
    """The naive implementation: padded batches in the given order, log_softmax of all logits, gather."""
    model = _load(folder, "model", device).eval()
    rows = [(len(example.prompt), row) for example in examples(job) for row in example.sequences()]

    @torch.inference_mode()
    def run() -> list[float]:
        found = []
        for start in range(0, len(rows), 2 * job.micro_batch_size):  # as many rows as picollm's pairs have
            starts, some = zip(*rows[start : start + 2 * job.micro_batch_size], strict=True)
            ids, mask = (tensor.to(device) for tensor in _padded(some))
            with autocast(device, precision):
                logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
            logps = logits.float().log_softmax(dim=-1).gather(2, ids[:, 1:, None])[:, :, 0]
            starts = torch.tensor(starts, device=device)
            bears_loss = mask[:, 1:].bool() & (torch.arange(1, ids.shape[1], device=device) >= starts[:, None])
            found += (logps * bears_loss).sum(dim=1).tolist()
        return found

    return Work(run, run)


_SIDES = {
    "pretrain": {
        "transformers eager": transformers_eager,
        "transformers compiled": partial(transformers_eager, compiled=True),
        "transformers Trainer": transformers_trainer,
    },
    "sft": {"trl padded": trl_sft, "trl packed": partial(trl_sft, packing=True)},
    "dpo": {"trl": trl_dpo, "trl precomputed": partial(trl_dpo, precompute=True)},
    "sample": {"transformers generate": transformers_generate},
    "score": {"transformers naive": transformers_score},
}
_DEFAULT_SIDES = {"sft": partial(trl_sft, defaults=True), "dpo": partial(trl_dpo, defaults=True)}
