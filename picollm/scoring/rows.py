"""Log-probs of rows under a model: of pairs, of responses, of samples."""

from collections.abc import Sequence

import numpy as np
import torch

from picollm.batching.batch import Batch, micro_batches
from picollm.batching.rows import PairRows, ResponseRows, Rows
from picollm.model.runtime import autocast
from picollm.model.transformer import Transformer
from picollm.records.jsonl import SFTRecord
from picollm.scoring.logps import response_logps
from picollm.text.tokenizer import Tokenizer


def pair_logps(model: Transformer, pairs: PairRows, batch_size: int, precision: str) -> np.ndarray:
    """Summed response log-probs of every pair: [pairs, 2], chosen and rejected, in nats."""

    def columns(logps: np.ndarray) -> np.ndarray:
        return logps.reshape(2, -1).T

    return _over_rows(model, pairs, batch_size, precision, columns)


def row_logps(model: Transformer, rows: ResponseRows, batch_size: int, precision: str) -> np.ndarray:
    """Summed response log-prob of every row: [rows], in nats."""
    return _over_rows(model, rows, batch_size, precision, lambda logps: logps)


@torch.inference_mode()
def _over_rows(model: Transformer, rows: Rows, batch_size: int, precision: str, shape) -> np.ndarray:
    device = next(model.parameters()).device
    scored: list[tuple[np.ndarray, np.ndarray]] = []
    for micro in micro_batches(np.arange(len(rows.lengths)), rows.lengths, batch_size):
        batch: Batch = rows.batch(micro).to(device)
        with autocast(device, precision):
            scored.append((micro, shape(response_logps(model, batch).cpu().numpy())))
    places = np.concatenate([micro for micro, _ in scored])
    return np.concatenate([logps for _, logps in scored])[np.argsort(places)]


def response_tokens(rows: ResponseRows) -> np.ndarray:
    """Tokens of each row that bear loss, those of the response and its end-of-text: [rows]."""
    return np.array([len(ids) - start for ids, start in zip(rows.sequences, rows.prompt_lengths, strict=True)])


def response_bytes(rows: ResponseRows, records: Sequence[SFTRecord], tokenizer: Tokenizer) -> np.ndarray:
    """UTF-8 bytes of each response, or, if it was truncated, of what is left of it: [rows]."""
    counts = []
    for record, ids, start in zip(records, rows.sequences, rows.prompt_lengths, strict=True):
        whole = ids[-1] == tokenizer.eos_id
        text = record.response if whole else tokenizer.decode_continuation(ids[start:].tolist())
        counts.append(len(text.encode("utf-8")))
    return np.array(counts)
