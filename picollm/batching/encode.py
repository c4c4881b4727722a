"""Records -> rows of token ids.

Prompts and responses are encoded separately, so that a prompt has the same ids in training and in sampling; the ids of both
decode to prompt + response.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from picollm.batching.rows import PairRows, ResponseRows
from picollm.core.errors import DataError
from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.text.prompts import prompt_ids
from picollm.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Encoded:
    """Ids of the prompts, `bos` ([bos] or []) in front, and of each prompt's responses, eos included; `names` identify the rows in
    errors."""

    prompts: Sequence[Sequence[int]]
    responses: Sequence[Sequence[Sequence[int]]]
    names: Sequence[str]
    bos: Sequence[int]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, for a pair those of its longer sequence: [rows]."""
        return np.array([len(p) + max(map(len, r)) for p, r in zip(self.prompts, self.responses, strict=True)])

    def fit(self, context: int, truncate: bool) -> "Encoded":
        """The rows, of at most `context` tokens each.

        A longer row raises DataError; with `truncate` its prompt is truncated from the left (both responses of a pair keep the
        same prompt), then its responses from the right. Raises DataError if that makes the two responses of a pair equal.
        """
        lengths = self.lengths
        too_long = np.flatnonzero(lengths > context)
        if len(too_long) and not truncate:
            first = too_long[0]
            raise DataError(
                f"{self.names[first]}: prompt and response have {lengths[first]} tokens; expected at most {context}, the model's "
                f"context ({len(too_long)} of {len(lengths)} rows are too long, the longest has {lengths.max()} tokens). Shorten "
                "or remove them, or set truncate: true"
            )
        prompts, responses = list(self.prompts), list(self.responses)
        for row in too_long:
            ids = prompts[row][len(self.bos) :]
            prompts[row] = prompt_ids(ids, self.bos, context - max(map(len, responses[row])))
            responses[row] = [response[: context - len(prompts[row])] for response in responses[row]]
        equal = [row for row in too_long if len(responses[row]) == 2 and responses[row][0] == responses[row][1]]
        if equal:
            raise DataError(
                f"{self.names[equal[0]]}: chosen and rejected are equal once truncated to the model's context of {context} "
                f"tokens ({len(equal)} of {len(lengths)} pairs are); remove them"
            )
        return replace(self, prompts=prompts, responses=responses)

    def truncation_counts(self, original: "Encoded") -> dict[str, int]:
        """What `fit` changed in `original`: rows, tokens of the longest, truncated prompts, truncated responses (without eos)."""
        groups = zip(self.responses, original.responses, strict=True)
        return {
            "rows": len(original.names),
            "tokens_max": int(original.lengths.max()),
            "truncated_prompts": sum(len(a) < len(b) for a, b in zip(self.prompts, original.prompts, strict=True)),
            "truncated_responses": sum(len(a) < len(b) for group in groups for a, b in zip(*group, strict=True)),
        }


def encode(records: Sequence[SFTRecord] | Sequence[PreferenceRecord], tokenizer: Tokenizer) -> Encoded:
    """The ids of records of one kind, of any length."""
    prompts = tokenizer.encode_batch([record.prompt for record in records])
    texts = [(r.response,) if isinstance(r, SFTRecord) else (r.chosen, r.rejected) for r in records]
    flat = iter(tokenizer.encode_continuations([text for group in texts for text in group]))
    responses = [[[*next(flat), tokenizer.eos_id] for _ in group] for group in texts]
    names = [record.origin or record.id for record in records]
    return Encoded([[*tokenizer.bos, *ids] for ids in prompts], responses, names, tokenizer.bos)


def encode_sft(records: Sequence[SFTRecord], tokenizer: Tokenizer, context: int, truncate: bool) -> ResponseRows:
    """SFT records -> rows of at most `context` tokens; raises and truncates as `Encoded.fit`."""
    encoded = encode(records, tokenizer).fit(context, truncate)
    sequences = [
        np.array([*prompt, *response]) for prompt, (response,) in zip(encoded.prompts, encoded.responses, strict=True)
    ]
    return ResponseRows(sequences, [len(prompt) for prompt in encoded.prompts])


def encode_pairs(
    records: Sequence[PreferenceRecord],
    tokenizer: Tokenizer,
    context: int,
    truncate: bool,
    reference_logps: np.ndarray | None = None,
) -> PairRows:
    """Preference records -> pairs of at most `context` tokens; raises and truncates as `Encoded.fit`.

    `reference_logps` [pairs, 2]: the reference's summed log-probs of (chosen, rejected), in nats.
    """
    encoded = encode(records, tokenizer).fit(context, truncate)
    prompts = [np.array(prompt) for prompt in encoded.prompts]
    chosen, rejected = ([np.array(group[side]) for group in encoded.responses] for side in (0, 1))
    return PairRows(prompts, chosen, rejected, reference_logps)
