"""Records -> ids and response masks; truncation that keeps a pair's prompt the same for both of its responses."""

from collections.abc import Sequence

import numpy as np

from picollm.data.records import PreferenceRecord, SFTRecord
from picollm.errors import DataError
from picollm.tokenizer import Tokenizer


def encode_prompts(prompts: Sequence[str], tokenizer: Tokenizer, room: int) -> list[list[int]]:
    """Prompts as [bos] + ids, cut from the left (bos kept) to at most `room` tokens."""
    return [_cut_prompt(ids, tokenizer, room) for ids in tokenizer.encode_batch(prompts)]


def encode_responses(
    prompts: Sequence[str],
    responses: Sequence[Sequence[str]],
    ids: Sequence[str],
    tokenizer: Tokenizer,
    context: int,
    truncate: bool,
) -> tuple[list[list[np.ndarray]], list[int]]:
    """Each prompt followed by each of its responses, which share the prompt's tokens.

    A sequence is [bos] prompt response [eos]. Returns the sequences per prompt (as many as it has responses) and the length
    of each prompt, bos included. A sequence of more than `context` tokens is a DataError that names the record, or, with
    `truncate`, costs tokens of the prompt from the left and then of the response from the right.
    """
    encoded_prompts = tokenizer.encode_batch(prompts)
    per_prompt = len(responses[0])
    flat = tokenizer.encode_batch([text for group in responses for text in group])
    groups, lengths = [], []
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
        lengths.append(len(head))
        groups.append([np.array((head + tail)[:context], dtype=np.int64) for tail in tails])
    return groups, lengths


def encode_sft(
    records: Sequence[SFTRecord], tokenizer: Tokenizer, context: int, truncate: bool
) -> tuple[list[np.ndarray], list[int]]:
    """SFT rows -> sequences and prompt lengths; see `encode_responses`."""
    groups, lengths = encode_responses(
        [record.prompt for record in records],
        [(record.response,) for record in records],
        [record.id for record in records],
        tokenizer,
        context,
        truncate,
    )
    return [group[0] for group in groups], lengths


def encode_pairs(
    records: Sequence[PreferenceRecord], tokenizer: Tokenizer, context: int, truncate: bool
) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    """Preference rows -> chosen sequences, rejected sequences, and the prompt length that both share."""
    groups, lengths = encode_responses(
        [record.prompt for record in records],
        [(record.chosen, record.rejected) for record in records],
        [record.id for record in records],
        tokenizer,
        context,
        truncate,
    )
    return [chosen for chosen, _ in groups], [rejected for _, rejected in groups], lengths


def _cut_prompt(prompt: list[int], tokenizer: Tokenizer, room: int) -> list[int]:
    kept = prompt[max(0, len(prompt) - (room - 1)) :] if room > 1 else []
    return [tokenizer.bos_id, *kept]
