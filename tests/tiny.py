"""A tiny model and tiny rows for tests."""

import numpy as np
import torch

from picollm.batching.rows import PairRows, ResponseRows
from picollm.model.shape import ModelConfig
from picollm.model.transformer import Transformer
from picollm.preference.objective import preference
from picollm.preference.settings import Dpo
from picollm.training.run import Run
from picollm.training.settings import Training

VOCABULARY = 23


def tiny_model(seed: int = 0, **changes) -> Transformer:
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 24,
        "rope_theta": 10000.0,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
    }
    shape |= changes
    shape.setdefault("head_dim", shape["hidden_size"] // shape["num_attention_heads"])
    model = Transformer(ModelConfig(**shape))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 or name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return model


def sequences(count: int, seed: int, shortest: int = 4, longest: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, VOCABULARY, rng.integers(shortest, longest + 1)) for _ in range(count)]


def response_rows(count: int = 10, seed: int = 0) -> ResponseRows:
    return ResponseRows(sequences(count, seed), [2] * count)


def pair_rows(count: int = 6, seed: int = 0, reference: bool = True) -> PairRows:
    logps = np.random.default_rng(seed).normal(-20, 1, (count, 2)) if reference else None
    prompts = sequences(count, seed + 2, 1, 4)
    return PairRows(prompts, sequences(count, seed, 2, 10), sequences(count, seed + 1, 2, 10), logps)


def training(**changes) -> Training:
    settings = {
        "lr": 1e-2,
        "batch_size": 8,
        "micro_batch_size": 4,
        "warmup": 0.1,
        "final_lr": 0.1,
        "weight_decay": 0.1,
        "optimizer": "adamw",
        "grad_clip": 1.0,
        "log_every": 1,
        "validate_every": 2,
        "checkpoint_every": 2,
        "patience": 100,
    }
    return Training(**{**settings, **changes})


def plain_logps(model, ids, start):
    """Sum of log softmax at the tokens from `start` on, one token at a time."""
    logits = model(torch.from_numpy(ids)[None])[0]
    return sum(torch.log_softmax(logits[place - 1], dim=-1)[ids[place]] for place in range(start, len(ids)))


def dpo(**changes) -> Dpo:
    settings = {
        "seed": 1,
        "loss": "sigmoid",
        "beta": 0.1,
        "label_smoothing": 0.0,
        "divergence": "reverse_kl",
        "epochs": 1.0,
    }
    settings |= dict.fromkeys(("divergence_alpha", "discopop_tau", "dpop_lambda", "length_alpha", "simpo_gamma"))
    settings |= {"lora": None, "temporal_decay": 1.0, "kl_weight": 0.0, "sft_weight": 0.0, "snapshots": 0}
    return Dpo(**{**training().model_dump(), **settings, **changes})


def greedy(model, ids, count, eos_id):
    """Plain greedy decoding, without a cache and without a batch."""
    ids, made = list(ids), []
    for _ in range(count):
        with torch.no_grad():
            made.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        if made[-1] == eos_id:
            return made[:-1], True
        ids.append(made[-1])
    return made, False


def preference_run(model, train, validation=None, steps=1, precision="float32", reference=None, **settings) -> Run:
    """A DPO run of a model on pairs; `settings` as in `dpo`, `reference` for a KL term."""
    settings = dpo(**settings)
    return Run(
        name="dpo",
        model=model,
        objective=preference(settings, reference),
        train=train,
        validation=validation or train,
        settings=settings,
        steps=steps,
        seed=(1,),
        precision=precision,
        strategy="ddp",
        compile="off",
    )
