import hashlib
import io
import json
import math
from itertools import islice
from random import Random

import pytest

from picollm.core.errors import DataError
from picollm.core.files import (
    fingerprint,
    has_lone_surrogate,
    read_json,
    read_jsonl,
    read_lines,
    write_atomic,
    write_csv,
    write_json,
    write_jsonl,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_write_atomic_makes_folders_and_leaves_only_the_file(tmp_path):
    with write_atomic(tmp_path / "a" / "b" / "notes.txt") as file:
        file.write("één\r\ntwo\n")
        assert not (tmp_path / "a" / "b" / "notes.txt").exists()
    assert names(tmp_path / "a" / "b") == ["notes.txt"]
    assert (tmp_path / "a" / "b" / "notes.txt").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "a" / "b" / "notes.txt").read_bytes() == b"\xc3\xa9\xc3\xa9n\r\ntwo\n"


def test_write_atomic_writes_bytes(tmp_path):
    with write_atomic(tmp_path / "b", "wb") as file:
        file.write(b"\x00\xff")
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"


@pytest.mark.parametrize("error", [DataError, KeyboardInterrupt])
def test_write_atomic_keeps_the_old_file_when_the_block_fails(tmp_path, error):
    (tmp_path / "kept").write_text("old")
    with pytest.raises(error), write_atomic(tmp_path / "kept") as file:
        file.write("new")
        raise error
    assert (tmp_path / "kept").read_text() == "old"
    assert names(tmp_path) == ["kept"]


def test_json_keeps_keys_in_their_order_and_ends_with_a_newline(tmp_path):
    write_json(tmp_path / "m.json", {"b": 0.1, "a": ["é", None]})
    assert (tmp_path / "m.json").read_text(encoding="utf-8") == (
        '{\n  "b": 0.1,\n  "a": [\n    "é",\n    null\n  ]\n}\n'
    )
    assert list(read_json(tmp_path / "m.json").items()) == [("b", 0.1), ("a", ["é", None])]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_never_written(tmp_path, number):
    with pytest.raises(DataError, match=r"m\.json"):
        write_json(tmp_path / "m.json", {"loss": number})
    with pytest.raises(DataError, match=r"m\.jsonl"):
        write_jsonl(tmp_path / "m.jsonl", [{"loss": 1.0}, {"loss": number}])
    assert names(tmp_path) == []


BAD_JSON = {
    b"": "not JSON",
    b'{"a": 1': "not JSON: .* at column 8$",
    b"{'a': 1}": "not JSON: .* at column 2$",
    b'{"a": 1} {"a": 2}': "not JSON: Extra data at column 10$",
    b'{"a": NaN}': "NaN is not JSON",
    b'{"a": [-Infinity]}': "-Infinity is not JSON",
    b'{"a": ' + b"9" * 5000 + b"}": "not JSON that Python can read: .*4300 digits",
    b'{"a": 1, "b": {"c": 1, "d": 1, "c": 2}}': "duplicate key 'c'",
    b'{"a": "\xff"}': "not UTF-8 at byte 7",
    b"[" * 200_000: "not JSON that Python can read: maximum recursion depth",
}


@pytest.mark.parametrize(("content", "reason"), BAD_JSON.items(), ids=list(map(str, range(len(BAD_JSON)))))
def test_bad_json_is_an_error_that_names_the_file(tmp_path, content, reason):
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"m\.json: {reason}"):
        read_json(tmp_path / "m.json")


@pytest.mark.parametrize(("content", "reason"), list(BAD_JSON.items())[1:], ids=list(map(str, range(1, len(BAD_JSON)))))
def test_a_bad_line_is_an_error_that_names_file_and_line(tmp_path, content, reason):
    (tmp_path / "m.jsonl").write_bytes(b'{"good": 1}\n\n' + content + b"\n")
    rows = read_jsonl(tmp_path / "m.jsonl")
    assert next(rows) == (1, {"good": 1})
    with pytest.raises(DataError, match=rf"m\.jsonl:3: {reason}"):
        next(rows)


def test_json_of_several_lines_names_line_and_column(tmp_path):
    (tmp_path / "m.json").write_text('{\n  "a": 1\n  "b": 2\n}\n')
    with pytest.raises(DataError, match=r"m\.json: not JSON: .* at line 3, column 3$"):
        read_json(tmp_path / "m.json")


@pytest.mark.parametrize(("line", "kind"), [("[1]", "list"), ('"a"', "str"), ("null", "NoneType"), ("3", "int")])
def test_a_line_that_is_no_object_is_refused(tmp_path, line, kind):
    (tmp_path / "m.jsonl").write_text(line)
    with pytest.raises(DataError, match=rf"m\.jsonl:1: expected a JSON object, found {kind}"):
        list(read_jsonl(tmp_path / "m.jsonl"))


def test_lines_may_begin_with_a_byte_order_mark_end_in_crlf_or_be_blank(tmp_path):
    (tmp_path / "m.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n  \r\n\n{"a": "\xc2\x85\xe2\x80\xa8"}')
    assert list(read_jsonl(tmp_path / "m.jsonl")) == [(1, {"a": 1}), (4, {"a": "\x85\u2028"})]
    (tmp_path / "m.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "m.json") == {"a": 1}


def test_lines_are_streamed_without_their_ends(tmp_path):
    (tmp_path / "m.txt").write_bytes(b"\xef\xbb\xbfone\r\n\n two \xc2\x85\n\xff")
    lines = read_lines(tmp_path / "m.txt")
    assert list(islice(lines, 3)) == [(1, "one"), (2, ""), (3, " two \x85")]
    with pytest.raises(DataError, match=r"m\.txt:4: not UTF-8 at byte 0 of the line"):
        next(lines)


def test_a_json_file_above_the_limit_is_refused(tmp_path):
    with open(tmp_path / "m.json", "wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(DataError, match=r"m\.json: larger than 256 MB"):
        read_json(tmp_path / "m.json")


def test_jsonl_round_trip_keeps_text_readable(tmp_path):
    rows = [{"b": "línea\n\u2028", "a": None}, {"b": "\U0001f47b", "a": 0.1 + 0.2}]
    write_jsonl(tmp_path / "m.jsonl", iter(rows))
    assert (tmp_path / "m.jsonl").read_text(encoding="utf-8").startswith('{"b": "línea\\n\u2028", "a": null}\n')
    assert [row for _, row in read_jsonl(tmp_path / "m.jsonl")] == rows


def test_missing_files_are_named(tmp_path):
    absent = tmp_path / "absent"
    for read in (read_json, lambda path: list(read_jsonl(path)), fingerprint):
        with pytest.raises(DataError, match="absent: "):
            read(absent)


def test_a_csv_has_its_columns_in_the_given_order(tmp_path):
    rows = [{"step": 1, "loss": 1 / 3, "name": "a,b"}, {"name": "2", "loss": 1e-9, "step": 20}]
    write_csv(tmp_path / "m.csv", ["step", "loss", "name"], iter(rows))
    assert (tmp_path / "m.csv").read_text() == 'step,loss,name\n1,0.3333333333333333,"a,b"\n20,1e-09,2\n'


@pytest.mark.parametrize("row", [{"step": 2}, {"step": 2, "loss": None}])
def test_a_csv_row_without_a_value_is_refused_and_nothing_is_written(tmp_path, row):
    with pytest.raises(DataError, match=r"m\.csv: a row has no loss"):
        write_csv(tmp_path / "m.csv", ["step", "loss"], [{"step": 1, "loss": 0.5}, row])
    assert names(tmp_path) == []


def test_the_fingerprint_of_a_file_is_its_sha256(tmp_path):
    content = Random(1).randbytes(3 * 2**20 + 7)
    (tmp_path / "f").write_bytes(content)
    assert fingerprint(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_the_fingerprint_of_a_folder_is_made_of_its_names_and_contents_alone(tmp_path):
    def folder(name, members):
        for member, content in members:
            path = tmp_path / name / member
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return fingerprint(tmp_path / name)

    members = [("a", b"1"), ("sub/z", b"2"), ("c", b"")]
    first = folder("first", members)
    assert folder("second", reversed(members)) == first
    assert folder("renamed", [("a", b"1"), ("sub/zz", b"2"), ("c", b"")]) != first
    assert folder("moved", [("a", b"1"), ("z", b"2"), ("c", b"")]) != first
    assert folder("swapped", [("a", b"2"), ("sub/z", b"1"), ("c", b"")]) != first
    assert folder("fewer", members[:2]) != first


def test_the_fingerprint_of_a_folder_does_not_depend_on_the_order_in_which_it_is_listed(tmp_path):
    members = [f"{place:02}" for place in range(60)]
    lines = [f"{member}\0{hashlib.sha256(member.encode()).hexdigest()}\n" for member in members]
    for member in Random(1).sample(members, len(members)):
        (tmp_path / member).write_text(member)
    assert fingerprint(tmp_path) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_files_that_dvcignore_names_do_not_change_the_fingerprint_of_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code/sub").mkdir(parents=True)
    (tmp_path / "code/sub/a.py").write_text("x = 1")
    first = fingerprint("code")
    (tmp_path / ".dvcignore").write_text("# byte code\n__pycache__/\n*.py[cod]\n*.tmp\n")
    (tmp_path / "code/sub/__pycache__").mkdir()
    for ignored in ("sub/__pycache__/a.txt", "b.pyc", "c.tmp"):
        (tmp_path / "code" / ignored).write_text("ignored")
    assert fingerprint("code") == fingerprint(tmp_path / "code") == first
    (tmp_path / "code/sub/b.py").write_text("x = 2")
    assert fingerprint("code") != first


def test_a_lone_surrogate_is_detected():
    assert has_lone_surrogate(json.loads(r'"a\ud83d"'))
    assert not has_lone_surrogate(json.loads(r'"\ud83d\udc7b"'))
    assert not has_lone_surrogate("é\x00" + io.StringIO("\U0010ffff").read())
