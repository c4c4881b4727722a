"""Text completions, for the sample stage and the command line."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from picollm.inference.generate import generate
from picollm.inference.settings import Sample
from picollm.model.transformer import Transformer
from picollm.text.prompts import encode_prompts
from picollm.text.tokenizer import Tokenizer


def sample_seed(seed: int, key: str) -> int:
    """The seed of one sample: a hash of the run's seed and the sample's `key`, the same on every machine and version."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:7], "big")


def complete(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: Sample,
    truncate: bool,
) -> list[dict]:
    """One {completion, ended, prompt_ids, completion_ids} per prompt; all ids together decode to prompt + completion.

    Raises DataError as `encode_prompts` does.
    """
    context = model.config.max_position_embeddings
    encoded = encode_prompts(prompts, tokenizer, context, settings.max_new_tokens, truncate)
    completions = generate(
        model,
        encoded,
        seeds,
        min(settings.max_new_tokens, context - 1),
        settings.temperature,
        settings.top_p,
        tokenizer.eos_id,
        settings.batch_size,
    )
    return [
        {
            "completion": (tokenizer.decode_continuation if prompt else tokenizer.decode)(completion.ids),
            "ended": completion.ended,
            "prompt_ids": prompt_ids,
            "completion_ids": completion.ids,
        }
        for prompt, prompt_ids, completion in zip(prompts, encoded, completions, strict=True)
    ]


def sample_rows(
    model: Transformer, tokenizer: Tokenizer, rows: Sequence[dict], settings: Sample, truncate: bool, seed: int
) -> list[dict]:
    """Complete the first `settings.prompts` prompts of each split; rows are {id, split, prompt}."""
    counts: Counter[str] = Counter()
    selected = []
    for row in rows:
        counts[row["split"]] += 1
        if counts[row["split"]] <= settings.prompts:
            selected.append(row)
    seeds = [sample_seed(seed, row["id"]) for row in selected]
    completions = complete(model, tokenizer, [row["prompt"] for row in selected], seeds, settings, truncate)
    return [{**row, **completion} for row, completion in zip(selected, completions, strict=True)]
