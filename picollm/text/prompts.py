"""Prompts as ids that leave room for what follows them."""

from collections.abc import Sequence

from picollm.core.errors import DataError
from picollm.text.tokenizer import Tokenizer


def prompt_ids(ids: Sequence[int], bos_id: int, room: int) -> list[int]:
    """[bos] and the last of `ids`, at most `room` tokens together, at least bos."""
    return [bos_id, *ids[max(0, len(ids) - max(room - 1, 0)) :]]


def encode_prompts(
    prompts: Sequence[str], tokenizer: Tokenizer, context: int, new_tokens: int, truncate: bool
) -> list[list[int]]:
    """Prompts as [bos] ids to sample from. Raises DataError if one of them and `new_tokens` do not fit `context` together; with
    `truncate` prompts are cut from the left instead."""
    encoded = tokenizer.encode_batch(prompts)
    longest = max(map(len, encoded)) + 1
    if longest + new_tokens > context and not truncate:
        raise DataError(
            f"a prompt of {longest} tokens and sample.max_new_tokens: {new_tokens} exceed the model's context of {context}; "
            "lower sample.max_new_tokens, or set truncate: true"
        )
    return [prompt_ids(ids, tokenizer.bos_id, context - min(new_tokens, context - 1)) for ids in encoded]
