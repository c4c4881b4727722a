"""Prompts as ids that leave room for what follows them."""

from collections.abc import Sequence

from picollm.core.errors import DataError
from picollm.text.tokenizer import Tokenizer


def prompt_ids(ids: Sequence[int], bos: Sequence[int], room: int) -> list[int]:
    """`bos` ([bos] or []) and the last of `ids`, at most `room` tokens together, at least one."""
    count = max(room - len(bos), 0 if bos else 1)
    return [*bos, *ids[max(0, len(ids) - count) :]]


def encode_prompts(
    prompts: Sequence[str],
    tokenizer: Tokenizer,
    context: int,
    new_tokens: int,
    truncate: bool,
    names: Sequence[str] | None = None,
) -> list[list[int]]:
    """Prompts as ids to sample from, bos in front if the tokenizer has one; with `truncate` cut from the left. Raises DataError, by the
    prompt's name if there are `names`, if some do not fit `context` together with `new_tokens`."""
    encoded = tokenizer.encode_batch(prompts)
    lengths = [len(tokenizer.bos) + len(ids) for ids in encoded]
    too_long = [row for row, length in enumerate(lengths) if length + new_tokens > context]
    if too_long and not truncate:
        first = too_long[0]
        where = f"{names[first]}: " if names else ""
        raise DataError(
            f"{where}a prompt of {lengths[first]} tokens and sample.max_new_tokens: {new_tokens} exceed the model's context of "
            f"{context} ({len(too_long)} of {len(lengths)} prompts do, the longest takes {max(lengths)}); lower "
            "sample.max_new_tokens, or set truncate: true"
        )
    return [prompt_ids(ids, tokenizer.bos, context - min(new_tokens, context - 1)) for ids in encoded]
