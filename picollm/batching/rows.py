"""The data sets of the training loop: rows with lengths, and a Batch of any of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from picollm.batching.batch import Batch, pack, pack_pairs
from picollm.text.tokens import Tokens


class Rows(Protocol):
    """`lengths` [rows] in tokens, for a pair those of its longer sequence; `batch` packs the given rows."""

    lengths: np.ndarray

    def batch(self, rows: np.ndarray) -> Batch: ...


class DocumentRows:
    """Documents of a tokenized corpus, one per row; a document longer than `context` becomes several rows.

    Consecutive pieces overlap by one token, so that every token but the document's first is a target exactly once.
    """

    def __init__(self, tokens: Tokens, context: int):
        stride = context - 1
        pieces = np.maximum(1, -(-(tokens.lengths - 1) // stride))
        document = np.repeat(np.arange(len(tokens)), pieces)
        piece = np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        self.starts = tokens.offsets[:-1][document] + piece * stride
        self.lengths = np.minimum(context, tokens.offsets[1:][document] - self.starts)
        self.ids = tokens.ids

    def batch(self, rows: np.ndarray) -> Batch:
        sequences = [self.ids[self.starts[row] : self.starts[row] + self.lengths[row]] for row in rows]
        return pack(sequences, [1] * len(rows))


@dataclass
class ResponseRows:
    """SFT rows: only the response and its end-of-text are targets."""

    sequences: Sequence[np.ndarray]
    prompt_lengths: Sequence[int]

    def __post_init__(self):
        self.lengths = np.array([len(sequence) for sequence in self.sequences])

    def batch(self, rows: np.ndarray) -> Batch:
        return pack([self.sequences[row] for row in rows], [self.prompt_lengths[row] for row in rows])


@dataclass
class PairRows:
    """Preference pairs: ids of prompts and responses; `reference_logps` [pairs, 2] of (chosen, rejected), if they are known."""

    prompts: Sequence[np.ndarray]
    chosen: Sequence[np.ndarray]
    rejected: Sequence[np.ndarray]
    reference_logps: np.ndarray | None = None

    def __post_init__(self):
        self.lengths = np.array(
            [
                len(prompt) + max(len(a), len(b))
                for prompt, a, b in zip(self.prompts, self.chosen, self.rejected, strict=True)
            ]
        )

    def batch(self, rows: np.ndarray) -> Batch:
        reference = None if self.reference_logps is None else self.reference_logps[rows].T.reshape(-1)
        columns = ([column[row] for row in rows] for column in (self.prompts, self.chosen, self.rejected))
        return pack_pairs(*columns, reference)
