import json
import os
import pickle
import struct
import tempfile
from contextlib import chdir
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from picollm.core.errors import CheckpointError, ParamsError, PicollmError
from picollm.model.config_json import read_config
from picollm.model.directory import load_model, load_model_and_tokenizer, save_model
from picollm.model.settings import InitFrom
from picollm.text.tokenizer import train_bpe
from stages.import_models import import_model
from tests.bad_input.mutations import ANY_JSON, LONGEST_MESSAGE, TEXTS, as_json, changed, damaged, outcome, tries
from tests.tiny import tiny_model

NUMBERS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


@cache
def whole() -> dict[str, bytes]:
    """The files of a valid model directory of 270 tokens."""
    with tempfile.TemporaryDirectory() as name:
        tokenizer = train_bpe(iter(["the cat sat on the mat", "a bat and a hat"]), 270)
        save_model(Path(name) / "m", tiny_model(vocab_size=tokenizer.vocab_size), tokenizer)
        return {path.name: path.read_bytes() for path in (Path(name) / "m").iterdir()}


def config() -> dict:
    return json.loads(whole()["config.json"])


def header() -> dict:
    return split(whole()["model.safetensors"])[0]


def split(content: bytes) -> tuple[dict, bytes]:
    """A safetensors file as (header, data)."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(head: dict, data: bytes) -> bytes:
    text = as_json(head)
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def tensors(content: bytes) -> dict[str, np.ndarray]:
    """What a safetensors file holds, by its own header; bfloat16 is the upper half of a float32."""
    head, data = split(content)
    found = {}
    for name, entry in head.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        if entry["dtype"] == "BF16":
            wide = np.frombuffer(data[start:end], "<u2").astype("<u4") << 16
            found[name] = wide.view("<f4").reshape(entry["shape"])
        elif entry["dtype"] in NUMBERS:
            numbers = np.frombuffer(data[start:end], NUMBERS[entry["dtype"]])
            with np.errstate(over="ignore"):
                found[name] = numbers.astype(np.float32).reshape(entry["shape"])
    return found


def put(folder: Path, **replaced: bytes | None) -> Path:
    """The valid model directory with some files, named by their stem, replaced or (None) left out."""
    folder.mkdir(exist_ok=True)
    for name, content in whole().items():
        content = replaced.get(name.split(".")[0], content)
        if content is not None:
            (folder / name).write_bytes(content)
    return folder


def check(named: str = "", **replaced: bytes) -> torch.nn.Module | None:
    """Load a directory with replaced files; a model that loads holds its files' tensors, and runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = put(Path(name) / "model", **replaced)
        model = outcome(lambda: load_model(folder), str(folder), named)
        if model is None:
            return None
        stored = tensors((folder / "model.safetensors").read_bytes())
        loaded = model.state_dict()
        for key, value in stored.items():
            if key in loaded:
                assert np.array_equal(loaded[key].numpy(), value, equal_nan=True), key
        assert loaded.keys() - stored.keys() in (set(), {"lm_head.weight"}, {"model.embed_tokens.weight"})
        with torch.no_grad():
            assert model(torch.tensor([[0, 1, 2]])).shape == (1, 3, model.config.vocab_size)
        return model


def test_the_valid_directory_is_accepted():
    assert check() is not None


# --- config.json

CONFIG_EXTRAS = {
    "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
    "rope_scaling": None,
    "quantization_config": None,
    "auto_map": {"AutoModelForCausalLM": "evil.Model"},
}


@tries(300)
@given(st.data())
def test_a_changed_config_is_usable_or_named(data):
    content = config() | data.draw(st.sampled_from([{}, CONFIG_EXTRAS]))
    check(config=as_json(data.draw(changed(content))))


@tries(150)
@given(st.data())
def test_any_value_at_a_known_key_of_the_config_is_usable_or_named(data):
    content = config() | CONFIG_EXTRAS
    key = data.draw(
        st.sampled_from(sorted(content.keys() | {"rope_parameters.rope_theta", "rope_parameters.rope_type"}))
    )
    value = data.draw(ANY_JSON)
    if "." in key:
        content = {**content, "rope_parameters": {key.split(".")[1]: value}, "rope_theta": None}
    else:
        content[key] = value
    check(config=as_json(content))


@tries(100)
@given(st.data())
def test_a_damaged_config_is_usable_or_named(data):
    check(config=data.draw(damaged(whole()["config.json"]) | st.binary(max_size=20) | ANY_JSON.map(as_json)))


@pytest.mark.parametrize(
    "change",
    [
        {"vocab_size": 2**24, "hidden_size": 2**24, "num_attention_heads": 1, "num_key_value_heads": 1},
        {"num_hidden_layers": 1024, "hidden_size": 2**20, "intermediate_size": 2**24},
        {"num_hidden_layers": 10**9},
        {"vocab_size": 10**15},
        {"max_position_embeddings": 10**12},
        {"rope_theta": 10**400},
        {"rope_theta": None, "rope_parameters": {"rope_theta": 10**400}},
        {"rope_theta": None, "rope_parameters": {"rope_theta": True}},
        {"rms_norm_eps": 10**400},
        {"rope_parameters": {"rope_type": ["x" * 10**5]}},
        {"hidden_act": "x" * 10**6},
        {"num_attention_heads": 0},
    ],
    ids=str,
)
def test_sizes_and_numbers_out_of_all_proportion_are_refused_before_memory_is_taken(tmp_path, change):
    folder = put(tmp_path / "m", config=as_json(config() | {"head_dim": None} | change))
    with pytest.raises(CheckpointError, match=r"config\.json: ") as error:
        load_model(folder)
    assert any(key in str(error.value) for key in change)
    assert len(str(error.value)) <= LONGEST_MESSAGE


def test_a_config_that_is_no_object_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json: Input should be"):
        read_config(put(tmp_path / "m", config=b"[]"))


# --- model.safetensors


@tries(300)
@given(st.data())
def test_a_changed_header_is_usable_or_named(data):
    head, payload = split(whole()["model.safetensors"])
    changes = data.draw(changed(head))
    check(model=joined(changes, payload))


@tries(150)
@given(st.data())
def test_other_types_shapes_and_places_of_a_tensor_are_usable_or_named(data):
    head, payload = split(whole()["model.safetensors"])
    name, other = data.draw(st.permutations(sorted(header().keys() - {"__metadata__"})))[:2]
    entry = head[name]
    for kind in data.draw(st.lists(st.sampled_from(["dtype", "shape", "offsets", "swap", "name", "half"]), min_size=1)):
        if kind == "dtype":
            kinds = [
                "F64",
                "F32",
                "F16",
                "BF16",
                "I32",
                "U8",
                "BOOL",
                "F8_E4M3",
                "F8_E5M2",
                "F4",
                "C64",
                "I64",
                "",
                "f32",
            ]
            entry["dtype"] = data.draw(st.sampled_from(kinds))
        elif kind == "shape":
            entry["shape"] = data.draw(
                st.lists(st.integers(0, 300) | st.sampled_from([2**31, 2**63, 2**64, -1]), max_size=4)
            )
        elif kind == "offsets":
            places = st.integers(-8, len(payload) + 8) | st.sampled_from([2**60, 2**64 - 1])
            entry["data_offsets"] = data.draw(st.lists(places, min_size=1, max_size=3))
        elif kind == "swap":
            head[other]["data_offsets"], entry["data_offsets"] = entry["data_offsets"], head[other]["data_offsets"]
        elif kind == "name":
            head[data.draw(TEXTS | st.sampled_from(["lm_head.weight", "x.rotary_emb.inv_freq"]))] = entry
        else:
            entry |= {"dtype": "F16", "shape": [2, *entry["shape"]]}
    check(model=joined(head, payload))


@tries(200)
@given(st.data())
def test_a_damaged_weights_file_is_usable_or_named(data):
    content = whole()["model.safetensors"]
    head = len(content) - len(split(content)[1])
    check(model=data.draw(damaged(content[:head]).map(lambda start: start + content[head:]) | damaged(content)))


@tries(100)
@given(st.binary(max_size=40), st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2, 2**60, 2**64 - 1, 10**8]))
def test_any_length_of_the_header_is_refused(content, length):
    assert check("model.safetensors", model=struct.pack("<Q", length) + content) is None


def test_a_weights_file_of_a_terabyte_is_refused_before_it_is_read(tmp_path):
    """The file is sparse; its header promises an embedding of 2**42 bytes, and so does config.json."""
    folder = put(tmp_path / "m")
    entry = {"dtype": "F32", "shape": [2**24, 2**16], "data_offsets": [0, 2**42]}
    (folder / "model.safetensors").write_bytes(joined({"model.embed_tokens.weight": entry}, b""))
    with open(folder / "model.safetensors", "rb+") as file:
        file.seek(0, os.SEEK_END)
        file.truncate(file.tell() + 2**42)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: "):
        load_model(folder)
    changes = {"vocab_size": 2**24, "hidden_size": 2**16, "num_attention_heads": 2, "head_dim": None}
    (folder / "config.json").write_bytes(as_json(config() | changes))
    with pytest.raises(CheckpointError, match=r"config\.json: .*vocab_size.*parameters"):
        load_model(folder)


# --- the index of several files


def in_two_files(folder: Path) -> dict[str, str]:
    """Divide the weights of a directory into model-1 and model-2; return the weight_map."""
    content = (folder / "model.safetensors").read_bytes()
    head, data = split(content)
    names = sorted(head.keys() - {"__metadata__"})
    places = {}
    for number, part in ((1, names[:5]), (2, names[5:])):
        entries, payload = {}, b""
        for name in part:
            start, end = head[name]["data_offsets"]
            entries[name] = {**head[name], "data_offsets": [len(payload), len(payload) + end - start]}
            payload += data[start:end]
            places[name] = f"model-{number}.safetensors"
        (folder / f"model-{number}.safetensors").write_bytes(joined(entries, payload))
    (folder / "model.safetensors").unlink()
    return places


@tries(250)
@given(st.data())
def test_a_changed_or_damaged_index_is_usable_or_named(data):
    with tempfile.TemporaryDirectory() as name:
        folder = put(Path(name) / "model")
        places = in_two_files(folder)
        index = {"metadata": {"total_size": 1}, "weight_map": places}
        damage = changed(index, most=3).map(as_json) | damaged(as_json(index)) | ANY_JSON.map(as_json)
        (folder / "model.safetensors.index.json").write_bytes(data.draw(damage))
        model = outcome(lambda: load_model(folder), str(folder))
        if model is not None:
            assert np.array_equal(
                model.state_dict()["model.norm.weight"], tensors(whole()["model.safetensors"])["model.norm.weight"]
            )


OUTSIDE = ["../secret.safetensors", "/{}/secret.safetensors", "./../secret.safetensors", "sub/inner.safetensors"]


@pytest.mark.parametrize(
    "value",
    [*OUTSIDE, "..", ".", "", "\0", "\ud800", "x" * 5000, None, 7, ["a"], {"a": 1}, "link", "../m/model-2.safetensors"],
)
def test_a_weight_map_that_leads_elsewhere_is_refused(tmp_path, value):
    folder = put(tmp_path / "m")
    places = in_two_files(folder)
    first = (folder / "model-1.safetensors").read_bytes()
    (tmp_path / "secret.safetensors").write_bytes(first)
    (folder / "sub").mkdir()
    (folder / "sub/inner.safetensors").write_bytes(first)
    (folder / "link").symlink_to(tmp_path / "secret.safetensors")
    (folder / "model-1.safetensors").unlink()
    value = value.format(tmp_path) if isinstance(value, str) else value
    moved = {name: value if place == "model-1.safetensors" else place for name, place in places.items()}
    (folder / "model.safetensors.index.json").write_bytes(as_json({"weight_map": moved}))
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors\.index\.json: weight_map: .* is not a file of this directory"
    ) as e:
        load_model(folder)
    assert len(str(e.value)) <= LONGEST_MESSAGE


# --- links


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_link_out_of_the_directory_is_refused_whatever_its_content(tmp_path, name):
    folder = put(tmp_path / "m")
    (folder / name).rename(tmp_path / "secret")
    (folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(PicollmError, match=rf"{name}: links to a file outside its directory"):
        load_model_and_tokenizer(folder)


def test_links_within_the_directory_and_into_caches_of_hashes_are_followed(tmp_path):
    """DVC and the Hugging Face hub link to files that are named by the hash of their content."""
    folder = put(tmp_path / "m")
    cache_of_dvc, blobs = tmp_path / "cache/files/md5/ab", tmp_path / "blobs"
    for store, name, target in ((cache_of_dvc, "model.safetensors", "0" * 30), (blobs, "config.json", "f" * 40)):
        store.mkdir(parents=True)
        (folder / name).rename(store / target)
        (folder / name).symlink_to(store / target)
    (folder / "tokenizer.json").rename(folder / "other.json")
    (folder / "tokenizer.json").symlink_to("other.json")
    assert load_model_and_tokenizer(folder)[0].config.vocab_size == 270


@pytest.mark.parametrize("target", ["/dev/zero", "model.safetensors", "nowhere"])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_links_that_end_nowhere_or_never_are_refused(tmp_path, name, target):
    folder = put(tmp_path / "m")
    (folder / name).unlink()
    (folder / name).symlink_to(target)
    with pytest.raises(PicollmError, match=r"m/"):
        load_model_and_tokenizer(folder)


@pytest.mark.parametrize(
    "init_from",
    [
        "../x",
        "/",
        "data/raw",
        "data/raw/../../x",
        "data/raw/link",
        "data/raw/own/../../../x",
        "",
        ".",
        "~",
        "data/raw/" + "n" * 900,
    ],
)
def test_a_base_checkpoint_from_elsewhere_is_refused_and_nothing_is_written_outside(tmp_path, init_from):
    project = tmp_path / "project"
    (project / "data/raw/own").mkdir(parents=True)
    put(tmp_path / "x")
    put(project / "x")
    (project / "data/raw/link").symlink_to(tmp_path / "x")
    before = sorted(tmp_path.rglob("*"))
    with chdir(project), pytest.raises((PicollmError, ValidationError)):
        import_model(InitFrom(init_from=init_from).init_from, Path("data/base"))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_base_checkpoint_with_a_link_to_a_secret_is_not_copied(tmp_path):
    """tokenizer_secret.json would match the pattern of the files that are copied."""
    folder = tmp_path / "data/raw/own"
    folder.mkdir(parents=True)
    put(folder)
    (tmp_path / "credentials").write_text("secret")
    (folder / "tokenizer_secret.json").symlink_to(tmp_path / "credentials")
    with (
        chdir(tmp_path),
        pytest.raises((CheckpointError, ParamsError), match=r"tokenizer_secret\.json: links to a file outside"),
    ):
        import_model("data/raw/own", Path("data/base"))
    assert not (tmp_path / "data/base").exists()


# --- nothing is executed


class Executed:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def bomb(tmp_path) -> bytes:
    content = pickle.dumps(Executed(tmp_path / "executed"))
    pickle.loads(content)
    (tmp_path / "executed").unlink()  # raises if the pickle does not have the effect that the tests assume
    return content


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth", "training_args.bin"])
def test_a_pickle_beside_the_weights_is_ignored(tmp_path, bomb, name):
    folder = put(tmp_path / "m")
    (folder / name).write_bytes(bomb)
    load_model_and_tokenizer(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_a_pickle_in_place_of_the_weights_is_refused(tmp_path, bomb, name):
    folder = put(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(bomb)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no"):
        load_model_and_tokenizer(folder)
    assert not (tmp_path / "executed").exists()


def test_a_pickle_that_the_index_names_is_refused(tmp_path, bomb):
    folder = put(tmp_path / "m")
    places = in_two_files(folder)
    (folder / "pytorch_model.bin").write_bytes(bomb)
    index = {"weight_map": dict.fromkeys(places, "pytorch_model.bin")}
    (folder / "model.safetensors.index.json").write_bytes(as_json(index))
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        load_model_and_tokenizer(folder)
    assert not (tmp_path / "executed").exists()


def test_code_that_a_config_names_is_not_run(tmp_path):
    named = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model", "AutoTokenizer": "evil.Tokenizer"}
    folder = put(
        tmp_path / "m",
        config=as_json(config() | {"auto_map": named, "trust_remote_code": True}),
        tokenizer_config=as_json({"auto_map": named, "tokenizer_class": "Evil", "bos_token": "<|endoftext|>"}),
    )
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    assert load_model_and_tokenizer(folder)[0].config.vocab_size == 270
    assert not (tmp_path / "executed").exists()
