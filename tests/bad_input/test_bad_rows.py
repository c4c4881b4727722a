"""Files as they really go bad: cut off, of another encoding, with a value of the wrong type. Each is read or named."""

import json
from functools import partial
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from picollm.core.files import write_jsonl
from picollm.datagen.sources.rows import read_rows
from picollm.datagen.sources.text_files import read_stories
from picollm.records.jsonl import parse_preference_row, parse_sft_row, read_preferences, read_sft
from tests.bad_input.mutations import outcome

SFT = {"id": "a", "prompt": "Tell.", "input": "Tell.", "response": "It was — été."}
PAIR = {"id": "a", "prompt": "Tell.", "chosen": "It screamed.", "rejected": "It smiled."}
PAIR |= {"chosen_score": 3.5, "rejected_score": -1, "p_chosen": 0.75, "stratum": "degree"}
KINDS = {
    "sft": (SFT, parse_sft_row, read_sft),
    "pairs": (PAIR, partial(parse_preference_row, score=lambda text: float(len(text))), read_preferences),
}
VALUES = [None, "", " \n", "a", 3, 0.5, -1.5, True, [], ["a"], {}, {"text": "a"}, [{"role": "user", "content": "a"}]]
VALUES += [float("nan"), float("inf"), "\ud83d", "a<|endoftext|>", "x" * 100_000, ["x" * 1000] * 100]
SPOILED = {
    "latin-1": lambda text: text.encode("latin-1"),
    "utf-16": lambda text: text.encode("utf-16"),
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "one array": lambda text: f"[{','.join(text.splitlines())}]".encode(),
    "indented": lambda text: "\n".join(json.dumps(json.loads(line), indent=2) for line in text.splitlines()).encode(),
    "single quotes": lambda text: text.replace('"', "'").encode(),
    "zeros": lambda text: text.encode() + bytes(100),
    "blank": lambda text: b"\n \n",
    "doubled": lambda text: (text + text).encode(),
}


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)
    return Path("data/raw/rows.jsonl")


def as_lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def check_rows(kind, path, content, named):
    """Read `content` as the user's file; what is accepted must be equal when it is written and read again."""
    _, parse, read = KINDS[kind]
    path.write_bytes(content)
    found = outcome(lambda: read_rows("sft.files", str(path), "rows", parse, ("train",)), named)
    if found is not None:
        write_jsonl("again.jsonl", (record.to_dict() for record in found["train"]))
        assert read("again.jsonl") == found["train"]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_or_wrong_value_is_read_or_named_with_its_line(kind, path):
    whole = KINDS[kind][0]
    other = {**whole, "id": "b"}
    rows = [{**other, key: value} for key, value in product(whole, VALUES) if (key, value) != ("id", "\ud83d")]
    rows += [{name: value for name, value in other.items() if name != key} for key in whole]
    found = [check_rows(kind, path, as_lines(whole, row).encode(), f"{path}:2: ") for row in rows]
    assert 0 < sum(records is None for records in found) < len(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_is_read_or_named(kind, path):
    whole = KINDS[kind][0]
    content = json.dumps(whole, ensure_ascii=False).encode() + b"\n"
    for end in range(len(content)):
        found = check_rows(kind, path, content + content.replace(b'"a"', b'"b"', 1)[:end], str(path))
        assert found is None or len(found["train"]) in (1, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", SPOILED)
def test_a_file_of_another_form_is_read_or_named(kind, form, path):
    content = SPOILED[form](json.dumps(KINDS[kind][0], ensure_ascii=False).replace("—", "-") + "\n")
    found = check_rows(kind, path, content, str(path))
    assert (found is not None) == (form in ("byte order mark", "Windows") or (form, kind) == ("latin-1", "pairs"))


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_story_of_a_wrong_value_is_read_or_named_with_its_line(value, path):
    path.write_text(as_lines({"text": "Once."}, {"text": value}))
    stories = outcome(lambda: list(read_stories(path)), f"{path}:2: ")
    assert stories is None or stories in (["Once."], ["Once.", value])


def test_damaged_parquet_files_are_read_or_named():
    path = Path("data/raw/stories.parquet")
    pq.write_table(pa.table({"text": ["One.", "Two.", "Three — été."] * 5}), path)
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        assert outcome(lambda: list(read_stories(path)), str(path)) is None
    for start in range(0, len(whole) - 20, 13):  # a block that was never written
        path.write_bytes(whole[:start] + bytes(20) + whole[start + 20 :])
        outcome(lambda: list(read_stories(path)), str(path))
