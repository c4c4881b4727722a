"""Log-probs of SFT rows and of pairs under a model, with the tokens and bytes that they cover."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from picollm.batching.batch import Batch, micro_batches
from picollm.batching.rows import PairRows, ResponseRows, Rows
from picollm.logprobs.logps import response_logps
from picollm.model.runtime import autocast
from picollm.model.transformer import Transformer
from picollm.records.jsonl import SFTRecord
from picollm.text.tokenizer import Tokenizer


def pair_logps(model: Transformer, pairs: PairRows, batch_size: int, precision: str, decay: float = 1.0) -> np.ndarray:
    """Summed log-probs of each pair's (chosen, rejected) response, whose tokens count as in `response_logps`: [pairs, 2], in nats."""
    return score(
        lambda batch: response_logps(model, batch, decay).reshape(2, -1).T, model, pairs, batch_size, precision
    )


def row_logps(model: Transformer, rows: ResponseRows, batch_size: int, precision: str) -> np.ndarray:
    """Summed log-prob of each row's response: [rows], in nats."""
    return score(lambda batch: response_logps(model, batch), model, rows, batch_size, precision)


@torch.inference_mode()
def score(
    compute: Callable[[Batch], Tensor], model: Transformer, rows: Rows, batch_size: int, precision: str
) -> np.ndarray:
    """What `compute` returns for batches of `rows`, one entry per row of the batch: [rows, ..], in the order of `rows`."""
    device = next(model.parameters()).device
    order = micro_batches(np.arange(len(rows.lengths)), rows.lengths, batch_size)
    scored = []
    for micro in order:
        batch = rows.batch(micro).to(device)
        with autocast(device, precision):
            scored.append(compute(batch).cpu().numpy())
    return np.concatenate(scored)[np.argsort(np.concatenate(order))]


def response_tokens(rows: ResponseRows) -> np.ndarray:
    """Target tokens of each row, those of the response and its end-of-text: [rows]."""
    return np.array([len(ids) - start for ids, start in zip(rows.sequences, rows.prompt_lengths, strict=True)])


def response_bytes(rows: ResponseRows, records: Sequence[SFTRecord], tokenizer: Tokenizer) -> np.ndarray:
    """UTF-8 bytes of each response as scored, that is after truncation: [rows]."""
    counts = []
    for record, ids, start in zip(records, rows.sequences, rows.prompt_lengths, strict=True):
        complete = ids[-1] == tokenizer.eos_id
        text = record.response if complete else tokenizer.decode_continuation(ids[start:].tolist())
        counts.append(len(text.encode("utf-8")))
    return np.array(counts)
