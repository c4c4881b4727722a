from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from picollm.core.errors import DataError
from picollm.datagen.sources import tinystories
from tests.datagen.examples import corpus, specifications


def stories(path, split="train"):
    settings = corpus(tinystories={"path": str(path), "revision": "0" * 40})
    return list(tinystories.stories(settings, specifications(), split))


def write_parquet(path, texts, column="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({column: texts}), path)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder in data/raw/; the hub cannot be reached, and the caches of `datasets` are the test's own."""
    import datasets
    from huggingface_hub import constants

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", tmp_path / "modules")
    for module in (datasets.config, constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    Path("data/raw/tiny").mkdir(parents=True)
    yield Path("data/raw/tiny")
    datasets.enable_progress_bars()


@pytest.mark.parametrize(
    "name", ["{split}-00000-of-00001.parquet", "data/{split}-00000-of-00001-abc.parquet", "{split}.parquet"]
)
def test_a_folder_with_the_layout_of_the_hub_is_read_by_split(folder, name):
    write_parquet(folder / name.format(split="train"), ["One.", "", "Two é.\n", None])
    write_parquet(folder / name.format(split="validation"), ["Held out."])
    assert stories(folder) == ["One.", "Two é.\n"]
    assert stories(folder, "validation") == ["Held out."]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_columns_of_every_string_type_are_read(folder, kind):
    texts = pa.array(["One.", "Two."])
    write_parquet(folder / "train.parquet", texts.dictionary_encode() if kind.num_fields else texts.cast(kind))
    assert stories(folder) == ["One.", "Two."]


def test_a_folder_without_the_split_or_the_column_is_refused(folder):
    write_parquet(folder / "train.parquet", ["One."], column="story")
    with pytest.raises(DataError, match="tiny: expected a column text, found story"):
        stories(folder)
    with pytest.raises(DataError, match=r"tiny: split validation cannot be loaded .*validation-\*\.parquet"):
        stories(folder, "validation")
    write_parquet(folder / "train.parquet", [1, 2])
    with pytest.raises(DataError, match="tiny: column text: expected strings, found int64"):
        stories(folder)


def test_a_file_that_was_not_downloaded_whole_is_named(folder):
    (folder / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"^corpus\.tinystories\.path: data/raw/tiny: split train cannot be loaded"):
        stories(folder)


def test_a_hub_that_cannot_be_reached_says_what_to_do():
    message = r"^corpus\.tinystories\.path: nobody/stories: .* needs the network, or a folder in data/raw/"
    with pytest.raises(DataError, match=message):
        stories("nobody/stories")
