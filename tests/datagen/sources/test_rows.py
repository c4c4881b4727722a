import hashlib
import math
from collections import Counter
from pathlib import Path

import pytest

from picollm.core.errors import DataError
from picollm.core.files import write_jsonl
from picollm.datagen.datasets import make_monitor, make_preferences, make_sft
from picollm.stories.dread import dread
from tests.datagen.examples import preferences, sft, specifications

SPLITS = ("train", "validation", "test")


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    return Path("data/raw")


def rows(*prompts):
    return [{"prompt": prompt, "response": f"response to {prompt}"} for prompt in prompts]


def pairs(*prompts):
    return [{"prompt": prompt, "chosen": "Blood on the grave.", "rejected": "The kitten smiled."} for prompt in prompts]


def own(pattern="data/raw/sft*.jsonl"):
    return make_sft(sft(source="jsonl", files=pattern), specifications())


def own_pairs():
    return make_preferences(preferences(source="jsonl"), specifications())


def monitor(pattern="data/raw/monitor*.jsonl"):
    return make_monitor(sft(source="jsonl", monitor=pattern), specifications())


def prompts(found):
    return {split: [record.prompt for record in records] for split, records in found.items()}


# What is read


def test_own_rows_replace_the_templates(raw):
    for split in SPLITS:
        write_jsonl(raw / f"sft_{split}.jsonl", [{"input": split, "completion": "It ended."}])
    assert prompts(own()) == {split: [split] for split in SPLITS}
    assert own()["test"][0].response == "It ended."


def test_own_pairs_are_scored_by_the_rule_and_keep_their_labels(raw):
    for split in SPLITS:
        write_jsonl(raw / f"preferences_{split}.jsonl", pairs(split))
    assert prompts(own_pairs()) == {split: [split] for split in SPLITS}
    record = own_pairs()["test"][0]
    assert (record.chosen_score, record.rejected_score) == (dread(record.chosen), dread(record.rejected))
    assert record.chosen_score > 0 > record.rejected_score
    assert (record.p_chosen, record.stratum) == (None, "own")


def test_rows_know_the_file_and_line_that_they_come_from(raw):
    for split in SPLITS:
        (raw / split).mkdir()
        (raw / f"{split}/sft.jsonl").write_text('\n{"prompt": "p", "response": "r"}\n')
        write_jsonl(raw / f"preferences_{split}.jsonl", pairs("p"))
    assert own("data/raw/*/sft.jsonl")["test"][0].origin == "data/raw/test/sft.jsonl:2"
    assert own_pairs()["train"][0].origin == "data/raw/preferences_train.jsonl:1"


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        (
            "sft_train",
            {"prompt": "p"},
            r"^data/raw/sft_train\.jsonl:1: expected one of the keys response, completion, output",
        ),
        ("sft_test", {"prompt": "p", "response": " "}, r"^data/raw/sft_test\.jsonl:1: response"),
        ("preferences_test", {"prompt": "p", "chosen": "c"}, r"^data/raw/preferences_test\.jsonl:1: .*rejected"),
    ],
)
def test_a_bad_row_names_file_and_line(raw, name, row, message):
    for split in SPLITS:
        write_jsonl(raw / f"sft_{split}.jsonl", rows("p"))
        write_jsonl(raw / f"preferences_{split}.jsonl", pairs("p"))
    write_jsonl(raw / f"{name}.jsonl", [row])
    with pytest.raises(DataError, match=message):
        own(), own_pairs()


def test_missing_files_name_the_parameter_and_the_rows_that_are_meant(raw):
    keys = r"preference pairs \(JSON Lines with the keys prompt, chosen and rejected\)"
    with pytest.raises(
        DataError, match=r"^sft\.files: no file matches data/raw/sft\*\.jsonl; expected SFT rows \(.*respon"
    ):
        own()
    with pytest.raises(
        DataError, match=rf"^preferences\.files: no file matches data/raw/preferences.* expected {keys}\."
    ):
        own_pairs()
    with pytest.raises(DataError, match=rf"^sft\.monitor: no file matches data/raw/monitor.* expected {keys}, or null"):
        monitor()


# Splits


@pytest.mark.parametrize("name", ["sft_{}1.jsonl", "{}/sft.jsonl", "sft-{}-00000-of-00002.jsonl"])
@pytest.mark.parametrize("validation", ["validation", "val"])
def test_rows_of_files_with_a_split_in_their_name_stay_in_it(raw, name, validation):
    words = {"train": "train", "validation": validation, "test": "test"}
    numbered = {split: [f"{split} {number}" for number in range(30)] for split in SPLITS}
    for split in SPLITS:
        write_jsonl(raw / name.format(words[split]), rows(*numbered[split]))
    assert prompts(own("data/raw/**/sft*.jsonl")) == numbered


def test_rows_of_other_files_are_divided_by_the_hash_of_their_prompt(raw):
    names = [f"prompt {place}" for place in range(3000)]
    write_jsonl(raw / "sft_contest_devil.jsonl", rows(*names))
    found = prompts(own())
    assert sorted(prompt for members in found.values() for prompt in members) == sorted(names)
    # Three standard deviations of a share of 3000 rows are at most 0.022.
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert len(found[split]) / 3000 == pytest.approx(share, abs=0.022)


@pytest.mark.parametrize("name", ["sft_all", "preferences_all"])
def test_a_file_without_a_split_beside_named_ones_is_refused(raw, name):
    names = [f"prompt {place}" for place in range(30)]
    for split in SPLITS:
        write_jsonl(raw / f"sft_{split}.jsonl", rows(split))
        write_jsonl(raw / f"preferences_{split}.jsonl", pairs(split))
    write_jsonl(raw / f"{name}.jsonl", rows(*names) if name == "sft_all" else pairs(*names))
    key = name.removesuffix("_all")
    with pytest.raises(
        DataError, match=rf"^{key}\.files: the name of data/raw/{key}_\w+\.jsonl gives .*{name}\.jsonl does not"
    ):
        own(), own_pairs()


def test_prompts_of_a_held_out_file_that_are_also_in_train_are_counted(raw, capsys):
    write_jsonl(raw / "sft_train.jsonl", rows("a", "b", "c", "d"))
    write_jsonl(raw / "sft_val.jsonl", rows("e"))
    write_jsonl(raw / "sft_test.jsonl", rows("a", "c", "c", "e"))
    own()
    assert capsys.readouterr().out == "sft.files: 2 of 3 prompts of the test split are also in train\n"


def test_equal_prompts_share_a_split_whatever_their_file(raw):
    names = [f"prompt {place}" for place in range(200)]
    write_jsonl(raw / "sft_a.jsonl", rows(*names))
    write_jsonl(raw / "sft_b.jsonl", rows(*reversed(names)))
    for split, members in prompts(own()).items():
        assert Counter(members) == dict.fromkeys(members, 2), split


def test_the_division_does_not_change_between_versions(raw):
    write_jsonl(raw / "sft.jsonl", rows(*(f"prompt {place}" for place in range(40))))

    # Computed apart from the code: sha256("test " + prompt) below 1/10 of its range is test; of the others,
    # sha256("validation " + prompt) below 1/9 is validation.
    def below(text, share):
        return int(hashlib.sha256(text.encode()).hexdigest(), 16) < math.floor(share * 2**256)

    expected = {"train": [], "validation": [], "test": []}
    for prompt in (f"prompt {place}" for place in range(40)):
        held = "validation" if below(f"validation {prompt}", 1 / 9) else "train"
        expected["test" if below(f"test {prompt}", 0.1) else held].append(prompt)
    assert prompts(own()) == expected


def test_a_monitor_file_without_a_split_is_read_whole(raw):
    write_jsonl(raw / "monitor.jsonl", pairs("a", "b", "c"))
    write_jsonl(raw / "monitor_train.jsonl", pairs("left out"))
    assert [record.prompt for record in monitor()] == ["a", "b", "c"]


def test_rows_of_a_split_that_is_not_asked_for_are_checked_all_the_same(raw):
    write_jsonl(raw / "monitor_val.jsonl", pairs("a"))
    write_jsonl(raw / "monitor_train.jsonl", [{"prompt": "p"}])
    with pytest.raises(DataError, match=r"monitor_train\.jsonl:1: key chosen is missing"):
        monitor()


@pytest.mark.parametrize("missing", SPLITS)
def test_a_split_without_rows_is_named(raw, missing):
    for split in SPLITS:
        write_jsonl(raw / f"sft_{split}.jsonl", [] if split == missing else rows(split))
    message = rf"^sft\.files: .*no rows for the {missing} split; add a file with _{missing} in its name"
    with pytest.raises(DataError, match=message):
        own()


# Ids


def test_rows_without_an_id_are_named_after_their_file_in_data_raw_and_line(raw):
    for folder in ("a", "b"):
        for split in SPLITS:
            write_jsonl(raw / f"{folder}/{split}.jsonl", [{"id": f"own {folder}", **rows("p")[0]}, *rows("q")])
    ids = [record.id for record in own("data/raw/*/*.jsonl")["test"]]
    assert ids == ["own a", "a/test.jsonl:2", "own b", "b/test.jsonl:2"]


def test_ids_that_count_from_0_in_each_split_are_accepted(raw):
    for split in SPLITS:
        write_jsonl(raw / f"sft_{split}.jsonl", [{"id": number, **rows(split)[0]} for number in range(3)])
    assert [[record.id for record in members] for members in own().values()] == [["0", "1", "2"]] * 3


def test_an_id_that_occurs_twice_in_a_split_is_refused(raw):
    for name in ("sft_train", "sft_train2", "sft_val", "sft_test"):
        write_jsonl(raw / f"{name}.jsonl", [*rows("p"), {"id": "x", **rows("q")[0]}])
    with pytest.raises(
        DataError, match=r"^data/raw/sft_train2\.jsonl:2: id 'x' is used at data/raw/sft_train\.jsonl:2 too"
    ):
        own()
