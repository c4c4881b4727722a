import shutil
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from picollm.core import config
from picollm.core.config import Seed
from picollm.core.errors import ParamsError
from picollm.preference.settings import Dpo

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    return tmp_path


def replace(folder: Path, old: str, new: str) -> None:
    text = (folder / "params.yaml").read_text()
    assert text.count(old) == 1
    (folder / "params.yaml").write_text(text.replace(old, new))


def test_load_gives_sections_under_their_names_and_keys_of_the_top_level(folder):
    loaded = config.load(Seed, Dpo, folder=folder)
    assert vars(loaded).keys() == {"seed", "dpo"}
    assert (loaded.seed, loaded.dpo.beta) == (1, 0.65)


def test_auto_takes_the_presets_value_and_a_number_overrides_it(folder):
    preset = yaml.safe_load((folder / "presets/cpu.yaml").read_text())
    replace(folder, "  lr: auto\n  epochs: auto\n\nreader", "  lr: 0.25\n  epochs: auto\n\nreader")
    loaded = config.load(Dpo, folder=folder).dpo
    assert (loaded.lr, loaded.epochs) == (0.25, preset["dpo"]["epochs"])


@pytest.mark.parametrize(
    "scalar",
    """5e-07 1e3 1.5e+3 1. .5 -.5e-3 .5e3 12e03 1.e5 1e .inf -.inf .NAN -.nan 010 0o17 0x1F 0b11 08 -1_000 +3 1_0.5
    on off yes no y true True TRUE tRue null ~ Null nuLL 1:30 - + . 1.2.3 auto cpu 'on' "1" 0 -0 e5""".split(),
)
def test_scalars_are_those_that_dvcs_parser_reads(folder, scalar):
    (folder / "params.yaml").write_text(f"preset: cpu\nkey: {scalar if scalar != '-' else '[-1]'}\nempty:\n")
    ours = config.Parameters(folder).content
    theirs = YAML(typ="safe").load((folder / "params.yaml").read_text())
    assert repr((ours["key"], ours["empty"])) == repr((theirs["key"], theirs["empty"]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "preset: cpu ",
            "preset: tpu ",
            "preset: 'tpu' is unknown; expected one of cpu, cpu-long, gpu, gpu-large, smoke",
        ),
        ("preset: cpu ", "preset: [cpu] ", "is unknown; expected one of cpu, cpu-long, gpu, gpu-large, smoke"),
        (
            "  beta: 0.65",
            "  beta: auto",
            "dpo.beta: auto; expected a value, because presets/cpu.yaml has no dpo.beta",
        ),
        ("seed: 1\n", "seed: 1\nvocabulary: 9\n", "vocabulary: also in presets/cpu.yaml; expected in one"),
        ("sft:\n", "sft:\n  batch_size: 4\n", "sft.batch_size: also in presets/cpu.yaml; change it there"),
        (
            "stories:\n",
            "model: {hidden_size: 64}\nstories:\n",
            "model.hidden_size: also in presets/cpu.yaml; change it",
        ),
        ("seed: 1\n", "seed: {{1}}\n", "params.yaml:2: not YAML: found unhashable key"),
        ("seed: 1\n", "seed: 1\nseed: 2\n", "params.yaml:3: not YAML: duplicate key 'seed'"),
        ("weights: {everyday", "weights: [everyday", "params.yaml:9: not YAML: expected ',' or ']'"),
    ],
)
def test_a_file_that_cannot_be_merged_is_named(folder, old, new, message):
    replace(folder, old, new)
    with pytest.raises(ParamsError) as error:
        config.load(Seed, folder=folder)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "params.yaml: not UTF-8 at byte 0"),
        (b"a: {b: 1\nc: 2", r"params.yaml:2: not YAML: .* \(while parsing a flow mapping that begins in line 1\)"),
        (b"- 1", "expected a mapping of sections, found list"),
        (b"", "expected a mapping of sections, found NoneType"),
    ],
)
def test_a_damaged_file_is_named(folder, content, message):
    (folder / "params.yaml").write_bytes(content)
    with pytest.raises(ParamsError, match=message):
        config.load(Seed, folder=folder)


def test_the_keys_of_both_files_are_those_that_params_yaml_leaves_to_the_preset():
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    sections = {name: keys for name, keys in content.items() if isinstance(keys, dict)}
    assert {
        f"{name}.{key}" for name, keys in sections.items() for key in keys if keys[key] == "auto"
    } == config.OVERRIDABLE


def test_a_missing_file_is_named(folder):
    (folder / "params.yaml").unlink()
    with pytest.raises(ParamsError, match=r"params.yaml: no such file"):
        config.load(Seed, folder=folder)
