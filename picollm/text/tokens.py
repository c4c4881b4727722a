"""The tokenized corpus: every document as bos (if the tokenizer has one), ids and eos, concatenated in one memory-mapped array.

NAME.npy holds the ids (uint16 if the vocabulary is smaller than 65536, else uint32); document i is
ids[offsets[i] : offsets[i + 1]] with the offsets of NAME.offsets.npy.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from picollm.core.errors import DataError
from picollm.core.files import write_atomic
from picollm.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenCounts:
    """What write_tokens wrote: `tokens` with every bos and eos, `utf8_bytes` of the texts alone, without bos also without the first
    token of each, which nothing predicts."""

    documents: int
    tokens: int
    utf8_bytes: int


class Tokens:
    """A memory-mapped tokenized corpus. Raises DataError if a file is missing, damaged, or does not match the other."""

    def __init__(self, path: str | Path):
        path = Path(path)
        self.ids = _open(path, (np.dtype(np.uint16), np.dtype(np.uint32)))
        self.offsets = _open(offsets_path(path), (np.dtype(np.int64),))
        self.lengths = np.diff(self.offsets)  # [documents], bos and eos included
        if not len(self.lengths) or self.offsets[0] != 0 or self.lengths.min() < 2:
            raise DataError(f"{offsets_path(path)}: expected rising offsets from 0, one more than documents")
        if self.offsets[-1] != len(self.ids):
            raise DataError(f"{path}: holds {len(self.ids)} tokens, its offsets end at {self.offsets[-1]}")

    def __len__(self) -> int:
        return len(self.lengths)


def offsets_path(path: str | Path) -> Path:
    return Path(path).with_suffix(".offsets.npy")


def write_tokens(texts: Iterator[list[str]], tokenizer: Tokenizer, path: str | Path) -> TokenCounts:
    """Encode batches of documents into `path` (.npy) and its offsets; both files are written completely or not at all.

    Memory holds one batch. Raises DataError for a document without text and for a corpus without documents.
    """
    path = Path(path)
    dtype = np.uint16 if tokenizer.vocab_size < 2**16 else np.uint32
    documents = tokens = utf8_bytes = 0
    with (
        _npy_stream(path, dtype) as append_ids,
        _npy_stream(offsets_path(path), np.int64) as append_offsets,
        tqdm(desc=f"tokenize {path.stem}", unit="B", unit_scale=True, disable=None) as progress,
    ):
        append_offsets(np.zeros(1, np.int64))
        for batch in texts:
            for place, text in enumerate(batch, start=documents + 1):
                if not text.strip():
                    raise DataError(f"{path}: document {place} of the corpus has no text")
            rows = [[*tokenizer.bos, *ids, tokenizer.eos_id] for ids in tokenizer.encode_batch(batch)]
            append_ids(np.fromiter(chain.from_iterable(rows), dtype))
            append_offsets(tokens + np.cumsum([len(row) for row in rows], dtype=np.int64))
            batch_bytes = sum(len(text.encode()) for text in batch)
            progress.update(batch_bytes)
            if not tokenizer.bos:  # nothing predicts the first token
                batch_bytes -= sum(len(tokenizer.decode(row[:1]).encode()) for row in rows)
            documents += len(batch)
            tokens += sum(len(row) for row in rows)
            utf8_bytes += batch_bytes
        if not documents:
            raise DataError(f"{path}: the corpus has no documents")
    return TokenCounts(documents, tokens, utf8_bytes)


@contextmanager
def _npy_stream(path: Path, dtype: type[np.integer]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a one-dimensional .npy array piece by piece; numpy pads its header so that any length fits."""
    count = 0

    def write_header() -> None:
        descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
        np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": (count,)})

    def append(values: np.ndarray) -> None:
        nonlocal count
        file.write(values.astype(dtype, copy=False).tobytes())
        count += len(values)

    with write_atomic(path, "wb") as file:
        write_header()
        yield append
        file.seek(0)
        write_header()


def _open(path: Path, dtypes: tuple[np.dtype, ...]) -> np.ndarray:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable token file: {error}") from None
    if array.ndim != 1 or array.dtype not in dtypes:
        expected = " or ".join(dtype.name for dtype in dtypes)
        raise DataError(f"{path}: expected one dimension of {expected}")
    return array
