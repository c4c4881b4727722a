import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from picollm.core import config as params
from picollm.core.errors import ParamsError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    return tmp_path


def change(folder: Path, key: str, value, file: str = "params.yaml") -> None:
    yaml = YAML(typ="safe")
    content = yaml.load((folder / file).read_text())
    *sections, last = key.split(".")
    target = content
    for section in sections:
        target = target[section]
    target[last] = value
    yaml.dump(content, folder / file)


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "presets").glob("*.yaml")))
def test_every_preset_is_complete(folder, preset):
    change(folder, "preset", preset)
    values = params.read(folder)
    assert set(values) == set(params.SECTIONS) | set(params.SCALARS)


def test_load_gives_the_named_sections_and_no_others(folder):
    loaded = params.load("seed", "dpo", folder=folder)
    assert vars(loaded).keys() == {"seed", "dpo"}
    assert (loaded.seed, loaded.dpo.loss) == (1, "sigmoid")


def test_auto_takes_the_presets_value_and_a_number_overrides_it(folder):
    preset = YAML(typ="safe").load((folder / "presets/cpu.yaml").read_text())
    assert params.load("dpo", folder=folder).dpo.lr == preset["dpo"]["lr"]
    change(folder, "dpo.lr", 0.25)
    assert params.load("dpo", folder=folder).dpo.lr == 0.25


def test_a_number_as_dvc_writes_it_is_a_number(folder):
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("beta: 0.1", "beta: 5e-07"))
    assert params.load("dpo", folder=folder).dpo.beta == 5e-7


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dpo.bta", 1, "dpo.bta: unknown key; expected one of batch_size, beta"),
        ("dop", {}, "dop: unknown section; expected one of"),
        ("dpo", 3, "dpo: stands in presets/cpu.yaml too"),
        ("dpo.beta", "abc", "dpo.beta: 'abc': Input should be a valid number"),
        ("dpo.beta", 0, "dpo.beta: 0: Input should be greater than 0"),
        ("dpo.beta", float("nan"), "dpo.beta: nan"),
        ("dpo.beta", True, "dpo.beta: True: Input should be a valid number"),
        ("dpo.label_smoothing", 0.5, "dpo.label_smoothing: 0.5: Input should be less than 0.5"),
        ("dpo.loss", "hinge", "dpo.loss: 'hinge': Input should be 'sigmoid' or 'ipo'"),
        ("seed", -1, "seed: -1: Input should be greater than or equal to 0"),
        ("seed", "one", "seed: 'one': Input should be a valid integer"),
        ("truncate", "yes", "truncate: 'yes': Input should be a valid boolean"),
        ("corpus.source", "books", "corpus.source: 'books': Input should be 'everyday'"),
        ("sft.mix.wholesome", -1, "sft.mix.wholesome: -1: Input should be greater than or equal to 0"),
        ("sft.mix", {"wholesome": 0, "eerie": 0, "dark": 0}, "at least one share must be above 0"),
        ("stories.withheld", 1, "stories.withheld: 1: Input should be less than 1"),
        ("sample.top_p", "auto", "sample.top_p: auto, but presets/cpu.yaml has no sample.top_p"),
        ("preset", "tpu", "preset: 'tpu' is unknown; expected one of cpu, gpu, gpu-large, smoke"),
        ("preset", ["cpu"], "is unknown; expected one of cpu, gpu, gpu-large, smoke"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_was_expected(folder, key, value, message):
    change(folder, key, value)
    with pytest.raises(ParamsError) as error:
        params.load("seed", folder=folder)
    assert message in str(error.value)
    assert "params.yaml" in str(error.value)


def test_a_missing_key_is_named(folder):
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("  beta: 0.1\n", ""))
    with pytest.raises(ParamsError, match=r"dpo.beta: Field required"):
        params.load("seed", folder=folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"a: [1\nb: 2", "params.yaml:2: not YAML"),
        (b"- 1", "expected a mapping of sections, found list"),
        (b"", "expected a mapping of sections, found NoneType"),
        (b"seed: 1\nseed: 2", "not YAML"),
    ],
)
def test_a_damaged_file_is_named(folder, content, message):
    (folder / "params.yaml").write_bytes(content)
    with pytest.raises(ParamsError, match=message):
        params.load("seed", folder=folder)


def test_a_missing_file_is_named(folder):
    (folder / "params.yaml").unlink()
    with pytest.raises(ParamsError, match=r"params.yaml: no such file"):
        params.load("seed", folder=folder)
