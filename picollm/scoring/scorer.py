"""The scores that evaluation needs: log-probs of test responses, pairs and samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picollm.batching.encode import encode_pairs, encode_sft
from picollm.batching.rows import ResponseRows
from picollm.logprobs.rows import pair_logps, response_bytes, response_tokens, row_logps, score
from picollm.model.transformer import Transformer
from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.scoring.divergence import divergence
from picollm.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Scorer:
    """Encodes and scores records, with the same settings for every model."""

    tokenizer: Tokenizer
    context: int
    truncate: bool
    batch_size: int
    precision: str

    def responses(self, model: Transformer, records: Sequence[SFTRecord]) -> Iterator[dict]:
        """Per record: id, and of its response, as truncated, the summed log-prob in nats, tokens (eos included) and UTF-8 bytes."""
        rows = encode_sft(records, self.tokenizer, self.context, self.truncate)
        logps = row_logps(model, rows, self.batch_size, self.precision)
        columns = (
            logps.tolist(),
            response_tokens(rows).tolist(),
            response_bytes(rows, records, self.tokenizer).tolist(),
        )
        for record, logp, tokens, count in zip(records, *columns, strict=True):
            yield {"id": record.id, "logps": logp, "tokens": tokens, "bytes": count}

    def pairs(self, model: Transformer, records: Sequence[PreferenceRecord]) -> Iterator[dict]:
        """Per pair: id and the summed log-probs of its responses, in nats."""
        rows = encode_pairs(records, self.tokenizer, self.context, self.truncate)
        logps = pair_logps(model, rows, self.batch_size, self.precision)
        for record, (chosen, rejected) in zip(records, logps.tolist(), strict=True):
            yield {"id": record.id, "chosen_logps": chosen, "rejected_logps": rejected}

    def samples(self, model: Transformer, reference: Transformer, samples: Sequence[dict]) -> Iterator[dict]:
        """Per sample drawn at temperature 1 without top-p: id, number, the exact KL(model || reference) of its positions, its summed
        log-probs under both, in nats, and its number of tokens; end-of-text counts if it was generated."""
        sampled = [row["completion_ids"] + row["end_ids"] for row in samples]
        sequences = [np.array(row["prompt_ids"] + ids) for row, ids in zip(samples, sampled, strict=True)]
        rows = ResponseRows(sequences, [len(row["prompt_ids"]) for row in samples])
        scores = score(lambda batch: divergence(model, reference, batch), model, rows, self.batch_size, self.precision)
        for row, ids, (kl, logps, reference_logps) in zip(samples, sampled, scores.tolist(), strict=True):
            numbers = {"kl": kl, "logps": logps, "reference_logps": reference_logps, "tokens": len(ids)}
            yield {"id": row["id"], "number": row["number"], **numbers}
