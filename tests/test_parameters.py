import shutil
from pathlib import Path

import pytest
import yaml

from picollm.core.errors import ParamsError
from picollm.model.settings import ModelShape
from picollm.parameters import SETTINGS, check

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    return tmp_path


def change(folder: Path, key: str, value) -> None:
    """Set a key in the file that gives its value: params.yaml, or the preset cpu if that one says auto or nothing."""
    *sections, last = key.split(".")
    for file in ("presets/cpu.yaml", "params.yaml"):
        content = yaml.safe_load((folder / file).read_text())
        target = content
        for section in sections:
            target = target.get(section, {})
        if last in target or file == "params.yaml":
            target[last] = value
            (folder / file).write_text(yaml.safe_dump(content))
            return


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "presets").glob("*.yaml")))
def test_every_preset_is_complete(folder, preset):
    change(folder, "preset", preset)
    assert set(check(folder)) == set(SETTINGS)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dop", {}, "dop: unknown section; expected one of"),
        ("dpo.beta", "abc", "dpo.beta: 'abc': Input should be a valid number"),
        ("dpo.beta", 0, "dpo.beta: 0: Input should be greater than 0"),
        ("dpo.beta", float("nan"), "dpo.beta: nan"),
        ("dpo.beta", True, "dpo.beta: True: Input should be a valid number"),
        ("dpo.label_smoothing", 0.5, "dpo.label_smoothing: 0.5: Input should be less than 0.5"),
        ("dpo.loss", "unknown", "dpo.loss: 'unknown': expected a loss or a mapping"),
        ("seed", -1, "seed: -1: Input should be greater than or equal to 0"),
        ("seed", "one", "seed: 'one': Input should be a valid integer"),
        ("truncate", "yes", "truncate: 'yes': Input should be a valid boolean"),
        ("corpus.source", "books", "corpus.source: 'books': Input should be 'everyday'"),
        ("sft.mix.wholesome", -1, "sft.mix.wholesome: -1: Input should be greater than or equal to 0"),
        ("sft.mix", {"wholesome": 0, "eerie": 0, "dark": 0}, "at least one share must be above 0"),
        ("stories.withheld", 1, "stories.withheld: 1: Input should be less than 1"),
        ("reader.temperature", 1e-320, "reader.temperature: 1e-320"),
        ("corpus.files", "a\0b", "corpus.files: 'a\\x00b': expected text without control characters"),
        ("model.hidden_size", 10**9, "model.hidden_size: 1000000000: Input should be less than or equal to 16777216"),
        ("model.hidden_size", 127, ": hidden_size 127 is not a multiple of num_attention_heads 4"),
        ("corpus.documents", 10**15, "corpus.documents: 1000000000000000: Input should be less than or equal to"),
        ("dpo.lr", 1e308, "dpo.lr: 1e+308"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_was_expected(folder, key, value, message):
    change(folder, key, value)
    with pytest.raises(ParamsError) as error:
        check(folder)
    assert message in str(error.value)
    assert "params.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  beta: 0.65\n", "", "dpo.beta: Field required"),
        ("  beta: 0.65\n", "  beta: 0.3\n  bta: 1\n", "dpo.bta: unknown key; expected one of batch_size, beta"),
        ("stories:\n  withheld: 0.15", "stories: 3\nx:", "stories: expected a mapping of keys, found 3"),
    ],
)
def test_a_key_that_is_missing_or_unknown_is_named(folder, old, new, message):
    text = (folder / "params.yaml").read_text()
    assert old in text
    (folder / "params.yaml").write_text(text.replace(old, new))
    with pytest.raises(ParamsError) as error:
        check(folder)
    assert message in str(error.value)


def test_sizes_that_are_too_large_only_together_name_each_other(folder):
    sizes = {"hidden_size": 2**15, "intermediate_size": 2**17, "num_hidden_layers": 8, "num_attention_heads": 4}
    for key, value in sizes.items():
        change(folder, f"model.{key}", value)
    # 8 * (2 * 2**30 + 2 * 2**30 + 3 * 2**32) + 2048 * 2**15 and the norms: above 2**36.
    with pytest.raises(ParamsError, match=r"model: .*hidden_size.*num_hidden_layers.*parameters"):
        check(folder)
    change(folder, "model.num_hidden_layers", 3)
    assert check(folder)[ModelShape].num_hidden_layers == 3
