"""The jobs: their sizes and data, picollm's side of each, and the floating-point operations that each requires."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import Side, Work
from picollm.batching.rows import PairRows, ResponseRows
from picollm.core import files
from picollm.inference.generate import generate
from picollm.logprobs.rows import pair_logps
from picollm.model.directory import load_model, save_model
from picollm.model.initialise import initialise
from picollm.model.shape import ModelConfig
from picollm.model.transformer import Transformer
from picollm.preference.objective import preference
from picollm.preference.settings import Dpo
from picollm.text.settings import GPT2_VOCABULARY
from picollm.text.tokenizer import train_bpe
from picollm.training import distributed
from picollm.training.language_model import language_modelling
from picollm.training.loop import compile_blocks, train_step
from picollm.training.optim import make_optimizers
from picollm.training.run import Run
from picollm.training.settings import Training

OWN = "picollm"
EOS = 0  # of the tokenizer that train_bpe makes: beginning, end and padding
BETA = 0.1
CHECK_STEPS = 3  # the losses of this many steps must agree: the first checks the forward pass, the others the update
CHECK_PROMPTS, CHECK_TOKENS = 4, 8
SETTINGS = Training(
    lr=1e-3,
    batch_size=1,
    micro_batch_size=1,
    warmup=0.0,
    final_lr=1.0,
    weight_decay=0.1,
    optimizer="adamw",
    grad_clip=1.0,
    log_every=1,
    validate_every=1,
    checkpoint_every=1,
    patience=1,
)

UNUSED = dict.fromkeys(("divergence_alpha", "discopop_tau", "dpop_lambda", "length_alpha", "simpo_gamma"))
PREFERENCE = Dpo(
    **dict(SETTINGS), **UNUSED, seed=1, loss="sigmoid", beta=BETA, label_smoothing=0.0, divergence="reverse_kl",
    temporal_decay=1.0, kl_weight=0.0, sft_weight=0.0, lora=None, snapshots=0, epochs=1.0,
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """`rows` rows, pairs or prompts of about `prompt` + `response` tokens; each length varies by the share `spread`.

    `ending` is the probability with which each sampled token ends its row, or None if the model is left unchanged.
    """

    name: str
    kind: str  # pretrain | sft | dpo | sample | score
    shape: ModelConfig
    rows: int
    prompt: int
    response: int
    spread: float = 0.0
    micro_batch: int = 0  # rows of one forward pass; 0: all of them
    ending: float | None = None
    large: bool = False  # all sides are in memory together, so only picollm and transformers eager have room

    @property
    def micro_batch_size(self) -> int:
        return self.micro_batch or self.rows

    @property
    def unit(self) -> str:
        return "pairs" if self.kind in ("dpo", "score") else "tokens"


@dataclass(frozen=True)
class Example:
    """A prompt and the responses to it, of which a preference pair has two."""

    prompt: np.ndarray
    responses: list[np.ndarray]

    def sequences(self) -> list[np.ndarray]:
        return [np.concatenate([self.prompt, response]) for response in self.responses]


def make_shape(vocabulary: int, hidden: int, intermediate: int, layers: int, heads: int, context: int) -> ModelConfig:
    return ModelConfig(
        vocabulary, hidden, intermediate, layers, heads, heads, hidden // heads, context, 10000.0, 1e-5, True
    )


def all_jobs(device: str) -> dict[str, Job]:
    """The jobs by name, in sizes for two CPU cores (a model of 5.8 M parameters) or for one GPU of 80 GB (110 M).

    All sides of a job are in memory together: the largest logits, 4 bytes x rows x length x vocabulary, several times each.
    """
    if device == "cpu":
        shape = make_shape(4096, 256, 688, 6, 8, 512)
        tokens, gpt2_tokens, rows, prompts = (16, 256), (16, 512), 16, 64
    else:
        shape = make_shape(32768, 768, 2048, 12, 12, 1024)
        tokens, gpt2_tokens, rows, prompts = (16, 1024), (16, 1024), 64, 256
    gpt2 = replace(shape, vocab_size=GPT2_VOCABULARY)
    jobs = [
        Job("pretrain", "pretrain", shape, tokens[0], 1, tokens[1] - 1),
        Job("pretrain-gpt2", "pretrain", gpt2, gpt2_tokens[0], 1, gpt2_tokens[1] - 1, large=True),
        Job("sft", "sft", shape, rows, 120, 110, 0.4),
        Job("dpo", "dpo", shape, rows // 2, 120, 110, 0.4),
        Job("story", "sample", shape, 1, 120, 128),
        Job("stories", "sample", shape, prompts, 120, 128, 0.4, ending=1 / 64),
        Job("score", "score", shape, 2 * prompts, 120, 110, 0.4, micro_batch=16),
    ]
    return {job.name: job for job in jobs}


def tiny(job: Job) -> Job:
    """The same job in a trivial size, to check that everything runs."""
    shape = replace(
        job.shape, vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    shape = replace(shape, num_key_value_heads=4, head_dim=8)
    rows = min(job.rows, 6)
    prompt = min(job.prompt, 12)
    return replace(job, shape=shape, rows=rows, prompt=prompt, response=11, micro_batch=min(job.micro_batch, 4))


def examples(job: Job) -> list[Example]:
    """The job's data: random tokens, the same in every process; each response ends with end-of-text."""
    rng = np.random.default_rng(7)

    def tokens(mean: int) -> np.ndarray:
        least, most = round(mean * (1 - job.spread)), round(mean * (1 + job.spread))
        return rng.integers(1, job.shape.vocab_size, rng.integers(least, most + 1))

    responses = 2 if job.kind in ("dpo", "score") else 1
    return [
        Example(tokens(job.prompt), [np.append(tokens(job.response)[1:], EOS) for _ in range(responses)])
        for _ in range(job.rows)
    ]


def prepare(job: Job, folder: Path, device: torch.device) -> None:
    """Write what the sides of a job read: `model`; for DPO also `reference`; for sampling also `ending` and lengths.json."""
    tokenizer = train_bpe(iter(["once upon a time there was a house"]), 300)

    def save(name: str, seed: int, change: Callable[[Transformer], None] = lambda model: None) -> None:
        model = Transformer(job.shape)
        initialise(model, seed)
        change(model)
        save_model(folder / name, model, tokenizer)

    save("model", 1)
    if job.kind == "dpo":
        save("reference", 2)
    if job.kind == "sample":
        save("ending", 1, lambda model: _end_with(model, job))
        files.write_json(folder / "lengths.json", _sample(job, load_model(folder / "ending").to(device)))


@torch.no_grad()
def _end_with(model: Transformer, job: Job) -> None:
    """Move the embedding of end-of-text along the mean hidden state until its probability is `job.ending` at every token."""
    if job.ending is None:
        return
    ids = torch.from_numpy(examples(job)[0].prompt)[None]
    seen: list[torch.Tensor] = []
    hook = model.lm_head.register_forward_pre_hook(lambda head, inputs: seen.append(inputs[0]))
    model(ids)
    hook.remove()
    mean = seen[0].reshape(-1, job.shape.hidden_size).mean(dim=0)
    others = model.lm_head(mean)[1:].logsumexp(dim=0)
    wanted = others + np.log(job.ending / (1 - job.ending))
    embedding = model.lm_head.weight[EOS]
    embedding += (wanted - embedding @ mean) / (mean @ mean) * mean


def _sample(job: Job, model: Transformer) -> list[int]:
    """Tokens sampled for each prompt, end-of-text included."""
    prompts = [example.prompt.tolist() for example in examples(job)]
    seeds = [[row] for row in range(job.rows)]
    completions = generate(model, prompts, seeds, job.response, 1.0, 1.0, [EOS], job.micro_batch_size)
    return [len(completion.ids) + completion.ended for (completion,) in completions]


def lengths(folder: Path) -> list[int]:
    """The number of tokens that picollm samples for each prompt; the peers end each row there too."""
    return files.read_json(folder / "lengths.json")


def units(job: Job, folder: Path) -> int:
    """The units of a job's rate: pairs, sampled tokens, or the tokens of all rows without padding."""
    if job.kind in ("dpo", "score"):
        return job.rows
    if job.kind == "sample":
        return sum(lengths(folder))
    return sum(len(sequence) for example in examples(job) for sequence in example.sequences())


def flops(job: Job, folder: Path) -> float:
    """Minimum floating-point operations of one run, whatever the implementation; matrix products only.

    A prompt of P tokens with responses of R1, R2 ... is processed at positions 0 to P - 1 once, and at P to P + R - 2 for each
    response (the last token predicts nothing). At position t a layer takes 2 x (weights of its matrices) + 4 x hidden x
    (t + 1) operations, the latter for the scores against t + 1 keys and the sum of their values; in the last layer positions
    before P - 1, which predict nothing, need only keys and values. Each of the R targets takes 2 x hidden x vocabulary
    in the head. Training counts three times: forward, and backward to inputs and to weights. Padding, prompts processed twice,
    logits without a loss, recomputation and online reference passes are not counted.
    """
    shape = job.shape
    hidden = shape.hidden_size
    queries, keys = (heads * shape.head_dim for heads in (shape.num_attention_heads, shape.num_key_value_heads))
    kv = 2 * hidden * keys
    matrices = kv + 2 * hidden * queries + 3 * hidden * shape.intermediate_size
    if job.kind == "sample":
        parts = [(len(example.prompt), [n]) for example, n in zip(examples(job), lengths(folder), strict=True)]
    else:
        parts = [(len(example.prompt), [len(response) for response in example.responses]) for example in examples(job)]
    total = 0.0
    for prompt, responses in parts:
        positions = np.concatenate([np.arange(prompt), *(np.arange(prompt, prompt + n - 1) for n in responses)])
        predicting = positions[positions >= prompt - 1]
        layer, last = (2 * matrices * len(some) + 4 * hidden * (some + 1).sum() for some in (positions, predicting))
        last += 2 * kv * (len(positions) - len(predicting))
        total += (shape.num_hidden_layers - 1) * layer + last + 2 * hidden * shape.vocab_size * sum(responses)
    return float(total) * (3 if job.kind in ("pretrain", "sft", "dpo") else 1)


def picollm_training(job: Job, folder: Path, precision: str, device: torch.device, compile: str = "off") -> Work:
    """Whole optimizer steps of the training loop, always on the same rows."""
    model = load_model(folder / "model").to(device)
    if job.kind == "dpo":
        reference = load_model(folder / "reference").to(device)
        logps = pair_logps(reference, _pair_rows(job, None), job.micro_batch_size, precision)
        rows, objective = _pair_rows(job, logps), preference(PREFERENCE)
        del reference
    else:
        rows, objective = response_rows(job), language_modelling
    settings = SETTINGS.model_copy(update={"batch_size": job.rows, "micro_batch_size": job.micro_batch_size})
    run = Run(
        name=job.kind,
        model=model,
        objective=objective,
        train=rows,
        validation=rows,
        settings=settings,
        steps=1,
        seed=(1,),
        precision=precision,
        strategy="ddp",
        compile=compile,
    )
    compile_blocks(run)
    optimizers = make_optimizers(distributed.named_parameters(model), settings)
    step_objective = distributed.data_parallel(model, objective, run.strategy)

    def step() -> float:
        sums, _, _ = train_step(run, step_objective, optimizers, 0, settings.lr)
        return (sums.loss / sums.count).item()

    return Work(lambda: [step() for _ in range(CHECK_STEPS)], step)


def response_rows(job: Job) -> ResponseRows:
    made = examples(job)
    return ResponseRows([example.sequences()[0] for example in made], [len(example.prompt) for example in made])


def _pair_rows(job: Job, reference_logps: np.ndarray | None) -> PairRows:
    made = examples(job)
    chosen, rejected = zip(*(example.responses for example in made), strict=True)
    return PairRows([example.prompt for example in made], chosen, rejected, reference_logps)


def picollm_sample(job: Job, folder: Path, precision: str, device: torch.device) -> Work:
    """Sampling, which is always in float32; checked by greedy tokens of the model whose rows do not end."""
    model, greedy = (load_model(folder / name).to(device) for name in ("ending", "model"))
    prompts = [example.prompt.tolist() for example in examples(job)[:CHECK_PROMPTS]]

    def check() -> list[float]:
        seeds = [[0]] * len(prompts)
        completions = generate(greedy, prompts, seeds, CHECK_TOKENS, 0.0, 1.0, [-1], len(prompts))
        return [*(token for (completion,) in completions for token in completion.ids), sum(_sample(job, model))]

    return Work(check, lambda: _sample(job, model))


def picollm_score(job: Job, folder: Path, precision: str, device: torch.device) -> Work:
    """Summed log-probs of both responses of a test set's pairs."""
    model, rows = load_model(folder / "model").to(device), _pair_rows(job, None)

    def run() -> Sequence[float]:
        return pair_logps(model, rows, job.micro_batch_size, precision).flatten().tolist()

    return Work(run, run)


def sides(job: Job) -> dict[str, Side]:
    """picollm's sides of a job; the first is the one that all others are compared with."""
    builds = {OWN: {"sample": picollm_sample, "score": picollm_score}.get(job.kind, picollm_training)}
    if job.kind in ("pretrain", "sft", "dpo") and not job.large:
        builds[f"{OWN} compiled"] = partial(picollm_training, compile="on")
    return {name: Side(build, keep_memory=True) for name, build in builds.items()}
