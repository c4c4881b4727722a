"""The corpus as a parquet file of one column `text`."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from picollm.core.errors import DataError

COLUMN = "text"


def read_corpus(path: str | Path, batch_rows: int) -> Iterator[list[str]]:
    """The column `text` of a parquet file, `batch_rows` texts at a time. Raises DataError naming the file."""
    # What is read ahead would be kept to the end of the file.
    with _readable(path), pq.ParquetFile(path, pre_buffer=False) as file:
        names = file.schema_arrow.names
        kind = file.schema_arrow.field(COLUMN).type if names.count(COLUMN) == 1 else pa.null()
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise DataError(f"{path}: expected one column {COLUMN!r} of strings, found columns {names}")
        rows = 0
        for batch in file.iter_batches(batch_size=batch_rows, columns=[COLUMN]):
            texts = batch.column(0).to_pylist()
            if None in texts:
                raise DataError(f"{path}: row {rows + texts.index(None) + 1} has no {COLUMN}")
            rows += len(texts)
            yield texts


@contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable parquet file: {error}") from None


def spread_texts(path: str | Path, batch_rows: int, most: int) -> Iterator[str]:
    """At most `most` texts of a corpus, evenly spaced over it."""
    with _readable(path):
        stride = max(1, -(-pq.read_metadata(path).num_rows // most))
    return islice(chain.from_iterable(read_corpus(path, batch_rows)), 0, None, stride)
