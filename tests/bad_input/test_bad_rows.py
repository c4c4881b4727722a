import json
import os
import tempfile
from collections.abc import Callable
from contextlib import chdir
from functools import partial
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picollm.core.errors import DataError
from picollm.core.files import MAX_DEPTH, has_half_characters, read_json, read_jsonl, write_json, write_jsonl
from picollm.datagen.providers import load_tinystories, mix, read_own_rows, read_text_stories, write_corpus
from picollm.records.jsonl import parse_preference_row, parse_sft_row, read_preferences, read_sft
from picollm.records.parquet import read_corpus
from tests.bad_input.mutations import (
    ANY_JSON,
    LONGEST_MESSAGE,
    TEXTS,
    as_json,
    changed,
    damaged,
    outcome,
    tries,
    with_a_key_twice,
)

SFT = {"id": "a", "prompt": "Tell.", "input": "Tell.", "response": "It was — été."}
PAIR = {
    "id": "a",
    "prompt": "Tell.",
    "chosen": "It screamed.",
    "rejected": "It smiled.",
    "chosen_score": 3.5,
    "rejected_score": -1,
    "p_chosen": 0.75,
    "stratum": "degree",
}
OTHER_SFT, OTHER_PAIR = {"prompt": "Sing.", "output": "La."}, {**PAIR, "id": "b", "prompt": "Sing.", "p_chosen": None}
KINDS = {
    "sft": (SFT, OTHER_SFT, parse_sft_row, read_sft),
    "pairs": (PAIR, OTHER_PAIR, partial(parse_preference_row, score=lambda text: float(len(text))), read_preferences),
}
STORY_ROW = {"text": "Once — there was.", "more": [1]}


def lines(*rows: bytes) -> bytes:
    return b"\n".join(rows) + b"\n"


def check_rows(kind: str, content: bytes) -> None:
    """Read `content` as the user's file; what is accepted must be written, read again and found equal."""
    *_, parse, read = KINDS[kind]
    with tempfile.TemporaryDirectory() as name, chdir(name):
        Path("rows.jsonl").write_bytes(content)
        found = outcome(lambda: read_own_rows("*.jsonl", parse, ("train",)), ".jsonl")
        if found is not None:
            write_jsonl("again.jsonl", (record.to_dict() for record in found["train"]))
            assert read("again.jsonl") == found["train"]


@pytest.mark.parametrize("kind", KINDS)
@tries(200)
@given(st.data())
def test_a_changed_row_is_read_or_named_with_its_line(kind, data):
    first, second, *_ = KINDS[kind]
    row = data.draw(changed(second))
    check_rows(kind, lines(as_json(first), as_json(row)))


@pytest.mark.parametrize("kind", KINDS)
@tries(150)
@given(st.data())
def test_a_damaged_file_of_rows_is_read_or_named(kind, data):
    first, second, *_ = KINDS[kind]
    check_rows(kind, data.draw(damaged(lines(as_json(first), as_json(second)))))


@tries(150)
@given(st.lists(ANY_JSON.map(as_json) | st.binary(max_size=12), max_size=4))
def test_arbitrary_lines_are_read_or_named(rows):
    for kind in KINDS:
        check_rows(kind, lines(*rows))


@pytest.mark.parametrize("key", SFT)
def test_a_key_that_stands_twice_is_named(key, tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(lines(with_a_key_twice(SFT, key)))
    with pytest.raises(DataError, match=rf"rows\.jsonl:1: key '{key}' stands twice"):
        read_sft(tmp_path / "rows.jsonl")


def in_data_raw(name: str, content: bytes, action: Callable, *named: str):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        return outcome(lambda: action(Path(folder)), *named)


@tries(200)
@given(changed(STORY_ROW).map(as_json) | damaged(as_json(STORY_ROW)))
def test_changed_and_damaged_stories_in_jsonl_are_text_or_named(row):
    content = lines(as_json(STORY_ROW), row)
    texts = in_data_raw("s.jsonl", content, lambda folder: list(read_text_stories(folder, "*")), "s.jsonl")
    assert texts is None or (texts[0] == STORY_ROW["text"] and not any(map(has_half_characters, texts)))


@tries(100)
@given(damaged("One — été.\n<|endoftext|>\r\nTwo.\nStill two.\n".encode()) | st.binary(max_size=40))
def test_damaged_text_files_are_text_or_named(content):
    texts = in_data_raw("s.txt", content, lambda folder: list(read_text_stories(folder, "*")), "s.txt")
    assert texts is None or not any(map(has_half_characters, texts))


def parquet_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["One.", "Two.", "Three — été."] * 5}), sink)
    return sink.getvalue().to_pybytes()


@tries(200)
@given(damaged(parquet_bytes()))
def test_damaged_parquet_files_are_text_or_named(content):
    texts = in_data_raw("s.parquet", content, lambda folder: list(read_text_stories(folder, "*")), "s.parquet")
    assert texts is None or not any(map(has_half_characters, texts))


PATTERN_PIECES = [
    "*",
    "**",
    "?",
    "[",
    "]",
    "[!a]",
    ".",
    "..",
    "/",
    "//",
    "~",
    "a",
    "*.txt",
    "\0",
    "\ud800",
    "{a,b}",
    "\\",
    " ",
]
PATTERNS = st.lists(st.sampled_from(PATTERN_PIECES) | TEXTS, min_size=1, max_size=5).map(
    lambda pieces: "".join(pieces)[:1000]
)


@tries(300)
@given(PATTERNS)
def test_no_pattern_reads_a_file_outside_its_folder(pattern):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "raw"
        (folder / "deep").mkdir(parents=True)
        (Path(name) / "secret.txt").write_text("secret")
        for member in ("a.txt", "deep/b.txt"):
            (folder / member).write_text("own")
        texts = outcome(lambda: list(read_text_stories(folder, pattern)))
        assert texts is None or set(texts) == {"own"}
        with chdir(folder):
            outcome(lambda: read_own_rows(pattern, parse_sft_row, ("train",)))


@pytest.mark.parametrize("pattern", [".", "./", "./.", "x" * 300, "*/" * 50 + "y" * 300])
def test_patterns_that_the_library_stumbles_over_are_named(tmp_path, pattern):
    with pytest.raises(DataError) as error:
        list(read_text_stories(tmp_path, pattern))
    assert pattern in str(error.value)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", tmp_path / "modules")
    for module in (datasets.config, constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.mark.parametrize("column", [[1, 2], [["a"]], [{"a": 1}], [b"a"], [True]], ids=str)
def test_a_local_data_set_whose_texts_are_none_is_refused_before_one_is_read(tmp_path, offline, column):
    for split in ("train", "validation"):
        pq.write_table(pa.table({"text": column}), tmp_path / f"{split}-0.parquet")
    with pytest.raises(DataError, match=rf"{tmp_path}: column text: expected text, found "):
        load_tinystories(str(tmp_path), "0" * 40, "train")


@pytest.mark.parametrize("head", [b"---\n[\n---\n", b"---\nconfigs: 3\n---\n", b"---\nconfigs: [3]\n---\n"], ids=str)
def test_a_local_data_set_with_a_damaged_readme_is_named(tmp_path, offline, head):
    (tmp_path / "README.md").write_bytes(head)
    (tmp_path / "train-0.parquet").write_bytes(parquet_bytes())
    with pytest.raises(DataError, match=rf"{tmp_path}: split train cannot be loaded"):
        load_tinystories(str(tmp_path), "0" * 40, "train")


@pytest.mark.parametrize("path", ["x" * 900, "../x", "a b*", "a/b/c", "~", "hf://x/y"])
def test_a_data_set_that_no_hub_can_have_is_named(offline, path):
    with pytest.raises(DataError) as error:
        load_tinystories(path, "0" * 40, "train")
    assert str(error.value).startswith(f"corpus.tinystories.path: {path}: split train cannot be loaded")
    assert len(str(error.value)) <= LONGEST_MESSAGE


@tries(100)
@given(st.lists(changed(STORY_ROW).map(as_json) | damaged(as_json(STORY_ROW)), min_size=1, max_size=4))
def test_a_corpus_of_the_users_stories_is_whole_or_absent(rows):
    with tempfile.TemporaryDirectory() as name:
        raw, corpus = Path(name) / "raw", Path(name) / "corpus"
        raw.mkdir()
        (raw / "s.jsonl").write_bytes(lines(*rows))
        texts = mix({"files": lambda: read_text_stories(raw, "*.jsonl")}, {"files": 1.0}, 5, Random(0))
        counts = outcome(lambda: write_corpus(corpus / "train.parquet", texts))
        if counts is None:
            assert list(corpus.iterdir()) == []
        else:
            assert sum(map(len, read_corpus(corpus / "train.parquet", 2))) == counts["documents"] == 5


@tries(200)
@given(ANY_JSON.map(as_json) | damaged(as_json({"a": [1, {"b": "é"}], "c": 0.5})))
def test_arbitrary_json_is_read_so_that_it_can_be_written_or_named(content):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.json"
        path.write_bytes(content)
        value = outcome(lambda: read_json(path), "a.json")
        if value is not None and not has_half_characters(json.dumps(value, ensure_ascii=False)):
            write_json(path, value)
            assert read_json(path) == value


@pytest.mark.parametrize(
    ("depth", "accepted"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False), (900, False), (10**6, False)]
)
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a": ', "}")])
def test_how_deep_json_may_be_nested_does_not_depend_on_the_stack(tmp_path, depth, accepted, brackets):
    inner = depth - 1  # the object of the row is one
    text = f'{{"a": {brackets[0] * inner}{"1" if brackets[0] != "[" else ""}{brackets[1] * inner}}}'
    (tmp_path / "a.jsonl").write_text(text)
    if accepted:
        assert len(list(read_jsonl(tmp_path / "a.jsonl"))) == 1
    else:
        with pytest.raises(DataError, match=r"a\.jsonl:1: .*nested too deeply"):
            list(read_jsonl(tmp_path / "a.jsonl"))


def test_a_key_that_stands_twice_among_very_many_is_found_by_one_look_at_each(tmp_path):
    """Comparing each of 500 000 keys with every other, more than 10**11 steps, would never end."""
    row = "{" + ", ".join(f'"{number}": 0' for number in range(500_000)) + ', "499999": 0}'
    (tmp_path / "a.jsonl").write_text(row)
    with pytest.raises(DataError, match=r"a\.jsonl:1: key '499999' stands twice"):
        list(read_jsonl(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    "row",
    [
        {"x" * 100_000: 1},
        {str(number): 1 for number in range(50_000)},
        {**PAIR, "stratum": "a b" * 50_000},
        {**PAIR, "chosen_score": "9" * 100_000},
        {**PAIR, "id": ["x" * 100_000]},
        {**PAIR, "chosen": [["x" * 1000] * 100] * 100},
    ],
)
def test_a_huge_row_is_named_in_a_short_message(row):
    for parse in (KINDS["sft"][2], KINDS["pairs"][2]):
        try:
            parse(row, "rows.jsonl:1", "row-1")
        except DataError as error:
            assert len(str(error)) <= LONGEST_MESSAGE
            assert str(error).startswith("rows.jsonl:1: ")


def test_a_pipe_in_place_of_a_json_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"a\.json: not a regular file"):
        read_json(tmp_path / "a.json")


def test_an_endless_device_in_place_of_a_json_file_is_refused(tmp_path):
    (tmp_path / "a.json").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"a\.json: not a regular file"):
        read_json(tmp_path / "a.json")


def test_a_json_file_of_300_mb_is_refused_by_its_size(tmp_path):
    with open(tmp_path / "a.json", "wb") as file:
        file.truncate(300 * 10**6)
    with pytest.raises(DataError, match=r"a\.json: larger than 256 MB"):
        read_json(tmp_path / "a.json")
