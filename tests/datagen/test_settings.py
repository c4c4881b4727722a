import pytest

from picollm.core import config
from picollm.core.errors import ParamsError
from picollm.datagen.settings import Corpus, Preferences, SftData
from picollm.datagen.sources import STORIES
from tests.datagen.examples import ROOT


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Settings of the project's params.yaml in a folder of the test's own, after replacements."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets/cpu.yaml").write_text((ROOT / "presets/cpu.yaml").read_text())

    def load(model, old, new):
        text = (ROOT / "params.yaml").read_text()
        assert old in text
        (tmp_path / "params.yaml").write_text(text.replace(old, new, 1))
        return getattr(config.load(model), model.section)

    return load


@pytest.mark.parametrize("source", [*STORIES, "mix"])
def test_every_source_of_the_table_may_be_chosen(load, source):
    corpus = load(Corpus, "source: everyday", f"source: {source}")
    assert corpus.source == source and set(corpus.weights.model_dump()) == set(STORIES)


def test_an_unknown_source_is_refused_with_the_known_ones(load):
    with pytest.raises(ParamsError, match=r"corpus\.source: 'web': .*'everyday', 'tinystories', 'files' or 'mix'"):
        load(Corpus, "source: everyday", "source: web")


@pytest.mark.parametrize(
    "pattern", ["elsewhere/*.jsonl", "data/*.jsonl", "data/raw/../*.jsonl", "../*.jsonl", "/etc/*"]
)
def test_patterns_that_lead_out_of_data_raw_are_refused_with_their_key(load, pattern):
    for model, key, old in (
        (SftData, "sft.files", "files: data/raw/sft*.jsonl"),
        (SftData, "sft.monitor", "monitor: data/raw/monitor*.jsonl"),
        (Preferences, "preferences.files", "files: data/raw/preferences*.jsonl"),
    ):
        with pytest.raises(ParamsError, match=rf"{key}: .*expected a pattern of files in data/raw/"):
            load(model, old, f'{old.split(":")[0]}: "{pattern}"')


@pytest.mark.parametrize("pattern", ["/etc/*.txt", "../*.txt", "sub/../../*.txt"])
def test_story_patterns_are_relative_to_data_raw(load, pattern):
    with pytest.raises(ParamsError, match=r"corpus\.files: .*expected a pattern of files relative to data/raw/"):
        load(Corpus, 'files: "*.txt"', f'files: "{pattern}"')
    assert load(Corpus, 'files: "*.txt"', 'files: "sub/**/*.txt"').files == "sub/**/*.txt"


def test_a_folder_of_stories_outside_data_raw_is_refused(load, tmp_path):
    hub_id = "roneneldan/TinyStories"
    assert load(Corpus, hub_id, "somebody/stories").tinystories.path == "somebody/stories"
    for folder in ("data/raw/tiny", "somebody/stories"):
        (tmp_path / folder).mkdir(parents=True)
    assert load(Corpus, hub_id, "data/raw/tiny").tinystories.path == "data/raw/tiny"
    for link in ("data/raw/tiny/data", "data/raw/ext"):
        (tmp_path / link).symlink_to(tmp_path / "somebody/stories")
    for linked in ("data/raw/tiny", "data/raw/ext"):
        with pytest.raises(ParamsError, match=r"corpus\.tinystories\.path: .*copy it to data/raw/NAME"):
            load(Corpus, hub_id, linked)
    for path in ("somebody/stories", tmp_path / "somebody", "data", "."):
        with pytest.raises(ParamsError, match=r"corpus\.tinystories\.path: .*copy it to data/raw/NAME"):
            load(Corpus, hub_id, str(path))


def test_the_monitor_may_be_null(load):
    assert load(SftData, "monitor: data/raw/monitor*.jsonl", "monitor: null").monitor is None
