import hashlib
import math
import tracemalloc
from collections import Counter
from itertools import count, islice
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from picollm.core.errors import DataError
from picollm.core.files import write_jsonl
from picollm.datagen import providers
from picollm.datagen.providers import is_held_out, load_tinystories, mix, read_own_rows, read_text_stories, write_corpus
from picollm.records.jsonl import parse_sft_row

SPLITS = ("train", "validation", "test")
REVISION = "0" * 40


def stories(folder, pattern="*"):
    return list(read_text_stories(folder, pattern))


def write_parquet(path, texts, column="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({column: texts}), path)


# read_text_stories


def test_a_txt_file_is_divided_by_lines_of_the_end_of_text(tmp_path):
    (tmp_path / "a.txt").write_text(
        "One.\n\n  Still one. \n<|endoftext|>\nTwo says <|endoftext|> aloud.\n <|endoftext|> \n<|endoftext|>\n\nThree."
    )
    assert stories(tmp_path) == ["One.\n\n  Still one.", "Two says <|endoftext|> aloud.", "Three."]


def test_a_marker_late_in_a_txt_file_divides_all_of_it(tmp_path):
    (tmp_path / "a.txt").write_text("line\n" * 5000 + "<|endoftext|>\nlast\n")
    assert stories(tmp_path) == [("line\n" * 5000).strip(), "last"]


def test_a_txt_file_without_markers_holds_a_story_a_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne.\r\n\r\n  Two\xe2\x80\xa8still. \nThree <|endoftext|>")
    assert stories(tmp_path) == ["One.", "Two\u2028still.", "Three <|endoftext|>"]


def test_line_ends_of_windows_become_plain_ones(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"One\r\nmore.\r\n<|endoftext|>\r\nTwo.\r\n")
    assert stories(tmp_path) == ["One\nmore.", "Two."]


def test_files_are_read_in_the_order_of_their_names_and_only_where_they_match(tmp_path):
    write_parquet(tmp_path / "b.parquet", ["from b", " "])
    write_jsonl(tmp_path / "c.jsonl", [{"text": "from c", "more": 1}, {"text": ""}])
    (tmp_path / "a.txt").write_text("from a")
    (tmp_path / "folder.txt").mkdir()
    write_jsonl(tmp_path / "sft.jsonl", [{"prompt": "p", "response": "not a story"}])
    assert stories(tmp_path, "[abcf]*") == ["from a", "from b", "from c"]
    assert stories(tmp_path, "*.txt") == ["from a"]


def test_rows_of_another_format_are_refused_as_stories(tmp_path):
    write_jsonl(tmp_path / "sft.jsonl", [{"text": "a story"}, {"prompt": "p", "response": "r"}])
    with pytest.raises(DataError, match=r"sft\.jsonl:2: text: expected a story, found None"):
        stories(tmp_path)


@pytest.mark.parametrize("name", ["notes.md", "stories.TXT", "stories"])
def test_a_matching_file_of_another_kind_is_refused_before_any_is_read(tmp_path, name):
    (tmp_path / "a.txt").write_text("a story")
    (tmp_path / name).write_text("a story")
    with pytest.raises(DataError, match=rf"{name}: expected one of \.txt, \.jsonl, \.parquet"):
        next(read_text_stories(tmp_path, "*"))


def test_no_match_names_folder_and_pattern(tmp_path):
    with pytest.raises(DataError, match=rf"{tmp_path}: no file matches corpus\.files: \*\.txt"):
        stories(tmp_path, "*.txt")


@pytest.mark.parametrize("pattern", ["/etc/*.txt", "../*.txt", "sub/../../*.txt", "a**.txt"])
def test_patterns_that_leave_the_folder_or_are_none_are_refused(tmp_path, pattern):
    for read in (lambda: stories(tmp_path, pattern), lambda: read_own_rows(pattern, parse_sft_row, SPLITS)):
        with pytest.raises(DataError, match=r"\.txt: (expected a relative pattern|not a file pattern)"):
            read()


def test_text_that_is_not_utf8_names_file_line_and_byte(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"One.\nTw\xe9.\n")
    with pytest.raises(DataError, match=r"a\.txt:2: not UTF-8 at byte 2 of the line"):
        stories(tmp_path, "a.txt")
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "One"}\n{"text": "\xe9"}\n')
    with pytest.raises(DataError, match=r"b\.jsonl:2: not UTF-8"):
        stories(tmp_path, "b.jsonl")
    (tmp_path / "c.jsonl").write_text('{"text": "\\ud83d"}\n')
    with pytest.raises(DataError, match=r"c\.jsonl:1: text: holds half of a surrogate pair"):
        stories(tmp_path, "c.jsonl")


def test_a_line_above_the_limit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(providers, "MAX_LINE", 2**20)
    with open(tmp_path / "a.txt", "wb") as file:
        file.write(b"One.\n")
        file.truncate(2**26)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"a\.txt:2: a line of more than 1 MB"):
        stories(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_parquet_file_without_texts_is_refused(tmp_path):
    write_parquet(tmp_path / "a.parquet", ["a story"], column="story")
    with pytest.raises(DataError, match=r"a\.parquet: expected one column 'text'"):
        stories(tmp_path, "a.parquet")
    write_parquet(tmp_path / "b.parquet", ["a story", None])
    with pytest.raises(DataError, match=r"b\.parquet: row 2 has no text"):
        stories(tmp_path, "b.parquet")
    (tmp_path / "c.parquet").write_bytes((tmp_path / "b.parquet").read_bytes()[:-20])
    with pytest.raises(DataError, match=r"c\.parquet: not a readable parquet file"):
        stories(tmp_path, "c.parquet")


def test_stories_are_streamed(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "One."}\n{"text": "Two."}\nnot JSON\n')
    assert list(islice(read_text_stories(tmp_path, "*"), 2)) == ["One.", "Two."]


# is_held_out


def test_a_text_is_held_out_by_the_first_64_bits_of_its_sha256():
    share = int(hashlib.sha256("été".encode()).hexdigest()[:16], 16) / 2**64
    assert is_held_out("été", share + 1e-6)
    assert not is_held_out("été", share - 1e-6)


def test_the_held_out_share_is_met():
    # Three standard deviations of a share of 10000 texts are below 0.005.
    assert sum(is_held_out(f"text {place}", 0.02) for place in range(10_000)) / 10_000 == pytest.approx(0.02, abs=0.005)
    assert not any(is_held_out(f"text {place}", 0.0) for place in range(100))
    assert all(is_held_out(f"text {place}", 1.0) for place in range(100))


# load_tinystories


@pytest.fixture
def datasets_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", tmp_path / "modules")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.mark.parametrize(
    "name", ["{split}-00000-of-00001.parquet", "data/{split}-00000-of-00001-abc.parquet", "{split}.parquet"]
)
def test_a_local_folder_of_the_hub_s_layout_is_read_by_split(tmp_path, datasets_cache, name):
    folder = tmp_path / "tinystories"
    write_parquet(folder / name.format(split="train"), ["One.", "", "Two é.\n", None])
    write_parquet(folder / name.format(split="validation"), ["Held out."])
    assert list(load_tinystories(str(folder), REVISION, "train")) == ["One.", "Two é.\n"]
    assert list(load_tinystories(str(folder), REVISION, "validation")) == ["Held out."]


def test_a_local_folder_without_the_split_the_column_or_any_data_is_refused(tmp_path, datasets_cache):
    write_parquet(tmp_path / "no_split" / "train-00000-of-00001.parquet", ["One."])
    with pytest.raises(DataError, match=r"no_split: split validation cannot be loaded .*validation-\*\.parquet"):
        load_tinystories(str(tmp_path / "no_split"), REVISION, "validation")
    write_parquet(tmp_path / "no_column" / "train-00000-of-00001.parquet", ["One."], column="story")
    with pytest.raises(DataError, match="no_column: expected a column text, found story"):
        load_tinystories(str(tmp_path / "no_column"), REVISION, "train")
    with pytest.raises(DataError, match="absent: split train cannot be loaded"):
        load_tinystories(str(tmp_path / "absent"), REVISION, "train")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="damaged: split train cannot be loaded"):
        load_tinystories(str(tmp_path / "damaged"), REVISION, "train")


def test_a_hub_that_cannot_be_reached_says_what_to_do(datasets_cache, monkeypatch):
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        DataError, match=r"^corpus\.tinystories\.path: nobody/stories: .* It needs the network, or a local"
    ):
        load_tinystories("nobody/stories", REVISION, "train")


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
    with pytest.raises(DataError, match="corpus source files: holds no text"):
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


# read_own_rows


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    return tmp_path / "data" / "raw"


def rows(*prompts):
    return [{"prompt": prompt, "response": f"response to {prompt}"} for prompt in prompts]


def own(pattern="data/raw/sft*.jsonl", splits=SPLITS):
    return read_own_rows(pattern, parse_sft_row, splits)


def prompts(found):
    return {split: [record.prompt for record in records] for split, records in found.items()}


def test_names_of_files_give_their_split(raw):
    for name, prompt in (("sft_train", "a"), ("sft-train.part2", "b"), ("sft_VAL", "c"), ("sft.test", "d")):
        write_jsonl(raw / f"{name}.jsonl", rows(prompt))
    write_jsonl(raw / "other_test.jsonl", rows("not taken"))
    assert prompts(own()) == {"train": ["b", "a"], "validation": ["c"], "test": ["d"]}


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("training", "train"),
        ("validation", "validation"),
        ("valid", "validation"),
        ("dev", "validation"),
        ("testing", "test"),
        ("eval", "test"),
        ("evaluation", "test"),
    ],
)
def test_splits_go_by_the_words_that_datasets_knows(raw, word, split):
    for other in SPLITS:
        write_jsonl(raw / f"sft_a_{other}.jsonl", rows(other))
    write_jsonl(raw / f"sft_b_{word.upper()}.jsonl", rows(*map(str, range(20))))
    assert prompts(own())[split] == [split, *map(str, range(20))]


def test_a_name_that_only_contains_a_word_s_letters_is_divided(raw):
    write_jsonl(raw / "sft_contest_devil.jsonl", rows(*map(str, range(100))))
    assert all(own().values())


def test_a_name_of_two_splits_is_refused(raw):
    write_jsonl(raw / "sft_test_train.jsonl", rows("a"))
    with pytest.raises(DataError, match=r"sft_test_train\.jsonl: the name holds two splits, test and train"):
        own()


def test_rows_of_other_files_are_divided_by_the_hash_of_their_prompt(raw):
    write_jsonl(raw / "sft.jsonl", rows(*(f"prompt {place}" for place in range(3000))))
    found = prompts(own())
    assert sorted(prompt for members in found.values() for prompt in members) == sorted(
        f"prompt {place}" for place in range(3000)
    )
    # Three standard deviations of a share of 3000 rows are at most 0.022.
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert len(found[split]) / 3000 == pytest.approx(share, abs=0.022)


def test_equal_prompts_share_a_split_in_whatever_file_and_place_they_stand(raw):
    names = [f"prompt {place}" for place in range(200)]
    write_jsonl(raw / "sft_a.jsonl", rows(*names))
    write_jsonl(raw / "sft_b.jsonl", rows(*reversed(names)))
    for split, members in prompts(own()).items():
        assert Counter(members) == dict.fromkeys(members, 2), split


def test_the_division_does_not_change_between_versions(raw):
    write_jsonl(raw / "sft.jsonl", rows(*(f"prompt {place}" for place in range(40))))

    # Worked out apart from the code: sha256("test " + prompt) below 1/10 of its range is test; of the others,
    # sha256("validation " + prompt) below 1/9 is validation.
    def below(text, share):
        return int(hashlib.sha256(text.encode()).hexdigest(), 16) < math.floor(share * 2**256)

    expected = {"train": [], "validation": [], "test": []}
    for prompt in (f"prompt {place}" for place in range(40)):
        held = "validation" if below(f"validation {prompt}", 1 / 9) else "train"
        expected["test" if below(f"test {prompt}", 0.1) else held].append(prompt)
    assert prompts(own()) == expected


def test_where_one_split_is_asked_for_a_file_without_a_split_is_all_of_it(raw):
    write_jsonl(raw / "monitor.jsonl", rows("a", "b", "c"))
    write_jsonl(raw / "monitor_train.jsonl", rows("left out"))
    assert prompts(own("data/raw/monitor*.jsonl", ("validation",))) == {"validation": ["a", "b", "c"]}


def test_rows_of_a_split_that_is_not_asked_for_are_checked_all_the_same(raw):
    write_jsonl(raw / "monitor_val.jsonl", rows("a"))
    write_jsonl(raw / "monitor_train.jsonl", [{"prompt": "p"}])
    with pytest.raises(DataError, match=r"monitor_train\.jsonl:1: expected one of response"):
        own("data/raw/monitor*.jsonl", ("validation",))


def test_no_file_names_the_pattern(raw):
    with pytest.raises(DataError, match=r"^data/raw/sft\*\.jsonl: no such file"):
        own()


@pytest.mark.parametrize("missing", SPLITS)
def test_a_split_without_rows_is_named(raw, missing):
    for split in SPLITS:
        write_jsonl(raw / f"sft_{split}.jsonl", [] if split == missing else rows(split))
    with pytest.raises(DataError, match=rf"no rows for the {missing} split; add a file with _{missing} in its name"):
        own()


def test_a_bad_row_names_file_and_line(raw):
    write_jsonl(raw / "sft_train.jsonl", [*rows("a"), {"prompt": "b", "response": " "}])
    with pytest.raises(DataError, match=r"^data/raw/sft_train\.jsonl:2: response: the text is empty"):
        own()


def test_rows_without_an_id_are_named_after_file_and_line_and_ids_are_unique_over_all_files(raw):
    write_jsonl(raw / "sft_train.jsonl", [*rows("a"), {"id": "x", **rows("b")[0]}])
    write_jsonl(raw / "sft_test.jsonl", rows("c"))
    write_jsonl(raw / "sft_val.jsonl", rows("d"))
    assert [record.id for record in own()["train"]] == ["sft_train-1", "x"]
    write_jsonl(raw / "sft_val.jsonl", [{"id": "x", **rows("d")[0]}])
    with pytest.raises(DataError, match=r"sft_val\.jsonl:1: id 'x' stands at data/raw/sft_train\.jsonl:2 too"):
        own()
