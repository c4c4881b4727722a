import json
import os
import tempfile
from functools import cache
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers

from picollm.core.errors import TokenizerError
from picollm.core.files import MAX_JSON
from picollm.text.tokenizer import Tokenizer, load_tokenizer, train_bpe
from tests.bad_input.mutations import (
    ANY_JSON,
    LONGEST_MESSAGE,
    TEXTS,
    as_json,
    changed,
    damaged,
    outcome,
    tries,
    with_a_key_twice,
)

PROBES = ["", "the bat", "a  b\n<s>zz", "é森👻\0", "x" * 500]
SPECIAL = ["<unk>", "<s>", "</s>"]


@cache
def definitions() -> dict[str, dict]:
    """A valid tokenizer.json of each kind that loads: trained here, sentencepiece's form, words, unigrams."""
    bpe = train_bpe(iter(["the cat sat on the mat", "a bat and a hat"]), 270)
    spm_vocab = {token: i for i, token in enumerate([*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))])}
    spm_vocab |= {token: 259 + i for i, token in enumerate(["▁", "a", "b", "▁a", "▁ab"])}
    merges = [("▁", "a"), ("▁a", "b")]
    spm = tokenizers.Tokenizer(models.BPE(spm_vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    spm.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    spm.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    words = tokenizers.Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, "the": 3, "bat": 4}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    grams = [("<unk>", 0.0), ("▁", -1.0), ("a", -2.0), ("▁a", -2.5)]
    unigrams = tokenizers.Tokenizer(models.Unigram(grams, 0, False))
    unigrams.pre_tokenizer = pre_tokenizers.Metaspace()
    found = {"bpe": bpe._definition}
    for name, tokenizer in {"spm": spm, "words": words, "unigrams": unigrams}.items():
        tokenizer.add_special_tokens(SPECIAL)
        tokenizer.enable_truncation(3)
        tokenizer.enable_padding(length=5)
        found[name] = json.loads(tokenizer.to_str())
    return found


CONFIGS = {
    "bpe": (
        {"eos_token": {"content": "<|endoftext|>"}, "bos_token": "<|endoftext|>", "more": [{}]},
        {"eos_token_id": [0]},
    ),
    "spm": ({"bos_token": "<s>", "pad_token": "<unk>"}, {"bos_token_id": 1, "eos_token_id": 2}),
}
CONFIGS |= dict.fromkeys(
    ("words", "unigrams"), ({"bos_token": "<s>", "eos_token": "</s>"}, {})
)  # text can spell their <unk>


def check(content: bytes, config: bytes, model_config: bytes) -> Tokenizer | None:
    """Load three files; what is accepted must encode and decode, and be saved and loaded to the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        folder.mkdir()
        for file, whole in (
            ("tokenizer.json", content),
            ("tokenizer_config.json", config),
            ("config.json", model_config),
        ):
            (folder / file).write_bytes(whole)
        tokenizer = outcome(lambda: load_tokenizer(folder), str(folder))
        if tokenizer is None:
            return None
        ids = [outcome(lambda text=text: tokenizer.encode(text)) for text in PROBES]
        assert all(0 <= i < tokenizer.vocab_size for row in ids if row for i in row)
        for row in [*filter(None, ids), list(range(min(tokenizer.vocab_size, 300)))]:
            outcome(lambda row=row: tokenizer.decode(row).encode())
            outcome(lambda row=row: tokenizer.decode_continuation(row).encode())
        outcome(lambda: tokenizer.encode_batch(PROBES))
        outcome(lambda: tokenizer.encode_continuations(PROBES))
        tokenizer.save(Path(name) / "again")
        again = load_tokenizer(Path(name) / "again")
        assert (again.vocab_size, again.bos_id, again.eos_id) == (
            tokenizer.vocab_size,
            tokenizer.bos_id,
            tokenizer.eos_id,
        )
        assert [outcome(lambda text=text: again.encode(text)) for text in PROBES] == ids
        return tokenizer


def check_definition(kind: str, content: bytes) -> None:
    check(content, *map(as_json, CONFIGS[kind]))


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_valid_definitions_are_accepted(kind):
    assert check(as_json(definitions()[kind]), *map(as_json, CONFIGS[kind])).eos_id == {"bpe": 0, "unigrams": 5}.get(
        kind, 2
    )


@pytest.mark.parametrize("kind", CONFIGS)
@tries(150)
@given(st.data())
def test_a_changed_definition_is_usable_or_named(kind, data):
    check_definition(kind, as_json(data.draw(changed(definitions()[kind]))))


@tries(150)
@given(st.data())
def test_a_damaged_definition_is_usable_or_named(data):
    kind = data.draw(st.sampled_from(sorted(CONFIGS)))
    check_definition(kind, data.draw(damaged(as_json(definitions()[kind]))))


@tries(150)
@given(ANY_JSON.map(as_json) | st.binary(max_size=30))
def test_arbitrary_definitions_are_named(content):
    check_definition("bpe", content)


PARTS = {
    "normalizer": [
        {"type": "Replace", "pattern": {"Regex": "("}, "content": ""},
        {"type": "Replace", "pattern": {"Regex": "x*"}, "content": "y"},
        {"type": "Replace", "pattern": {"String": ""}, "content": "y"},
        {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
        {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}, {"type": "StripAccents"}]},
        {"type": "Prepend", "prepend": ""},
    ],
    "pre_tokenizer": [
        {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": True},
        {"type": "Split", "pattern": {"String": ""}, "behavior": "Removed", "invert": False},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": False},
        {"type": "Metaspace", "replacement": "ab", "prepend_scheme": "first", "split": True},
        {"type": "FixedLength", "length": 0},
        {"type": "FixedLength", "length": 2},
        {"type": "Punctuation", "behavior": "Contiguous"},
        {"type": "Digits", "individual_digits": True},
        {"type": "Sequence", "pretokenizers": []},
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False},
    ],
    "decoder": [
        {"type": "WordPiece", "prefix": "##", "cleanup": True},
        {"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": True},
        {"type": "Strip", "content": " ", "start": 10**9, "stop": 10**9},
        {"type": "Strip", "content": "ab", "start": 1, "stop": 0},
        {"type": "BPEDecoder", "suffix": ""},
        {"type": "ByteFallback"},
        {"type": "Replace", "pattern": {"Regex": ".*"}, "content": "z"},
    ],
    "post_processor": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"type": "BertProcessing", "sep": ["x", 99], "cls": ["y", 98]},
        {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [],
            "special_tokens": {},
        },
    ],
    "truncation": [
        None,
        {"direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": 5},
        {"direction": "Left", "max_length": 2**60, "strategy": "OnlySecond", "stride": 0},
    ],
    "padding": [
        {
            "strategy": {"Fixed": 2**60},
            "direction": "Right",
            "pad_to_multiple_of": 0,
            "pad_id": 2**31,
            "pad_type_id": 0,
            "pad_token": "x",
        }
    ],
    "model": [
        {"type": "WordLevel", "vocab": {"<s>": 1, "</s>": 2}, "unk_token": "<unk>"},
        {"type": "WordLevel", "vocab": {}, "unk_token": ""},
        {
            "type": "WordPiece",
            "vocab": {"a": 3},
            "unk_token": "?",
            "continuing_subword_prefix": "",
            "max_input_chars_per_word": 0,
        },
        {"type": "Unigram", "unk_id": None, "vocab": [["<s>", 0.0], ["a", -1.0]], "byte_fallback": False},
        {"type": "Unigram", "unk_id": 5, "vocab": [["<s>", 0.0]], "byte_fallback": True},
        {"type": "Unigram", "unk_id": 0, "vocab": [["", 1e308], ["a", -1e308]], "byte_fallback": False},
        {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"], "unk_token": "nowhere"},
        {"type": "BPE", "vocab": {}, "merges": []},
    ],
}


@tries(400)
@given(st.data())
def test_other_parts_that_the_format_knows_are_usable_or_named(data):
    kind = data.draw(st.sampled_from(sorted(CONFIGS)))
    definition = {**definitions()[kind]}
    for part in data.draw(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3)):
        value = data.draw(st.sampled_from(PARTS[part]))
        definition[part] = data.draw(st.just(value) | changed(value, most=1))
    check_definition(kind, as_json(definition))


@pytest.mark.parametrize("kind", ["bpe", "spm"])
@pytest.mark.parametrize("place", [0, 1], ids=["tokenizer_config.json", "config.json"])
@tries(120)
@given(st.data())
def test_changed_and_damaged_configs_are_usable_or_named(kind, place, data):
    configs = list(map(as_json, CONFIGS[kind]))
    content = CONFIGS[kind][place]
    configs[place] = data.draw(changed(content, most=3).map(as_json) | damaged(configs[place]))
    check(as_json(definitions()[kind]), *configs)


@pytest.mark.parametrize("role", ["bos", "eos"])
@tries(80)
@given(st.one_of(st.integers(-(2**70), 2**70), TEXTS, st.lists(st.integers(-5, 2**40), max_size=3), ANY_JSON))
def test_any_special_token_id_is_in_the_vocabulary_or_named(role, value):
    configs = [as_json({}), as_json({"bos_token_id": 1, "eos_token_id": 2, f"{role}_token_id": value})]
    tokenizer = check(as_json(definitions()["spm"]), *configs)
    assert tokenizer is None or value == getattr(tokenizer, f"{role}_id") or value == [getattr(tokenizer, f"{role}_id")]


def definition_with(**changes) -> dict:
    whole = json.loads(json.dumps(definitions()["spm"]))
    for key, value in changes.items():
        (whole if key in whole else whole["model"])[key] = value
    return whole


def spm_vocab(**more: int) -> dict[str, int]:
    return {**definitions()["spm"]["model"]["vocab"], **more}


def added(**changes) -> list[dict]:
    return [*definitions()["spm"]["added_tokens"][:2], {**definitions()["spm"]["added_tokens"][2], **changes}]


@pytest.mark.parametrize(
    "definition",
    [
        definition_with(merges=[["a", "z"]]),
        definition_with(merges=[["a" * 10**6, "b"]]),
        definition_with(merges=["a"]),
        definition_with(merges=[["a", "b", "c"]]),
        definition_with(merges=[["b", "a"]]),
        definition_with(vocab=spm_vocab(z=-1)),
        definition_with(vocab=spm_vocab(z=2**32)),
        definition_with(vocab=spm_vocab(z=2**24)),
        definition_with(vocab=spm_vocab(z=1.5)),
        definition_with(vocab=spm_vocab(z=4)),
        definition_with(vocab=[]),
        definition_with(added_tokens=added(content=7)),
        definition_with(added_tokens=added(content=None)),
        definition_with(added_tokens=added(id=-1)),
        definition_with(added_tokens=added(id=2**40)),
        definition_with(added_tokens=added(content="\ud800")),
        definition_with(added_tokens=[7]),
        definition_with(added_tokens={"a": 1}),
        definition_with(model=None),
        definition_with(version="2.0"),
    ],
    ids=range(20),
)
def test_definitions_that_contradict_themselves_are_named(definition):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tokenizer.json").write_bytes(as_json(definition))
        (folder / "tokenizer_config.json").write_bytes(as_json({"bos_token": "<s>", "eos_token": "</s>"}))
        with pytest.raises(TokenizerError, match=r"tokenizer\.json") as error:
            load_tokenizer(folder)
        assert len(str(error.value)) <= LONGEST_MESSAGE


def test_ids_with_gaps_are_kept_as_they_are():
    tokenizer = check(as_json(definition_with(vocab=spm_vocab(z=999))), *map(as_json, CONFIGS["spm"]))
    assert tokenizer.vocab_size == 1000
    assert tokenizer.encode("z")[-1] == 999
    assert tokenizer.decode([500]) == ""


def test_a_merge_of_a_million_characters_is_loaded():
    longest = "a" * 10**6
    definition = definition_with(vocab=spm_vocab(**{longest: 264, longest + "b": 265}), merges=[[longest, "b"]])
    assert check(as_json(definition), *map(as_json, CONFIGS["spm"])).vocab_size == 266


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 10**6,
        b'{"model": ' * 10**5,
        as_json({**definitions()["bpe"], "extra": 0})[:-2] + b"9" * 5000 + b"}",
        as_json({**definitions()["bpe"], "extra": 0})[:-2] + b"[" * 120 + b"]" * 120 + b"}",
        with_a_key_twice(definitions()["bpe"], "model"),
        with_a_key_twice(definitions()["bpe"], "added_tokens"),
    ],
    ids=["lists", "objects", "number", "depth", "model twice", "added_tokens twice"],
)
def test_json_that_two_readers_may_take_differently_is_usable_or_named(content):
    check_definition("bpe", content)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_files_that_never_end_or_are_huge_are_refused_unread(tmp_path, name):
    (tmp_path / "tokenizer.json").write_bytes(as_json(definitions()["bpe"]))
    path = tmp_path / name
    path.unlink(missing_ok=True)
    with open(path, "wb") as file:
        file.truncate(MAX_JSON + 1)
    with pytest.raises(TokenizerError, match=name):
        load_tokenizer(tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(TokenizerError, match=rf"{name}: not a regular file"):
        load_tokenizer(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(TokenizerError, match=rf"{name}: not a regular file"):
        load_tokenizer(tmp_path)
