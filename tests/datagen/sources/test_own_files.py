import hashlib
from itertools import product
from pathlib import Path

import pytest

from picollm.core.errors import DataError
from picollm.datagen.sources.own_files import find_files, in_raw, is_held_out, named_split, named_splits


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    return Path("data/raw")


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}\n")


# find_files


def test_files_are_sorted_and_folders_and_hidden_files_left_out(raw):
    for name in ("b.jsonl", "a/c.jsonl", ".hidden.jsonl", "a/.checkpoints/c.jsonl", "folder.jsonl/d.txt"):
        touch(raw / name)
    assert find_files("sft.files", "data/raw/**/*.jsonl", "rows") == [raw / "a/c.jsonl", raw / "b.jsonl"]
    assert find_files("sft.files", "./data/raw/*.jsonl", "rows") == [raw / "b.jsonl"]


def test_no_match_names_parameter_pattern_expectation_and_dvc_add(raw):
    message = r"^sft\.files: no file matches data/raw/sft\*\.jsonl; expected rows\. .*`--queue` .*`dvc add`"
    with pytest.raises(DataError, match=message):
        find_files("sft.files", "data/raw/sft*.jsonl", "rows")


@pytest.mark.parametrize("path", ["data/raw", "data/raw/a", "data/raw/a/b.txt", "./data/raw/*", "data/raw/x/../y"])
def test_paths_in_data_raw_are_told_from_others(raw, path):
    assert in_raw(path) and in_raw(str(Path(path).absolute()))


@pytest.mark.parametrize("path", ["data", "data/rawer/a", "data/raw/../a", "/tmp", "roneneldan/TinyStories"])
def test_paths_outside_data_raw_are_told_from_those_inside(raw, path):
    assert not in_raw(path)


@pytest.mark.parametrize("target", ["elsewhere", "data/raw/.v1"])
@pytest.mark.parametrize("pattern", ["data/raw/ext/sft*.jsonl", "data/raw/**/sft*.jsonl"])
def test_a_file_in_a_linked_folder_is_refused(raw, target, pattern):
    touch(Path(target) / "sub/sft.jsonl")
    touch(Path(target) / "sft.jsonl")
    (raw / "ext").symlink_to(Path(target).absolute())
    with pytest.raises(
        DataError, match=r"^sft\.files: data/raw/ext/s.*a link, which DVC .*: copy the folder to data/raw/"
    ):
        find_files("sft.files", pattern, "rows")


def test_a_link_to_a_file_and_a_linked_data_raw_are_read(tmp_path, monkeypatch):
    touch(tmp_path / "elsewhere/rows.jsonl")
    (tmp_path / "disk/a").mkdir(parents=True)
    (tmp_path / "disk/a/sft.jsonl").symlink_to(tmp_path / "elsewhere/rows.jsonl")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(tmp_path)
    assert find_files("sft.files", "data/raw/*/sft*.jsonl", "rows") == [Path("data/raw/a/sft.jsonl")]


# named_split: compared with `datasets` itself

WORDS = ("train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation")
SHAPES = (
    *("{}.jsonl", "{}1.jsonl", "1{}2.jsonl", "sft_{}.jsonl", "sft-{}.part2.jsonl", "sft {} a.jsonl", "_{}.jsonl"),
    *("{}-00000-of-00002.jsonl", "sft_{0}_{0}.jsonl"),
    *("{}/rows.jsonl", "a/{}/b/rows.jsonl", "{}1/rows.jsonl", "my {}/rows.jsonl", "x.{}-1/rows.jsonl", "{0}/{0}.jsonl"),
)
SHARDS = tuple(f"data/{split}-00000-of-00002-abc.jsonl" for split in ("train", "validation", "test"))
NONE = ("sft.jsonl", "contest.jsonl", "latest_devil.jsonl", "medieval/retrieval.jsonl", "00000-of-00002.jsonl")


def split_of_datasets(folder):
    """The split that `datasets` gives the only file of a folder; its default for names without a split is None here."""
    from datasets.data_files import DEFAULT_PATTERNS_ALL, DataFilesDict, get_data_patterns

    patterns = get_data_patterns(str(folder.absolute()))
    splits = DataFilesDict.from_patterns(patterns, str(folder.absolute()))
    return None if patterns == DEFAULT_PATTERNS_ALL else [str(split) for split, files in splits.items() if files]


@pytest.mark.parametrize("name", [*(shape.format(word) for shape, word in product(SHAPES, WORDS)), *SHARDS, *NONE])
def test_names_give_the_split_that_datasets_reads(raw, name):
    touch(raw / name)
    split = named_split(raw / name)
    assert split_of_datasets(raw) == (split and [split])
    assert (split is None) == (name in NONE)


@pytest.mark.parametrize(
    "name", ["TEST.jsonl", "sft_Val.jsonl", "sfTest.jsonl", "test(1).jsonl", "x_test", "testset.jsonl", "Train/a.jsonl"]
)
def test_a_word_that_datasets_does_not_read_as_a_split_is_refused(raw, name):
    touch(raw / name)
    assert split_of_datasets(raw) is None
    with pytest.raises(DataError, match=r"^data/raw/.*: \w+ looks like the (test|validation|train) split, but is not"):
        named_split(raw / name)


@pytest.mark.parametrize(
    "name", ["train_test.jsonl", "train/test.jsonl", "val/train1/rows.jsonl", "train/a_TEST.jsonl"]
)
def test_two_splits_in_a_name_are_refused(raw, name):
    with pytest.raises(DataError, match=r"stands for two splits|TEST looks like the test split"):
        named_split(raw / name)


LOOK_ALIKES = (
    *(
        "sft_tests",
        "tests/sft",
        "sfttest",
        "mytestset",
        "sft_devtest",
        "sft_valtest",
        "sft_evals",
        "sft_trainval",
        "TESTs",
    ),
    *(
        "SFTtest",
        "TESTset",
        "testrows",
        "testv2",
        "heldout",
        "sft_holdout",
        "sft_held_out",
        "HeldOut/sft",
        "train/heldout",
    ),
    *("val/trainval", "crossvalidation", "latesttest", "mydev", "Sfttraining", "holdouts"),
)


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_a_split_in_the_plural_or_glued_to_another_word_is_refused(raw, name):
    with pytest.raises(DataError, match=r"^data/raw/.*: \S+ looks like the .* split, but is not read as one"):
        named_split(raw / f"{name}.jsonl")


ORDINARY = (
    *("contest", "contests", "latest", "medieval", "attest", "protest", "greatest", "retrain", "constrain", "strain"),
    *("strains", "pretrain", "retrieval", "intervals", "invalid", "evaluate", "trainer", "tester", "value", "devil"),
    *("testament", "validity", "develop", "household_outlook", "holding", "Latest", "sftLatest", "LATEST", "oval"),
    *("contestdata", "festival"),
)


@pytest.mark.parametrize("word", ORDINARY)
def test_an_ordinary_word_that_holds_a_keyword_is_no_split(raw, word):
    assert named_split(raw / f"sft_{word}.jsonl") is None
    assert named_split(raw / f"{word}/sft_test.jsonl") == "test"


@pytest.mark.parametrize("name", ["sft_heldout_test.jsonl", "held-out/val.jsonl", "tests/test.jsonl"])
def test_a_look_alike_beside_the_split_that_it_stands_for_is_accepted(raw, name):
    assert named_split(raw / name) in ("test", "validation")


# named_splits


def test_names_of_which_only_some_give_a_split_are_refused(raw):
    named, other = raw / "sft_test.jsonl", raw / "sft_all.jsonl"
    message = (
        r"^sft\.files: the name of data/raw/sft_test\.jsonl gives .* data/raw/sft_all\.jsonl does not; name all files"
    )
    with pytest.raises(DataError, match=message):
        named_splits("sft.files", [other, named])
    assert named_splits("sft.files", [named]) == {named: "test"}
    assert named_splits("sft.files", [other]) == {other: None}


def test_the_folders_above_data_raw_do_not_count(tmp_path, monkeypatch):
    (tmp_path / "train").mkdir()
    monkeypatch.chdir(tmp_path / "train")
    assert named_split(Path("data/raw/test.jsonl")) == "test"


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
