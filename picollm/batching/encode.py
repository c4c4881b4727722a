"""Records -> ids and response masks; truncation that keeps a pair's prompt the same for both of its responses."""

from collections.abc import Sequence

import numpy as np

from picollm.core.errors import DataError
from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.text.tokenizer import Tokenizer


def encode_prompts(prompts: Sequence[str], tokenizer: Tokenizer, room: int) -> list[list[int]]:
    """Prompts as [bos] ids of at most `room` tokens, cut from the left."""
    return [_cut_prompt(ids, tokenizer, room) for ids in tokenizer.encode_batch(prompts)]


def encode_responses(
    prompts: Sequence[str],
    responses: Sequence[Sequence[str]],
    ids: Sequence[str],
    tokenizer: Tokenizer,
    context: int,
    truncate: bool,
) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Prompts as [bos] ids, and the responses of each as ids [eos]; prompt and response together are a sequence.

    The two are encoded apart, so that a prompt has the same ids in training and in sampling, and a response continues
    its prompt: their ids spell prompt + response. A sequence of more than `context` tokens is a DataError that names
    the record, or, with `truncate`, costs tokens of the prompt from the left and then of the response from the right.
    """
    encoded_prompts = tokenizer.encode_batch(prompts)
    per_prompt = len(responses[0])
    flat = tokenizer.encode_continuations([text for group in responses for text in group])
    heads, groups = [], []
    for row, prompt in enumerate(encoded_prompts):
        tails = [[*tail, tokenizer.eos_id] for tail in flat[row * per_prompt : (row + 1) * per_prompt]]
        longest = max(map(len, tails))
        needed = 1 + len(prompt) + longest
        if needed > context and not truncate:
            raise DataError(
                f"{ids[row]}: prompt and response take {needed} tokens, the model's context is {context}; "
                "shorten the row or set truncate: true"
            )
        head = _cut_prompt(prompt, tokenizer, max(1, context - longest))
        heads.append(np.array(head, dtype=np.int64))
        groups.append([np.array(tail[: context - len(head)], dtype=np.int64) for tail in tails])
    return heads, groups


def encode_sft(
    records: Sequence[SFTRecord], tokenizer: Tokenizer, context: int, truncate: bool
) -> tuple[list[np.ndarray], list[int]]:
    """SFT rows -> sequences and prompt lengths; see `encode_responses`."""
    heads, groups = encode_responses(
        [record.prompt for record in records],
        [(record.response,) for record in records],
        [record.id for record in records],
        tokenizer,
        context,
        truncate,
    )
    sequences = [np.concatenate((head, tail)) for head, (tail,) in zip(heads, groups, strict=True)]
    return sequences, [len(head) for head in heads]


def encode_pairs(
    records: Sequence[PreferenceRecord], tokenizer: Tokenizer, context: int, truncate: bool
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Preference rows -> prompts, chosen and rejected responses; a sequence is a prompt followed by a response."""
    heads, groups = encode_responses(
        [record.prompt for record in records],
        [(record.chosen, record.rejected) for record in records],
        [record.id for record in records],
        tokenizer,
        context,
        truncate,
    )
    return heads, [chosen for chosen, _ in groups], [rejected for _, rejected in groups]


def _cut_prompt(prompt: list[int], tokenizer: Tokenizer, room: int) -> list[int]:
    kept = prompt[max(0, len(prompt) - (room - 1)) :] if room > 1 else []
    return [tokenizer.bos_id, *kept]
