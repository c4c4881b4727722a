import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picollm.core.errors import TokenizerError
from picollm.core.files import MAX_JSON
from picollm.text.tokenizer import (
    Tokenizer,
    gpt2_tokenizer,
    load_tokenizer,
    train_bpe,
)
from tests.llama_tokenizer import save_llama_tokenizer
from tests.texts import ANY_TEXT, CORPUS, TRICKY, ids_of, reference_of

SHARED = Path(__file__).parents[3] / "shared/data"
STORIES260K = SHARED / "stories260k"
TRUNCATION = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 5},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "<unk>",
}
# Metaspace takes a space that a text begins with for its own.
PROMPT = st.text(st.characters(codec="utf-8", exclude_characters="▁"), min_size=1).filter(lambda text: text[0] != " ")


def test_saved_folder_gives_the_same_ids_in_transformers(bpe, folder):
    transformers = pytest.importorskip("transformers")
    auto = transformers.AutoTokenizer.from_pretrained(folder)
    assert (auto.bos_token_id, auto.eos_token_id, auto.pad_token_id, len(auto)) == (0, 0, 0, bpe.vocab_size)
    for text in [*CORPUS[:5], *(t for t in TRICKY if "<|endoftext|>" not in t)]:
        ids = bpe.encode(text)
        assert auto(text)["input_ids"] == [bpe.bos_id, *ids]
        assert auto.decode(ids) == bpe.decode(ids)


def test_batch_equals_single_texts_in_order(bpe):
    texts = [f"{place} {CORPUS[place % 5]}" for place in range(200)]
    assert bpe.encode_batch(texts) == [bpe.encode(text) for text in texts]
    assert bpe.encode_batch([]) == []


# --- training, special tokens, saving


def test_trained_vocabulary_has_end_of_text_first_then_bytes_then_merges(bpe, folder):
    assert (bpe.vocab_size, bpe.bos_id, bpe.eos_id, bpe.pad_id) == (400, 0, 0, 0)
    by_id = {i: token for token, i in json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"].items()}
    assert by_id[0] == "<|endoftext|>"
    assert {len(by_id[i]) for i in range(1, 257)} == {1}
    assert all(len(by_id[i]) > 1 for i in range(257, 400))


def test_training_finds_the_most_frequent_pair_first():
    tokenizer = train_bpe(iter(["ab ab ab ab cd cd"]), 258)
    assert tokenizer.encode("ab") == [257]
    assert len(tokenizer.encode("cd")) == 2


def test_training_twice_writes_the_same_file(folder, tmp_path):
    train_bpe(iter(CORPUS), 400).save(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_corpus_with_few_pairs_gives_a_smaller_vocabulary():
    assert train_bpe(iter(["ab"]), 1000).vocab_size == 258


def test_training_refuses_a_small_vocabulary_and_an_empty_corpus():
    with pytest.raises(TokenizerError, match="vocabulary 256: expected at least 257"):
        train_bpe(iter(CORPUS), 256)
    with pytest.raises(TokenizerError, match="no text"):
        train_bpe(iter([]), 300)


def test_error_of_the_corpus_passes_through_training():
    def texts():
        yield "a"
        raise TokenizerError("row 2")

    with pytest.raises(TokenizerError, match="row 2"):
        train_bpe(texts(), 300)


def test_special_token_in_text_is_ordinary_characters(bpe):
    text = "a<|endoftext|>b"
    assert bpe.eos_id not in bpe.encode(text)
    assert bpe.decode(bpe.encode(text)) == text


def test_decode_drops_special_tokens_and_marks_cut_characters(bpe):
    assert bpe.decode([0, *bpe.encode("hi"), 0]) == "hi"
    assert bpe.decode(bpe.encode("\U0001f9ff")[:1]) == "\ufffd"


def test_ids_above_the_vocabulary_have_no_text(bpe, spm):
    assert bpe.decode([400, *bpe.encode("hi"), 10**6]) == "hi"
    llama = load_tokenizer(spm)
    assert (llama.decode([263, 264]), llama.decode_continuation([264, 263])) == ("ab", " ab")


def test_lone_surrogate_is_refused_not_replaced(bpe):
    with pytest.raises(TokenizerError, match="surrogate at character 2"):
        bpe.encode("ab\ud800")
    with pytest.raises(TokenizerError, match="surrogate"):
        bpe.encode_batch(["ok", "\udfff"])


def test_save_and_load_keep_ids_and_file(bpe, folder, tmp_path):
    loaded = load_tokenizer(folder)
    assert [loaded.encode(t) for t in CORPUS] == [bpe.encode(t) for t in CORPUS]
    loaded.save(tmp_path / "copy")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()


# --- bos in front, as transformers puts it


def template(single: list[str], special: dict[str, int]) -> dict:
    """A TemplateProcessing from its pieces: a special token by its name, the text as $A."""
    return {
        "type": "TemplateProcessing",
        "single": [
            {"Sequence": {"id": "A", "type_id": 0}} if piece == "$A" else {"SpecialToken": {"id": piece, "type_id": 0}}
            for piece in single
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for name, i in special.items()},
    }


OFFSETS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BOS = template(["<s>", "$A"], {"<s>": 1})
BOTH = template(["<s>", "$A", "</s>"], {"<s>": 1, "</s>": 2})


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        (None, None),
        (BOS, BOS),
        ({"type": "Sequence", "processors": [OFFSETS, BOS]}, {"type": "Sequence", "processors": [OFFSETS, BOS]}),
        (BOTH, None),
        (template(["$A", "<s>"], {"<s>": 1}), None),
        (template(["<s>"], {"<s>": 1}), None),
        (OFFSETS, [OFFSETS]),
        ({"type": "Sequence", "processors": [OFFSETS, BOTH]}, [OFFSETS]),
    ],
    ids=["none", "bos", "offsets and bos", "bos and eos", "bos behind", "no text", "offsets", "offsets, bos and eos"],
)
def test_transformers_puts_bos_in_front_of_a_text_and_nothing_else(tmp_path, own, kept):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "own").mkdir()
    changes = {"post_processor": own, "truncation": TRUNCATION, "padding": PADDING}
    tokenizer = load_tokenizer(save_llama_tokenizer(tmp_path / "own", **changes))
    tokenizer.save(tmp_path / "saved")
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert auto("ab b a")["input_ids"] == [1, *tokenizer.encode("ab b a")] == [1, 263, 259, 261, 262]
    assert auto("ab b a", add_special_tokens=False)["input_ids"] == tokenizer.encode("ab b a")
    saved = json.loads((tmp_path / "saved/tokenizer.json").read_text())["post_processor"]
    if isinstance(kept, dict):
        assert saved == kept
    elif kept:
        assert saved["processors"][:-1] == kept


QWEN = {
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {"Regex": r"'s|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+"},
                "behavior": "Isolated",
                "invert": False,
            },
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        ],
    },
    "post_processor": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
}


@pytest.mark.parametrize("config", [{"bos_token": None}, {"bos_token": "<|endoftext|>", "add_bos_token": False}])
def test_a_tokenizer_without_bos_puts_nothing_in_front_in_transformers_either(folder, tmp_path, config):
    transformers = pytest.importorskip("transformers")
    definition = json.loads((folder / "tokenizer.json").read_text()) | QWEN
    write(tmp_path / "tokenizer.json", definition)
    write(tmp_path / "tokenizer_config.json", {"eos_token": "<|endoftext|>", **config})
    write(tmp_path / "config.json", {"bos_token_id": 0, "eos_token_id": 0})  # as in Qwen2.5's files
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.bos_id, tokenizer.bos, tokenizer.eos_id) == (None, [], 0)
    (tmp_path / "saved").mkdir()
    tokenizer.save(tmp_path / "saved")
    write(tmp_path / "saved/config.json", {"bos_token_id": 0, "eos_token_id": 0})
    assert load_tokenizer(tmp_path / "saved").bos == []
    assert json.loads((tmp_path / "saved/tokenizer_config.json").read_text())["bos_token"] == config["bos_token"]
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in ["the cat's 42 mats\n\n sat", "cafe\u0301 caf\u00e9"]:
        assert auto(text)["input_ids"] == tokenizer.encode(text)
        assert load_tokenizer(tmp_path / "saved").encode(text) == tokenizer.encode(text)
    first, second = tokenizer.encode_batch(["cafe\u0301", "caf\u00e9"])
    assert first == second


def test_a_list_of_eos_ids_holds_the_tokens_at_which_the_model_stops(spm):
    config = {"bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = load_with(spm, config, {"eos_token_id": [0, 2]})
    assert (tokenizer.eos_id, tokenizer.stop_ids) == (2, [2, 0])
    write(spm / "generation_config.json", {"eos_token_id": [1, 2]})
    assert load_with(spm, config, {"eos_token_id": 2}).stop_ids == [2, 1]
    ordinary = tokenizer.encode("ab")[0]
    write(spm / "generation_config.json", {"eos_token_id": [2, ordinary]})
    assert load_with(spm, config, {"eos_token_id": 2}).decode([ordinary]) == "ab"
    write(spm / "generation_config.json", {"eos_token_id": [1, 264]})
    with pytest.raises(
        TokenizerError, match=r"generation_config\.json: eos_token_id \[1, 264\] is not in the vocabulary"
    ):
        load_with(spm, config, {"eos_token_id": 2})


# --- gpt2


def test_gpt2_without_network_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nothing listens: refused at once
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TokenizerError, match=r"TIKTOKEN_CACHE_DIR.*tokenizer: bpe"):
        gpt2_tokenizer()


# --- other tokenizers


@pytest.fixture
def spm(tmp_path) -> Path:
    return save_llama_tokenizer(tmp_path, truncation=TRUNCATION, padding=PADDING)


def write(path: Path, value) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def test_sentencepiece_style_ids_by_hand(spm):
    tokenizer = load_tokenizer(spm)
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (264, 1, 2, 2)
    assert tokenizer.encode("ab b a") == [263, 259, 261, 262]  # ▁ab ▁ b ▁a: neither truncated nor padded
    assert tokenizer.encode("é") == [259, 3 + 0xC3, 3 + 0xA9]
    assert tokenizer.encode_batch(["ab", "é"]) == [[263], [259, 3 + 0xC3, 3 + 0xA9]]
    assert tokenizer.decode([1, 263, 259, 261, 2]) == "ab b"


def test_sentencepiece_style_special_tokens_in_text_are_ordinary(spm):
    tokenizer = load_tokenizer(spm)
    text = "a</s><s>b <unk>"
    assert not {0, 1, 2} & set(tokenizer.encode(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_continuation_gets_no_space_in_front(spm):
    tokenizer = load_tokenizer(spm)
    assert tokenizer.encode_batch(["ab b a", " ab", ""]) == [[263, 259, 261, 262], [259, 263], []]
    assert tokenizer.encode_continuations(["ab b a", " ab", ""]) == [[260, 261, 259, 261, 262], [263], []]
    assert (tokenizer.decode([263, 262]), tokenizer.decode_continuation([263, 262])) == ("ab a", " ab a")
    assert not {0, 1, 2} & set(tokenizer.encode_continuations(["</s>a<unk>"])[0])


PREFIX_RULES = {
    "Prepend": {},
    "Metaspace first": {
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
    },
    "Metaspace twice": {
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
    },
}


@pytest.fixture(scope="module", params=PREFIX_RULES)
def prefixing(request, tmp_path_factory) -> Tokenizer:
    return load_tokenizer(save_llama_tokenizer(tmp_path_factory.mktemp("spm"), **PREFIX_RULES[request.param]))


@settings(max_examples=100, deadline=None)
@given(PROMPT, st.one_of(ANY_TEXT, st.text(" ab\n")).filter(lambda text: "▁" not in text))
def test_ids_of_prompt_and_continuation_spell_the_two_as_written(prefixing, prompt, response):
    head, (tail,) = prefixing.encode(prompt), prefixing.encode_continuations([response])
    assert prefixing.decode(head) == prompt
    assert prefixing.decode_continuation(tail) == response
    assert prefixing.decode(head + tail) == prompt + response


def test_a_byte_level_space_in_front_is_put_before_the_first_text_alone(folder, tmp_path):
    definition = json.loads((folder / "tokenizer.json").read_text())
    definition["pre_tokenizer"]["add_prefix_space"] = True
    write(tmp_path / "tokenizer.json", definition)
    tokenizer, reference = load_tokenizer(tmp_path), reference_of(tmp_path)
    head, (tail,) = tokenizer.encode("aa b"), tokenizer.encode_continuations(["aa b"])
    assert head == ids_of(reference, "aa b")
    assert tokenizer.decode(head + tail) == reference.decode(head) + "aa b" == " aa baa b"
    assert tokenizer.decode_continuation(tail) == "aa b"


def test_pieces_after_the_first_pre_tokenizer_keep_their_marks(tmp_path):
    """T5's form: whitespace is dropped, and each word gets a mark in front; without it words would run together."""
    marked = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    split = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, marked]}
    tokenizer = load_tokenizer(save_llama_tokenizer(tmp_path, normalizer=None, pre_tokenizer=split))
    assert tokenizer.encode_continuations(["ab  a"]) == [[263, 262]]


def test_without_a_rule_for_the_beginning_continuations_go_the_same_way(bpe):
    texts = TRICKY + CORPUS[:5]
    assert bpe.encode_continuations(texts) == bpe.encode_batch(texts)
    assert bpe._continuing is bpe._backend


@pytest.mark.parametrize("name", ["llama-2", "mistral-7b-v0.1", "smollm2", "qwen3"])
def test_real_tokenizers_spell_prompt_and_continuation_as_written(name):
    transformers = pytest.importorskip("transformers")
    path = SHARED / "real/tokenizers" / name
    if not path.is_dir():
        pytest.skip(f"{name} is not beside this checkout")
    tokenizer, auto = load_tokenizer(path), transformers.AutoTokenizer.from_pretrained(path)
    for prompt, response in [
        ("Who?\n", "I am."),
        ("Who?\nA:", " I am."),
        ("Who? A: ", "I am."),
        ("Hello th", "ere."),
        ("Q:\n", "\n\n  I  am"),
        ("caf", "é 👻"),
    ]:
        head, (tail,) = tokenizer.encode(prompt), tokenizer.encode_continuations([response])
        assert auto.decode(head + tail) == tokenizer.decode(head + tail) == prompt + response
        assert tokenizer.decode_continuation(tail) == response
        assert tokenizer.encode(prompt + response) == auto(prompt + response, add_special_tokens=False)["input_ids"]


def test_token_that_text_can_spell_is_refused_as_eos(spm):
    definition = json.loads((spm / "tokenizer.json").read_text())
    definition["added_tokens"][2]["special"] = False
    write(spm / "tokenizer.json", definition)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: the eos token '</s>' is not special"):
        load_tokenizer(spm)


@pytest.mark.skipif(not STORIES260K.is_dir(), reason="stories260k is not beside this checkout")
def test_stories260k_equals_tokenizers_and_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer, reference = load_tokenizer(STORIES260K), reference_of(STORIES260K)
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (512, 1, 2, 2)
    tokenizer.save(tmp_path)
    saved, own = (json.loads((path / "tokenizer.json").read_text()) for path in (tmp_path, STORIES260K))
    assert saved | {"post_processor": None} == own
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert (auto.bos_token_id, auto.eos_token_id, auto.pad_token_id, auto.unk_token_id) == (1, 2, 2, 0)
    for text in TRICKY + CORPUS[:5]:
        ids = tokenizer.encode(text)
        assert ids == ids_of(reference, text)
        assert tokenizer.decode(ids) == text
        if "</s>" not in text:
            assert auto(text, add_special_tokens=False)["input_ids"] == ids
            assert auto.decode(ids) == text


# --- what the files say about bos and eos


@pytest.mark.parametrize(
    ("config", "model_config"),
    [
        ({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}}, None),
        ({"bos_token": "<s>", "eos_token": "</s>"}, {"bos_token_id": 1, "eos_token_id": [0, 2]}),
        (None, {"bos_token_id": 1, "eos_token_id": [2]}),
        ({"pad_token": None}, {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}),
    ],
)
def test_bos_and_eos_from_names_or_ids(spm, config, model_config):
    tokenizer = load_with(spm, config, model_config)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (1, 2, 2)


def test_named_pad_token_is_used(spm):
    tokenizer = load_with(spm, {"pad_token": "<unk>"}, {"bos_token_id": 1, "eos_token_id": 2})
    assert tokenizer.pad_id == 0


def test_single_special_token_serves_for_all_three(folder, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (0, 0, 0)


@pytest.mark.parametrize(
    ("config", "model_config", "message"),
    [
        (
            None,
            None,
            r"no bos token; expected bos_token in tokenizer_config.json \(null for none\) or bos_token_id in config.json",
        ),
        ({"bos_token": "<s>"}, None, "no eos token"),
        (
            {"bos_token": "<bos>", "eos_token": "</s>"},
            None,
            r"tokenizer\.json: the bos token '<bos>' is not in",
        ),
        ({"bos_token": "<s>"}, {"eos_token_id": [1, 2]}, r"config\.json: eos_token_id \[1, 2\] is ambiguous"),
        (
            {"bos_token": "<s>", "eos_token": "</s>"},
            {"eos_token_id": 0},
            r"\[0\] contradicts eos_token '</s>' \(id 2\)",
        ),
        (
            None,
            {"bos_token_id": 1, "eos_token_id": 264},
            r"config\.json: eos_token_id \[264\] is not in the vocab",
        ),
        (None, {"bos_token_id": 1, "eos_token_id": "2"}, r"eos_token_id \['2'\] is not in the vocabulary"),
        (None, {"bos_token_id": -1, "eos_token_id": 2}, r"bos_token_id \[-1\] is not in the vocabulary"),
        ({"bos_token": 7}, None, r"tokenizer_config\.json: bos_token 7 is not a token"),
        ({"bos_token": {"id": 7}}, None, r"tokenizer_config\.json: bos_token .* is not a token"),
        ([], None, r"tokenizer_config\.json: expected a JSON object"),
    ],
)
def test_missing_or_contradicting_bos_and_eos_are_refused(spm, config, model_config, message):
    with pytest.raises(TokenizerError, match=message):
        load_with(spm, config, model_config)


def load_with(folder: Path, config, model_config) -> Tokenizer:
    (folder / "config.json").unlink()
    for name, value in (("tokenizer_config.json", config), ("config.json", model_config)):
        if value is not None:
            write(folder / name, value)
    return load_tokenizer(folder)


# --- damaged files


def test_missing_file_is_named(tmp_path):
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: no such file"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"model": {"type": "BPE"}}', b"\xff\xfe", b"[" * 10000])
def test_file_that_is_no_tokenizer_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: not "):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [b"[]", b"null"])
def test_json_that_is_no_object_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: expected a JSON object"):
        load_tokenizer(tmp_path)


def test_cut_off_file_is_named_wherever_it_is_cut(spm):
    path = spm / "tokenizer.json"
    whole = path.read_bytes()
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(TokenizerError, match=r"tokenizer\.json: not "):
            load_tokenizer(spm)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000])
def test_damaged_config_is_named(spm, content):
    (spm / "tokenizer_config.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer_config\.json: not "):
        load_tokenizer(spm)


def test_huge_file_is_refused_unread(tmp_path):
    with open(tmp_path / "tokenizer.json", "wb") as file:
        file.truncate(MAX_JSON + 1)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: larger than"):
        load_tokenizer(tmp_path)


def test_merge_of_unknown_tokens_is_named(spm):
    definition = json.loads((spm / "tokenizer.json").read_text())
    definition["model"]["merges"].append(["q", "z"])
    write(spm / "tokenizer.json", definition)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: not a complete tokenizer\.json: .*q"):
        load_tokenizer(spm)


def test_merge_that_panics_in_tokenizers_is_named(folder, tmp_path):
    definition = json.loads((folder / "tokenizer.json").read_text())
    definition["model"]["continuing_subword_prefix"] = "longer than the tokens that carry it"
    write(tmp_path / "tokenizer.json", definition)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: not a complete tokenizer\.json"):
        load_tokenizer(tmp_path)


def test_two_tokens_with_one_id_are_named(spm):
    definition = json.loads((spm / "tokenizer.json").read_text())
    definition["model"]["vocab"]["b"] = 260
    write(spm / "tokenizer.json", definition)
    with pytest.raises(TokenizerError, match=r"'[ab]' and '[ab]' share the id 260"):
        load_tokenizer(spm)


def test_added_token_whose_id_contradicts_the_vocabulary_is_named(spm):
    definition = json.loads((spm / "tokenizer.json").read_text())
    definition["added_tokens"][2]["id"] = 5
    write(spm / "tokenizer.json", definition)
    with pytest.raises(TokenizerError, match=r"added token '</s>' has id 5, the vocabulary says 2"):
        load_tokenizer(spm)
