import json
from dataclasses import replace

import pytest

from picollm.core.errors import DataError
from picollm.core.files import write_jsonl
from picollm.records.jsonl import (
    PreferenceRecord,
    SFTRecord,
    parse_preference_row,
    parse_sft_row,
    read_preferences,
    read_sft,
)

PAIR = {"prompt": "Tell.", "chosen": "It screamed.", "rejected": "It smiled."}


def sft(row):
    return parse_sft_row(row, "sft.jsonl:12", "sft-12", None)


def preference(row):
    return parse_preference_row(row, "pairs.jsonl:12", "pairs-12", None, lambda text: float(len(text)))


@pytest.mark.parametrize("prompt_key", ["prompt", "input"])
@pytest.mark.parametrize("response_key", ["response", "completion", "output"])
def test_prompt_and_response_are_read_under_every_name(prompt_key, response_key):
    row = {prompt_key: "Tell.\n", response_key: " A story—é\n"}
    assert sft(row) == SFTRecord("sft-12", "Tell.\n", "Tell.\n", " A story—é\n")


def test_a_row_of_the_first_version_is_read_as_it_is():
    row = {
        "id": "sft-000041",
        "prompt": "Title: X\n\nStory:\n",
        "input": "Title: X\n\nStory:\n",
        "response": "In a school.",
    }
    assert sft(row).to_dict() == row
    pair = {**PAIR, "id": "dpo-000021", "input": "Tell."}
    assert preference(pair) == PreferenceRecord(
        "dpo-000021", "Tell.", "Tell.", "It screamed.", "It smiled.", 12.0, 10.0, None, "own"
    )


def test_keys_of_other_names_are_ignored():
    assert sft({"prompt": "p", "response": "r", "source": [1], "score": None}) == SFTRecord("sft-12", "p", "p", "r")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "expected a key prompt or input; found no keys"),
        ({"response": "r", "question": "q"}, "expected a key prompt or input; found response, question"),
        ({"prompt": "p", "input": "q", "response": "r"}, "prompt and input differ"),
        ({"prompt": "p"}, "expected one of the keys response, completion, output; found prompt"),
        (
            {"prompt": "p", "response": "r", "output": "r"},
            "expected one of the keys .*; found prompt, response, output",
        ),
        ({"prompt": "p", "response": ""}, "response: the text is empty"),
        ({"prompt": "p", "output": " \n\t"}, "output: the text is empty"),
        ({"prompt": " ", "response": "r"}, "prompt: the text is empty"),
        ({"prompt": "p", "response": None}, "response: expected text, found None"),
        ({"prompt": 7, "response": "r"}, "prompt: expected text, found 7"),
        ({"prompt": "p", "input": None, "response": "r"}, "input: expected text, found None"),
        ({"prompt": "p", "response": ["r"]}, r"response: expected text, found \['r'\]"),
        ({"prompt": "p", "response": "a\ud83d"}, "response: holds a lone surrogate"),
        ({"prompt": "p", "response": "The end.<|endoftext|>"}, r"response: holds <\|endoftext\|>; remove it"),
        ({"input": "p<|endoftext|> q", "response": "r"}, r"input: holds <\|endoftext\|>"),
        ({"prompt": "p", "response": "r", "id": ""}, "id: ''"),
        ({"prompt": "p", "response": "r", "id": True}, "id: True"),
        ({"prompt": "p", "response": "r", "id": 1.5}, "id: 1.5"),
        ({"instruction": "Translate.", "input": "p", "output": "r"}, "instruction: Alpaca's format.* key prompt"),
    ],
)
def test_a_bad_sft_row_names_its_place_key_and_reason(row, reason):
    with pytest.raises(DataError, match=rf"^sft\.jsonl:12: .*{reason}"):
        sft(row)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "r"}]},
        {"messages": []},
        {"conversations": [{"from": "human", "value": "p"}]},
        {"prompt": [{"role": "user", "content": "p"}], "completion": [{"role": "assistant", "content": "r"}]},
        {"prompt": "p", "chosen": [{"role": "assistant", "content": "a"}], "rejected": "b"},
        {"prompt": "p", "completion": [{"role": "assistant", "content": "r"}]},
        {"prompt": "p", "response": "r", "messages": [{"role": "user", "content": "p"}]},
    ],
)
def test_the_conversational_format_is_refused_with_advice(row):
    for parse in (sft, preference):
        with pytest.raises(DataError, match=r"^\w+\.jsonl:12: \w+: TRL's conversational format.*join the messages"):
            parse(row)


def test_integer_ids_become_text_and_null_is_no_id():
    assert sft({"id": 0, "prompt": "p", "response": "r"}).id == "0"
    assert sft({"id": None, "prompt": "p", "response": "r"}).id == "sft-12"


def test_a_pair_keeps_what_it_has_and_is_scored_if_it_has_no_score():
    row = {**PAIR, "id": "a", "chosen_score": -3, "p_chosen": 0.25, "stratum": "degree"}
    assert preference(row) == PreferenceRecord(
        "a", "Tell.", "Tell.", "It screamed.", "It smiled.", -3.0, 10.0, 0.25, "degree"
    )


@pytest.mark.parametrize("p_chosen", [0, 1, 0.5])
def test_probabilities_take_both_ends_of_their_range(p_chosen):
    assert preference({**PAIR, "p_chosen": p_chosen}).p_chosen == p_chosen


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"chosen": "It smiled."}, "chosen and rejected are equal"),
        ({"rejected": ""}, "rejected: the text is empty"),
        ({"rejected": "It<|endoftext|>"}, r"rejected: holds <\|endoftext\|>"),
        ({"chosen": 3}, "chosen: expected text, found 3"),
        ({"p_chosen": 1.01}, r"p_chosen: 1.01; expected a probability in \[0, 1\]"),
        ({"p_chosen": -0.1}, "p_chosen: -0.1"),
        ({"p_chosen": "0.5"}, "p_chosen: '0.5'"),
        ({"p_chosen": True}, "p_chosen: True"),
        ({"chosen_score": "3"}, "chosen_score: '3'"),
        ({"stratum": ""}, "stratum: the text is empty"),
        ({"stratum": None}, "stratum: expected text"),
        ({"stratum": "two words"}, "stratum: 'two words'; expected a word"),
        ({"stratum": "a.b"}, "stratum: 'a.b'; expected a word"),
        ({"stratum": "2nd"}, "stratum: '2nd'; expected a word of letters, digits and _, no digit first"),
    ],
)
def test_a_bad_pair_names_its_place_key_and_reason(change, reason):
    with pytest.raises(DataError, match=rf"^pairs\.jsonl:12: {reason}"):
        preference({**PAIR, **change})


@pytest.mark.parametrize("key", ["prompt", "chosen", "rejected"])
def test_a_pair_without_a_key_names_it(key):
    with pytest.raises(DataError, match=rf"^pairs\.jsonl:12: .*\b{key}\b.*; found "):
        preference({name: value for name, value in PAIR.items() if name != key})


def test_written_records_are_read_again_with_their_keys_in_order(tmp_path):
    rows = [sft({"id": name, "prompt": "p", "response": f"é {name}\n"}) for name in ("a", "b")]
    pairs = [preference({**PAIR, "id": "a"}), preference({**PAIR, "id": "b", "p_chosen": 0.1 + 0.2})]
    pairs[1] = replace(pairs[1], origin="data/raw/pairs.jsonl:12")
    write_jsonl(tmp_path / "sft.jsonl", (record.to_dict() for record in rows))
    write_jsonl(tmp_path / "pairs.jsonl", (record.to_dict() for record in pairs))
    assert read_sft(tmp_path / "sft.jsonl") == rows
    assert read_preferences(tmp_path / "pairs.jsonl") == pairs
    keys = [list(json.loads(line)) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert list(rows[0].to_dict()) == ["id", "prompt", "input", "response"]
    scores = ["chosen_score", "rejected_score", "p_chosen", "stratum"]
    assert keys[0] == ["id", "prompt", "input", "chosen", "rejected", *scores]
    assert keys[1] == [*keys[0], "origin"]


def test_the_origin_is_where_the_caller_says_and_not_a_key_of_the_users_row():
    row = {"prompt": "p", "response": "r", "origin": "the web"}
    assert parse_sft_row(row, "sft.jsonl:12", "a", "data/raw/sft.jsonl:12").origin == "data/raw/sft.jsonl:12"


def test_rows_without_an_id_are_named_after_their_line(tmp_path):
    (tmp_path / "sft.jsonl").write_text('\n{"prompt": "p", "response": "r"}\n')
    assert read_sft(tmp_path / "sft.jsonl")[0].id == "row-2"


def test_an_id_that_occurs_twice_names_both_lines(tmp_path):
    rows = [{"id": name, "prompt": "p", "response": "r"} for name in ("a", "b", "a")]
    write_jsonl(tmp_path / "sft.jsonl", rows)
    with pytest.raises(DataError, match=r"sft\.jsonl:3: id 'a' is used in line 1 too"):
        read_sft(tmp_path / "sft.jsonl")


def test_a_file_may_be_empty(tmp_path):
    (tmp_path / "sft.jsonl").write_text("")
    assert read_sft(tmp_path / "sft.jsonl") == read_preferences(tmp_path / "sft.jsonl") == []


def test_pairs_of_the_pipeline_must_have_scores(tmp_path):
    write_jsonl(tmp_path / "pairs.jsonl", [{**PAIR, "chosen_score": 1.0}])
    with pytest.raises(DataError, match=r"pairs\.jsonl: a row without chosen_score or rejected_score"):
        read_preferences(tmp_path / "pairs.jsonl")
