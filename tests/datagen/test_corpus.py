from collections import Counter
from itertools import count
from random import Random

import pyarrow.parquet as pq
import pytest

from picollm.core.errors import DataError
from picollm.core.files import write_jsonl
from picollm.datagen.corpus import corpus_texts, mix, write_corpus
from tests.datagen.examples import corpus, specifications

# corpus_texts


def test_the_everyday_corpus_has_as_many_documents_as_asked_for():
    for split, documents in (("train", 60), ("validation", 30)):
        texts = list(corpus_texts(corpus(), specifications(), split))
        assert len(texts) == documents
        assert {source for source, _ in texts} == {"everyday"}


def test_the_specification_share_reaches_the_everyday_stories():
    texts = [text for _, text in corpus_texts(corpus(specification_share=0.0), specifications(), "train")]
    assert not any("Story:" in text for text in texts)


def write_stories(tmp_path, monkeypatch, count):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    stories = [f"Story number {number}." for number in range(count)]
    (tmp_path / "data/raw/own.txt").write_text("\n".join(stories))
    return set(stories)


def test_own_stories_are_divided_into_training_and_validation(tmp_path, monkeypatch):
    stories = write_stories(tmp_path, monkeypatch, 1000)
    settings = corpus(source="files", documents=1100, validation_documents=100)
    train, validation = (
        {text for _, text in corpus_texts(settings, specifications(), split)} for split in ("train", "validation")
    )
    assert train | validation == stories
    assert not train & validation
    assert 4 <= len(validation) <= 36  # 2 % of 1000: 20, with a standard deviation of 4.4


def test_two_stories_of_the_users_are_enough(tmp_path, monkeypatch):
    stories = write_stories(tmp_path, monkeypatch, 2)
    train, validation = (
        {text for _, text in corpus_texts(corpus(source="files"), specifications(), split)}
        for split in ("train", "validation")
    )
    assert train | validation == stories and len(train) == len(validation) == 1


def test_a_mix_draws_from_the_sources_that_have_a_weight(tmp_path, monkeypatch):
    stories = write_stories(tmp_path, monkeypatch, 500)
    weights = {"everyday": 3.0, "tinystories": 0.0, "files": 1.0}
    settings = corpus(source="mix", weights=weights, documents=400)
    texts = list(corpus_texts(settings, specifications(), "train"))
    own = [text for source, text in texts if source == "files"]
    assert {source for source, _ in texts} == {"everyday", "files"}
    assert len(texts) == 400 and set(own) <= stories
    # A quarter of 400: mean 100, standard deviation 8.7.
    assert 57 <= len(own) <= 143


def test_a_source_alone_needs_no_weight(tmp_path, monkeypatch):
    write_stories(tmp_path, monkeypatch, 500)
    weights = {"everyday": 1.0, "tinystories": 1.0, "files": 0.0}
    texts = list(corpus_texts(corpus(source="files", weights=weights), specifications(), "train"))
    assert [source for source, _ in texts] == ["files"] * 60


def test_stories_are_divided_at_the_end_of_text_wherever_it_occurs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ["One.<|endoftext|>", "Two. <|endoftext|>\n\nThree.\n<|endoftext|><|endoftext|>", " Four.\n"]
    write_jsonl("data/raw/own_train.jsonl", ({"text": text} for text in rows))
    texts = corpus_texts(corpus(source="files", files="*.jsonl", documents=4), specifications(), "train")
    assert [text for _, text in texts] == ["One.", "Two.", "Three.", " Four.\n"]


# mix


def endless(name):
    return lambda: (f"{name}{place}" for place in count())


def test_weights_are_shares_of_texts():
    sources, weights = {"a": endless("a"), "b": endless("b"), "c": endless("c")}, {"a": 3.0, "b": 1.0, "c": 0.0}
    texts = list(mix(sources, weights, 4000, Random(1)))
    shares = Counter(source for source, _ in texts)
    # Three standard deviations of a share of 4000 draws are at most 0.024.
    assert shares["a"] / 4000 == pytest.approx(0.75, abs=0.024)
    assert shares["c"] == 0
    assert shares.total() == 4000
    for source in "ab":
        assert [text for name, text in texts if name == source] == [f"{source}{i}" for i in range(shares[source])]


def test_a_source_that_runs_out_is_opened_again():
    texts = list(mix({"small": lambda: iter(["one", "two"])}, {"small": 0.1}, 5, Random(1)))
    assert texts == [("small", text) for text in ("one", "two", "one", "two", "one")]


def test_the_mix_is_a_function_of_its_generator_and_not_of_the_order_of_its_sources():
    sources, weights = {"a": endless("a"), "b": endless("b")}, {"a": 1.0, "b": 1.0}
    first = list(mix(sources, weights, 50, Random(7)))
    assert first == list(mix(dict(reversed(sources.items())), weights, 50, Random(7)))
    assert first != list(mix(sources, weights, 50, Random(8)))


def test_a_source_without_text_is_named():
    with pytest.raises(DataError, match="corpus source files: no text for this split"):
        list(mix({"files": lambda: iter([])}, {"files": 1.0}, 3, Random(1)))


# write_corpus


def test_a_corpus_is_one_column_of_texts_with_its_counts(tmp_path):
    texts = [("own", "Two words."), ("hub", "été"), ("hub", "Two words."), ("own", " Two  words.")]
    counts = write_corpus(tmp_path / "c" / "train.parquet", iter(texts))
    table = pq.read_table(tmp_path / "c" / "train.parquet")
    assert table.to_pydict() == {"text": [text for _, text in texts]}
    assert counts == {
        "documents": 4, "duplicates": 1, "words": 7, "bytes": 10 + 5 + 10 + 12, "from_own": 2, "from_hub": 2
    }  # fmt: skip
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["train.parquet"]


def test_a_corpus_is_written_a_thousand_texts_at_a_time(tmp_path):
    rng, sizes = Random(1), []

    def texts():
        for place in range(2500):
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield "s", f"text {place} {rng.randbytes(100).hex()}"

    assert write_corpus(tmp_path / "c.parquet", texts())["documents"] == 2500
    metadata = pq.read_metadata(tmp_path / "c.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [1000, 1000, 500]
    # A text is 100 bytes of entropy: what came before is in the file when the next thousand is asked for.
    assert sizes[1000] > 100_000
    assert sizes[2000] > 200_000


def test_equal_texts_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_corpus(tmp_path / name, (("s", f"text {place}") for place in range(1200)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_error_of_a_source_leaves_the_earlier_corpus(tmp_path):
    def broken():
        yield from (("s", f"new {place}") for place in range(1500))
        raise DataError("a.txt:9: not UTF-8")

    write_corpus(tmp_path / "c.parquet", iter([("s", "old")]))
    with pytest.raises(DataError, match="not UTF-8"):
        write_corpus(tmp_path / "c.parquet", broken())
    assert pq.read_table(tmp_path / "c.parquet").to_pydict() == {"text": ["old"]}
    assert [path.name for path in tmp_path.iterdir()] == ["c.parquet"]
