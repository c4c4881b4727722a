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
    # With pre_buffer what was read ahead would be kept in memory to the end of the file.
    with _readable(path), pq.ParquetFile(path, pre_buffer=False) as file:
        names = file.schema_arrow.names
        if names.count(COLUMN) != 1:
            raise DataError(f"{path}: expected one column {COLUMN!r}, found columns {', '.join(names)}")
        column_type = file.schema_arrow.field(COLUMN).type
        if not _is_text(column_type):
            raise DataError(f"{path}: column {COLUMN!r}: expected strings, found {column_type}")
        rows = 0
        for batch in file.iter_batches(batch_size=batch_rows, columns=[COLUMN]):
            texts = batch.column(0).to_pylist()
            if None in texts:
                raise DataError(f"{path}: row {rows + texts.index(None) + 1} has no {COLUMN}")
            rows += len(texts)
            yield texts


def _is_text(column_type: pa.DataType) -> bool:
    if pa.types.is_dictionary(column_type):
        column_type = column_type.value_type
    return any(check(column_type) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


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
