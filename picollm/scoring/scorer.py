"""What the evaluation asks of a model: log-probs of test responses, of pairs, of samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from picollm.batching.encode import encode_pairs, encode_sft
from picollm.batching.rows import ResponseRows
from picollm.model.transformer import Transformer
from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.scoring.rows import pair_logps, response_bytes, response_tokens, row_logps
from picollm.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Scorer:
    """How rows are encoded and scored; the same for every model."""

    tokenizer: Tokenizer
    context: int
    truncate: bool
    batch_size: int
    precision: str

    def responses(self, model: Transformer, records: Sequence[SFTRecord]) -> Iterator[dict]:
        """Per record: id, summed log-prob in nats, tokens (end-of-text included) and UTF-8 bytes of what is scored of the response."""
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
        """Per pair: id and the summed log-probs of its responses."""
        rows = encode_pairs(records, self.tokenizer, self.context, self.truncate)
        logps = pair_logps(model, rows, self.batch_size, self.precision)
        for record, (chosen, rejected) in zip(records, logps.tolist(), strict=True):
            yield {"id": record.id, "chosen_logps": chosen, "rejected_logps": rejected}

    def samples(self, model: Transformer, reference: Transformer, samples: Sequence[dict]) -> Iterator[dict]:
        """Per sample: id, the summed log-probs of its own tokens under the model and the reference, and how many there are,
        end-of-text included if it was reached."""
        sampled = [row["completion_ids"] + [self.tokenizer.eos_id] * row["ended"] for row in samples]
        sequences = [np.array(row["prompt_ids"] + ids) for row, ids in zip(samples, sampled, strict=True)]
        rows = ResponseRows(sequences, [len(row["prompt_ids"]) for row in samples])
        logps = row_logps(model, rows, self.batch_size, self.precision)
        others = logps if reference is model else row_logps(reference, rows, self.batch_size, self.precision)
        for row, ids, logp, other in zip(samples, sampled, logps.tolist(), others.tolist(), strict=True):
            yield {"id": row["id"], "logps": logp, "reference_logps": other, "tokens": len(ids)}
