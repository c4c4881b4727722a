import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from picollm.core.errors import DataError
from picollm.records.parquet import evenly_spaced_texts, read_corpus


def test_corpus_is_read_in_batches(tmp_path):
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"id": range(5), "text": list("abcde")}), path)
    assert list(read_corpus(path, 2)) == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, "a"), (2, "ad"), (3, "ace"), (4, "ace"), (5, "abcde"), (9, "abcde")]
)
def test_some_texts_of_a_corpus_are_evenly_spaced(tmp_path, limit, expected):
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"text": list("abcde")}), path)
    assert "".join(evenly_spaced_texts(path, 2, limit)) == expected


STRINGS = pa.array(["a", "b", "a"])
COLUMNS = [STRINGS, *(STRINGS.cast(kind) for kind in (pa.large_string(), pa.string_view()))]
COLUMNS += [STRINGS.dictionary_encode(), STRINGS.cast(pa.large_string()).dictionary_encode()]


@pytest.mark.parametrize("column", COLUMNS, ids=[str(column.type) for column in COLUMNS])
def test_columns_of_every_string_type_are_read(tmp_path, column):
    pq.write_table(pa.table({"text": column}), tmp_path / "c.parquet")
    assert list(read_corpus(tmp_path / "c.parquet", 2)) == [["a", "b"], ["a"]]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ({"story": ["a"], "id": [1]}, "expected one column 'text', found columns story, id"),
        ({"text": [1]}, "column 'text': expected strings, found int64"),
        ({"text": [None]}, "column 'text': expected strings, found null"),
        ({"text": [b"a"]}, "column 'text': expected strings, found binary"),
    ],
)
def test_a_corpus_without_a_column_of_strings_is_refused(tmp_path, column, reason):
    pq.write_table(pa.table(column), tmp_path / "c.parquet")
    with pytest.raises(DataError, match=rf"c\.parquet: {reason}"):
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
    for content in (b"", whole[: len(whole) // 2]):  # as a full disk or a broken download leaves it
        path.write_bytes(content)
        for read in (lambda: read_corpus(path, 10), lambda: evenly_spaced_texts(path, 10, 5)):
            with pytest.raises(DataError, match=r"c\.parquet: not a readable parquet file"):
                list(read())
