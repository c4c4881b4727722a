from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from picollm.core.errors import DataError
from picollm.core.files import write_jsonl
from picollm.datagen.sources import text_files
from picollm.datagen.sources.text_files import read_stories
from tests.datagen.examples import corpus, specifications


def stories_of(path):
    return list(read_stories(path))


# read_stories


@pytest.mark.parametrize(
    ("content", "stories"),
    [
        ("One.\n\n  Still one. \n<|endoftext|>\nTwo.\n <|endoftext|> \n<|endoftext|>\n\nThree.", 3),
        ("One.<|endoftext|>\nTwo.<|endoftext|>\n", 2),
        ("One.\nStill one. <|endoftext|>Two.<|endoftext|>Three.", 3),
        ("One.\r\nStill one.\r\n<|endoftext|>\r\nTwo.\r\n", 2),
        ("line\n" * 5000 + "<|endoftext|>\nTwo.\n", 2),
    ],
)
def test_a_txt_file_is_divided_at_the_end_of_text_wherever_it_occurs(tmp_path, content, stories):
    (tmp_path / "a.txt").write_text(content, newline="")
    expected = [story.strip() for story in content.replace("\r\n", "\n").split("<|endoftext|>") if story.strip()]
    assert stories_of(tmp_path / "a.txt") == expected and len(expected) == stories


def test_a_txt_file_without_the_end_of_text_holds_a_story_a_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne.\r\n\r\n  Two\xe2\x80\xa8still. \nThree")
    assert stories_of(tmp_path / "a.txt") == ["One.", "Two\u2028still.", "Three"]


def test_jsonl_and_parquet_files_hold_stories_under_text(tmp_path):
    write_jsonl(tmp_path / "c.jsonl", [{"text": "from c\n", "more": 1}, {"text": ""}])
    pq.write_table(pa.table({"text": ["from b", " "], "id": [1, 2]}), tmp_path / "b.parquet")
    assert stories_of(tmp_path / "c.jsonl") == ["from c\n"]
    assert stories_of(tmp_path / "b.parquet") == ["from b"]


def test_rows_of_another_format_are_refused_as_stories(tmp_path):
    write_jsonl(tmp_path / "sft.jsonl", [{"text": "a story"}, {"prompt": "p", "response": "r"}])
    with pytest.raises(DataError, match=r"sft\.jsonl:2: text: expected a story, found None"):
        stories_of(tmp_path / "sft.jsonl")


def test_text_that_is_not_utf8_names_file_line_and_byte(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"One.\nTw\xe9.\n")
    with pytest.raises(DataError, match=r"a\.txt:2: not UTF-8 at byte 2 of the line"):
        stories_of(tmp_path / "a.txt")
    (tmp_path / "c.jsonl").write_text('{"text": "\\ud83d"}\n')
    with pytest.raises(DataError, match=r"c\.jsonl:1: text: holds a lone surrogate"):
        stories_of(tmp_path / "c.jsonl")


def test_stories_are_streamed(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "One."}\n{"text": "Two."}\nnot JSON\n')
    assert list(islice(read_stories(tmp_path / "a.jsonl"), 2)) == ["One.", "Two."]


# stories


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    return Path("data/raw")


def splits(pattern="*.txt"):
    settings = corpus(source="files", files=pattern)
    return [list(text_files.stories(settings, specifications(), split)) for split in ("train", "validation")]


def numbered(name, count):
    return [f"{name} {number}." for number in range(count)]


def test_stories_are_divided_by_a_hash_of_their_text(raw):
    for name in ("a", "b"):  # equal stories share a split
        (raw / f"{name}.txt").write_text("\n".join(numbered("Story", 1000)))
    train, validation = splits()
    assert sorted(train + validation) == sorted(numbered("Story", 1000) * 2)
    assert not set(train) & set(validation)
    assert 4 <= len(set(validation)) <= 36  # 2 % of 1000: 20, with a standard deviation of 4.4


@pytest.mark.parametrize("count", [2, 5])
def test_a_few_stories_are_enough(raw, count):
    (raw / "a.txt").write_text("\n".join(numbered("Story", count)))
    train, validation = splits()
    assert sorted(train + validation) == numbered("Story", count)
    assert validation


def test_a_split_in_a_name_decides_where_stories_go(raw):
    for name in ("TinyStories-train", "TinyStories-valid", "TinyStories-test"):
        (raw / f"{name}.txt").write_text("\n".join(numbered(name, 100)))
    assert splits() == [numbered("TinyStories-train", 100), numbered("TinyStories-valid", 100)]


def test_a_file_without_a_split_beside_a_named_one_is_refused(raw):
    (raw / "val.txt").write_text("Held out.")
    (raw / "a.txt").write_text("\n".join(numbered("Story", 1000)))
    message = r"^corpus\.files: the name of data/raw/val\.txt gives a split, that of data/raw/a\.txt does not"
    with pytest.raises(DataError, match=message):
        splits()


@pytest.mark.parametrize("name", ["notes.md", "stories.TXT", "stories"])
def test_a_matching_file_of_another_kind_is_refused_before_any_is_read(raw, name):
    (raw / "a.txt").write_text("a story")
    (raw / name).write_text("a story")
    with pytest.raises(DataError, match=rf"{name}: expected one of \.txt, \.jsonl, \.parquet"):
        next(text_files.stories(corpus(files="*"), specifications(), "train"))


def test_no_match_names_the_parameter_and_what_is_expected(raw):
    with pytest.raises(
        DataError, match=r"^corpus\.files: no file matches data/raw/\*\.txt; expected stories \(\.txt, "
    ):
        splits()
