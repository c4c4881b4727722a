"""Text completions, for the sample stage and the command line."""

import hashlib
from collections.abc import Sequence

from picollm.inference.generate import generate
from picollm.inference.settings import Limits, Reader, Sample
from picollm.model.transformer import Transformer
from picollm.text.prompts import encode_prompts
from picollm.text.tokenizer import Tokenizer

# The model's own distribution: that of KL, of the true reward and of the optimum.
UNTRUNCATED = Reader(temperature=1.0, top_p=1.0)


def sample_seed(seed: int, key: str) -> int:
    """The seed of one sample: a hash of the run's seed and the sample's `key`, the same on every machine and version."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}".encode()).digest()[:7], "big")


def complete(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    seeds: Sequence[Sequence[int]],
    settings: Limits,
    decoding: Reader,
    truncate: bool,
) -> list[list[dict]]:
    """Completions of each prompt, one for each of its seeds: {completion, ended, prompt_ids, completion_ids, end_ids}. The ids
    together decode to prompt + completion; end_ids holds the token that ended it, if any.

    Raises DataError as `encode_prompts` does.
    """
    context = model.config.max_position_embeddings
    encoded = encode_prompts(prompts, tokenizer, context, settings.max_new_tokens, truncate)
    completions = generate(
        model,
        encoded,
        seeds,
        min(settings.max_new_tokens, context - 1),
        decoding.temperature,
        decoding.top_p,
        tokenizer.stop_ids,
        settings.batch_size,
    )
    return [
        [
            {
                "completion": (tokenizer.decode_continuation if prompt else tokenizer.decode)(completion.ids),
                "ended": completion.ended,
                "prompt_ids": prompt_ids,
                "completion_ids": completion.ids,
                "end_ids": completion.end,
            }
            for completion in of_prompt
        ]
        for prompt, prompt_ids, of_prompt in zip(prompts, encoded, completions, strict=True)
    ]


def sample_rows(
    model: Transformer,
    tokenizer: Tokenizer,
    rows: Sequence[dict],
    name: str,
    settings: Sample,
    reader: Reader,
    truncate: bool,
    seed: int,
) -> list[dict]:
    """Samples of the model called `name` for the first `settings.prompts` prompts of each split; rows are {id, split, prompt}.

    At temperature 1 without top-p: `settings.per_prompt(name)` of each test prompt, one of each unseen prompt. Then one of each
    prompt drawn as by `reader`. Besides what `complete` gives, a sample has the keys `reader` (which of the two) and `number` (which
    of its prompt's). It depends on its row's id, its number, `name` and `seed`, not on the other rows; so models are independent.
    """
    splits = dict.fromkeys(row["split"] for row in rows)
    selected = [row for split in splits for row in [row for row in rows if row["split"] == split][: settings.prompts]]
    exact = exact_samples(model, tokenizer, selected, name, settings, truncate, seed)
    seeds = [[sample_seed(seed, f"{name}/{row['id']}/reader/0")] for row in selected]
    prompts = [row["prompt"] for row in selected]
    as_read = complete(model, tokenizer, prompts, seeds, settings, reader, truncate)
    return exact + _numbered(selected, as_read, reader=True)


def exact_samples(
    model: Transformer,
    tokenizer: Tokenizer,
    rows: Sequence[dict],
    name: str,
    settings: Sample,
    truncate: bool,
    seed: int,
) -> list[dict]:
    """The samples of `sample_rows` at temperature 1 without top-p, of all of `rows`."""
    seeds = []
    for row in rows:
        count = settings.per_prompt(name) if row["split"] == "test" else 1
        seeds.append([sample_seed(seed, f"{name}/{row['id']}/{number}") for number in range(count)])
    prompts = [row["prompt"] for row in rows]
    completed = complete(model, tokenizer, prompts, seeds, settings, UNTRUNCATED, truncate)
    return _numbered(rows, completed, reader=False)


def _numbered(rows: Sequence[dict], completed: list[list[dict]], reader: bool) -> list[dict]:
    return [
        {**row, "reader": reader, "number": number, **completion}
        for row, completions in zip(rows, completed, strict=True)
        for number, completion in enumerate(completions)
    ]
