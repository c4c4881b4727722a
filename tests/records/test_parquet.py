import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from picollm.core.errors import DataError
from picollm.records.parquet import read_corpus, spread_texts


def test_corpus_is_read_in_batches(tmp_path):
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"id": range(5), "text": list("abcde")}), path)
    assert list(read_corpus(path, 2)) == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize(
    ("most", "expected"), [(1, "a"), (2, "ad"), (3, "ace"), (4, "ace"), (5, "abcde"), (9, "abcde")]
)
def test_some_texts_of_a_corpus_are_evenly_spaced(tmp_path, most, expected):
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"text": list("abcde")}), path)
    assert "".join(spread_texts(path, 2, most)) == expected


@pytest.mark.parametrize("column", [{"story": ["a"]}, {"text": [1]}, {"text": [None]}, {"text": [b"a"]}])
def test_corpus_without_a_column_of_texts_is_refused(tmp_path, column):
    pq.write_table(pa.table(column), tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"c\.parquet: expected one column 'text' of strings"):
        list(read_corpus(tmp_path / "c.parquet", 10))


def test_null_in_a_corpus_is_named_by_row(tmp_path):
    pq.write_table(pa.table({"text": ["a", "b", "c", None]}), tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"c\.parquet: row 4 has no text"):
        list(read_corpus(tmp_path / "c.parquet", 3))


def test_missing_or_damaged_corpus_is_named(tmp_path):
    path = tmp_path / "c.parquet"
    with pytest.raises(DataError, match=r"c\.parquet: not a readable parquet file"):
        list(read_corpus(path, 10))
    pq.write_table(pa.table({"text": [f"text {place}" for place in range(1000)]}), path)
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-10], whole[: len(whole) // 2], b"\x00" * 200 + whole[200:]):
        path.write_bytes(content)
        for read in (lambda: read_corpus(path, 10), lambda: spread_texts(path, 10, 5)):
            with pytest.raises(DataError, match=r"c\.parquet: not a readable parquet file"):
                list(read())
