"""Reading a corpus: a parquet file with a column `text`."""

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
    # pre_buffer would keep everything it reads ahead in memory until the file is closed.
    with _parquet_errors(path), pq.ParquetFile(path, pre_buffer=False) as file:
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
def _parquet_errors(path: str | Path) -> Iterator[None]:
    """Raise what pyarrow raises for an unreadable file as DataError."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable parquet file: {error}") from None


def evenly_spaced_texts(path: str | Path, batch_rows: int, limit: int) -> Iterator[str]:
    """At most `limit` texts, evenly spaced over the corpus; reads `batch_rows` rows at a time."""
    with _parquet_errors(path):
        stride = max(1, -(-pq.read_metadata(path).num_rows // limit))
    return islice(chain.from_iterable(read_corpus(path, batch_rows)), 0, None, stride)
