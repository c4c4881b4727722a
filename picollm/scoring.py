"""Log-probs of rows under a model: of pairs, of responses, of samples; and the reference file that DPO starts from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from picollm import files
from picollm.data.batch import Batch, micro_batches
from picollm.data.records import PreferenceRecord, SFTRecord
from picollm.data.rows import PairRows, ResponseRows, Rows
from picollm.errors import DataError
from picollm.model import Transformer
from picollm.objectives import response_logps
from picollm.runtime import autocast


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


def response_tokens(rows: ResponseRows) -> int:
    """Number of tokens that bear loss: those of the responses and their end-of-text."""
    return int(sum(len(ids) - start for ids, start in zip(rows.sequences, rows.prompt_lengths, strict=True)))


def response_bytes(records: Sequence[SFTRecord]) -> int:
    """UTF-8 bytes of all responses."""
    return sum(len(record.response.encode("utf-8")) for record in records)


def read_reference(path: str | Path, records: Sequence[PreferenceRecord]) -> np.ndarray:
    """The reference log-probs [pairs, 2] that belong to these pairs, in their order.

    Raises DataError unless the file holds exactly their ids, in the same order.
    """
    logps = np.empty((len(records), 2), dtype=np.float64)
    row = -1
    for row, (line, entry) in enumerate(files.read_jsonl(path)):
        if row >= len(records):
            raise DataError(f"{path}:{line}: more rows than there are pairs ({len(records)}); run the reference stage")
        if entry.get("id") != records[row].id:
            raise DataError(f"{path}:{line}: id {entry.get('id')!r}, expected {records[row].id!r}: not these pairs")
        for column, key in enumerate(("chosen_logps", "rejected_logps")):
            value = entry.get(key)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise DataError(f"{path}:{line}: {key}: {value!r}; expected a number")
            logps[row, column] = value
    if row + 1 != len(records):
        raise DataError(f"{path}: {row + 1} rows, expected {len(records)}: not these pairs")
    return logps
