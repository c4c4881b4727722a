import json
import random
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from picollm import params
from picollm.data.pairs import preference_probability
from picollm.errors import ParamsError
from picollm.generate import sample_tokens
from picollm.model import Transformer
from picollm.optim import ADAM_BETAS
from picollm.shape import ModelConfig
from picollm.train import steps_for
from tests.bad_input.mutations import LEAVES, LONGEST_MESSAGE, changed, damaged, outcome, tries
from tests.tiny import tiny_model

ROOT = Path(__file__).parents[2]
METHOD = {**YAML(typ="safe").load((ROOT / "params.yaml").read_text()), "preset": "smoke"}
SIZES = YAML(typ="safe").load((ROOT / "presets/smoke.yaml").read_text())
METHOD_TEXT = (ROOT / "params.yaml").read_text().replace("preset: cpu", "preset: smoke").encode()
SIZES_TEXT = (ROOT / "presets/smoke.yaml").read_bytes()

YAML_PIECES = (
    "a: b: - [ ] { } , ? | > & * ! !!int !!float !!bool !!timestamp !!binary !!set !!omap !!pairs !!null !!str !!map !!seq "
    "&a *a << <<: % --- ... ~ null true yes on .nan .inf 0x 0o 0b 1_0 1e3 1: 2001-01-01 2001-99-99 12:30:45 ' \" \\ # "
    "seed: preset: dpo: auto smoke !x !<x> %YAML @ `"
).split()
YAML_TEXTS = st.lists(
    st.sampled_from([*YAML_PIECES, "\n", "\n ", "\n  ", "\t", " "]) | st.text(st.characters(codec="utf-8"), max_size=3),
    max_size=12,
).map(" ".join)


def read(method: str | bytes, sizes: str | bytes) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "presets").mkdir()
        for path, content in ((folder / "params.yaml", method), (folder / "presets/smoke.yaml", sizes)):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return params.read(folder)


def as_yaml(content) -> str:
    """JSON is YAML, but for the names of the numbers that are none."""
    return re.sub(r"\bNaN\b", ".nan", re.sub(r"\bInfinity\b", ".inf", json.dumps(content)))


def with_value(key: str, value) -> tuple[str, str]:
    """params.yaml and the preset with `value` at `key`, in the file that has it."""
    method, sizes = json.loads(json.dumps([METHOD, SIZES]))
    section, *rest = key.split(".")
    for content in (method, sizes):
        if not rest and section in content:
            content[section] = value
        elif rest and rest[0] in content.get(section, {}) and content[section][rest[0]] != "auto":
            content[section][rest[0]] = value
    return as_yaml(method), as_yaml(sizes)


def use(values: dict) -> None:
    """What the stages do with parameters before a size of theirs costs anything: none of it may fail."""
    assert values.keys() == params.SECTIONS.keys() | params.SCALARS.keys()
    model = on_meta(values)
    assert model(torch.zeros(1, 4, dtype=torch.int64, device="meta")).shape == (1, 4, values["vocabulary"])
    for stage in ("sft", "dpo"):
        assert 1 <= steps_for(values[stage].epochs, 10**6, values[stage].batch_size) < 2**63
    for score in (-100.0, 100.0):
        assert 0 <= preference_probability(score, 0.0, values["preferences"].temperature) <= 1
    tones = values["sft_data"].mix.model_dump()
    assert random.Random(0).choices(list(tones), list(tones.values()))[0] in tones
    if values["corpus"].source == "mix":
        weights = values["corpus"].weights.model_dump()
        assert weights[random.Random(0).choices(list(weights), list(weights.values()))[0]] > 0
    sample = values["sample"]
    logits = torch.tensor([[30.0, -30.0, 0.0]])
    assert 0 <= sample_tokens(logits, torch.tensor([0.5]), sample.temperature, sample.top_p).item() < 3
    for stage in ("pretrain", "sft", "dpo"):
        optimizer_step(values[stage])


def on_meta(values: dict) -> Transformer:
    shape = ModelConfig(vocab_size=values["vocabulary"], **values["model"].model_dump())
    assert shape.problem() is None
    with torch.device("meta"):
        return Transformer(replace(shape, num_hidden_layers=1))


def optimizer_step(settings: params.Training) -> None:
    model = tiny_model(num_hidden_layers=1)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, betas=ADAM_BETAS, fused=True
    )
    model(torch.tensor([[1, 2, 3]])).sum().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.grad_clip)
    optimizer.step()


@tries(250)
@given(changed([METHOD, SIZES]))
def test_changed_parameters_are_usable_or_named(contents):
    method, sizes = contents if isinstance(contents, list) and len(contents) == 2 else (contents, SIZES)
    values = outcome(lambda: read(as_yaml(method), as_yaml(sizes)), ".yaml")
    if values is not None:
        use(values)


@tries(150)
@given(st.data())
def test_any_value_at_a_known_key_is_usable_or_named_with_its_key(data):
    content = data.draw(st.sampled_from([METHOD, SIZES]))
    section = data.draw(st.sampled_from(sorted(content.keys() - {"preset"})))
    rest = content[section]
    key = f"{section}.{data.draw(st.sampled_from(sorted(rest)))}" if isinstance(rest, dict) else section
    value = data.draw(LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(st.text(max_size=5), LEAVES, max_size=3))
    values = outcome(lambda: read(*with_value(key, value)), "params.yaml", key.split(".")[0])
    if values is not None:
        use(values)


@tries(100)
@given(damaged(METHOD_TEXT), damaged(SIZES_TEXT), st.booleans())
def test_damaged_files_are_usable_or_named(method, sizes, first):
    values = outcome(lambda: read(method, SIZES_TEXT) if first else read(METHOD_TEXT, sizes), ".yaml")
    if values is not None:
        use(values)


@pytest.mark.filterwarnings("ignore::ruamel.yaml.error.ReusedAnchorWarning")
@tries(250)
@given(YAML_TEXTS, st.booleans())
def test_arbitrary_yaml_is_usable_or_named(text, inside):
    values = outcome(lambda: read(METHOD_TEXT + b"\n" + text.encode() if inside else text, SIZES_TEXT), "params.yaml")
    if values is not None:
        use(values)


LAUGHS = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 13))
MERGES = "".join(f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}\n" for n in range(1, 13))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "a: {" * 5_000,
        "\n".join(" " * depth + "a:" for depth in range(400)),
        "seed: 0x" + "f" * 5000,
        "? 0x" + "f" * 5000 + "\n: 1",
        "dpo: {? 0x" + "f" * 5000 + " : 1}",
        'seed: !!int ""',
        "seed: !!bool maybe",
        "seed: !!timestamp 0001-01-01T00:00:00+10:00",
        "seed: !!float abc",
        "dpo: !!omap [beta: 1]",
        "dpo: !!set {beta}",
        "seed: &a [*a]",
        "&a seed: *a",
        "dpo: &a {beta: *a}",
        "l0: &l0 [x]\n" + LAUGHS + "seed: *l12",
        "l0: &l0 {x: 1}\n" + MERGES + "seed: *l12",
        "seed: !!python/object/apply:os.system ['touch executed']",
        "x: 1\n---\nseed: 1",
        "seed: \0",
        "#" * 2**18,
        '"' + "x" * 100_000 + '": 1',
    ],
)
def test_yaml_that_is_deep_huge_or_clever_is_named_at_once(text):
    with pytest.raises(ParamsError, match=r"params\.yaml") as error:
        read("preset: smoke\n" + text, SIZES_TEXT)
    assert len(str(error.value)) <= LONGEST_MESSAGE
    assert not Path("executed").exists()


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(ParamsError, match=r"params\.yaml: Is a directory"):
        params.read(tmp_path)


def test_a_file_above_the_limit_is_refused_unread(tmp_path):
    with open(tmp_path / "params.yaml", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(ParamsError, match=r"params\.yaml: larger than 128 kB"):
        params.read(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.hidden_size", 10**9, "model.hidden_size: 1000000000: Input should be less than or equal to 16777216"),
        (
            "model.num_hidden_layers",
            10**6,
            "model.num_hidden_layers: 1000000: Input should be less than or equal to 1024",
        ),
        ("model.max_position_embeddings", 10**12, "model.max_position_embeddings: 1000000000000"),
        ("corpus.documents", 10**15, "corpus.documents: 1000000000000000: Input should be less than or equal to"),
        ("sft.rows", 10**12, "sft.rows: 1000000000000"),
        ("pretrain.batch_size", 10**12, "pretrain.batch_size: 1000000000000"),
        ("dpo.micro_batch_size", 10**12, "dpo.micro_batch_size: 1000000000000"),
        ("evaluate.batch_size", 10**12, "evaluate.batch_size: 1000000000000"),
        ("sample.batch_size", 10**12, "sample.batch_size: 1000000000000"),
        ("sample.max_new_tokens", 10**12, "sample.max_new_tokens: 1000000000000"),
        ("pretrain.steps", 10**18, "pretrain.steps: 1000000000000000000"),
        ("sft.epochs", 1e308, "sft.epochs: 1e+308"),
        ("dpo.lr", 1e308, "dpo.lr: 1e+308"),
        ("dpo.weight_decay", 1e308, "dpo.weight_decay: 1e+308"),
        ("sample.temperature", 1e-320, "sample.temperature: 1e-320"),
        ("sft.mix", {"wholesome": 1e308, "eerie": 1e308, "dark": 1e308}, "sft.mix.wholesome: 1e+308"),
        ("model.hidden_size", 33, ": hidden_size 33 is not a multiple of num_attention_heads 2"),
        ("model.num_key_value_heads", 3, ": num_attention_heads 2 is not a multiple of num_key_value_heads 3"),
        ("model.hidden_size", 6, ": hidden_size / num_attention_heads is 3; expected an even number"),
        ("corpus.files", "a\0b", "corpus.files: 'a\\x00b': expected text without control characters"),
        ("pretrain.init_from", "data/raw/a\nb", "pretrain.init_from: 'data/raw/a\\nb': expected text without"),
        ("sft.files", "\ud800", "sft.files"),
    ],
)
def test_values_that_no_machine_can_serve_are_refused_before_anything_is_made(key, value, message):
    with pytest.raises(ParamsError) as error:
        read(*with_value(key, value))
    assert message in str(error.value)


def test_sizes_that_are_too_large_only_together_name_each_other():
    method, sizes = json.loads(json.dumps([METHOD, SIZES]))
    sizes["model"] |= {"hidden_size": 2**15, "intermediate_size": 2**17, "num_hidden_layers": 8}
    # 8 * (2 * 2**30 + 2 * 2**29 + 3 * 2**32) + 512 * 2**15 and the norms: below 2**37, above 2**36.
    with pytest.raises(ParamsError, match=r"model: .*hidden_size.*num_hidden_layers.*parameters") as error:
        read(as_yaml(method), as_yaml(sizes))
    assert "params.yaml" in str(error.value)
    sizes["model"]["num_hidden_layers"] = 4
    assert read(as_yaml(method), as_yaml(sizes))["model"].num_hidden_layers == 4


def test_numbers_at_the_edges_of_their_ranges_are_usable():
    for key, value in (("sample.temperature", 1e-6), ("sft.epochs", 1e-6), ("dpo.lr", 100.0), ("seed", 2**31 - 1)):
        use(read(*with_value(key, value)))
