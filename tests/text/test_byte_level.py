import json
from itertools import chain

import pytest
import tiktoken
import tokenizers
from hypothesis import given, settings

from picollm.core.errors import TokenizerError
from picollm.text.tokenizer import Tokenizer, from_encoding, load_tokenizer
from tests.texts import CORPUS, LIKELY_TEXT, TRICKY, ids_of, reference_of


@pytest.fixture(scope="module")
def reference(folder) -> tokenizers.Tokenizer:
    return reference_of(folder)


def runs_through_tiktoken(tokenizer: Tokenizer) -> bool:
    return hasattr(tokenizer._backend, "encoding")


def test_trained_and_loaded_byte_level_tokenizers_run_through_tiktoken(bpe, folder):
    assert runs_through_tiktoken(bpe)
    assert runs_through_tiktoken(load_tokenizer(folder))


@settings(max_examples=300, deadline=None)
@given(LIKELY_TEXT)
def test_ids_equal_those_of_tokenizers_and_decode_to_the_text(bpe, reference, text):
    ids = bpe.encode(text)
    assert ids == ids_of(reference, text)
    assert bpe.decode(ids) == text


@pytest.mark.parametrize("text", TRICKY + CORPUS[:5])
def test_ids_equal_those_of_tokenizers_on_tricky_text(bpe, reference, text):
    assert bpe.encode(text) == ids_of(reference, text)
    assert bpe.decode(bpe.encode(text)) == text


@pytest.mark.parametrize("blank", [" ", "\n", "\u3000"])
@pytest.mark.parametrize("length", [1, 2, 3, 255, 256, 257, 258, 512, 513, 514])
def test_runs_of_blanks_are_split_as_tokenizers_splits_them(bpe, reference, blank, length):
    for text in (
        blank * length + "a",
        "a" + blank * length,
        blank * length + "\n!",
        "x" + blank * length + "1",
    ):
        assert bpe.encode(text) == ids_of(reference, text)


def test_very_long_runs_neither_overflow_nor_differ(bpe, reference):
    for text in ("ab" * 50_000, "\r\n" * 50_000 + " x"):
        assert bpe.encode(text) == ids_of(reference, text)
    blanks = " " * 1_200_000 + "a"  # more than the places on the stack of tiktoken's regular expressions
    assert bpe.decode(bpe.encode(blanks)) == blanks


def test_every_code_point_falls_into_the_same_piece_as_in_tokenizers(tmp_path):
    """Merges of a letter, a digit and a mark with every byte that can start a character show each split."""
    starts = [byte for byte in range(256) if byte < 0x80 or 0xC2 <= byte < 0xF5]
    ranks = {bytes([byte]): byte for byte in range(256)}
    for first in b"a1!":
        ranks |= {bytes([first, start]): len(ranks) + place for place, start in enumerate(starts)}
    encoding = tiktoken.Encoding(
        "pairs", pat_str=".", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": len(ranks)}
    )
    tokenizer = from_encoding(encoding)
    assert runs_through_tiktoken(tokenizer)
    tokenizer.save(tmp_path)
    # Ideographs, syllables and far planes come in blocks of one category: some of each are enough.
    whole = [range(0x3400), range(0xA000, 0xAC00), range(0xD7A4, 0xD800), range(0xF900, 0x20000)]
    sampled = [range(0x3400, 0xA000, 10), range(0xAC00, 0xD7A4, 10), range(0x20000, 0x110000, 499)]
    points = [*chain.from_iterable(whole + sampled)]
    texts = ["".join(f"a{chr(p)}1{chr(p)}!{chr(p)}" for p in points[i : i + 512]) for i in range(0, len(points), 512)]
    expected = reference_of(tmp_path).encode_batch_fast(texts, add_special_tokens=False)
    assert tokenizer.encode_batch(texts) == [encoding.ids for encoding in expected]


@pytest.mark.parametrize(
    ("longer", "merges", "expected"),
    [
        # Alone, the bytes of abc end as a, bc; tiktoken takes a piece that is a token for that token.
        ({"bc": 257, "ab": 258, "abc": 259}, ["b c", "a b", "ab c"], ["a", "bc"]),
        # The list merges b, c first, tiktoken the pair of the lower id.
        ({"ab": 257, "bc": 258}, ["b c", "a b"], ["a", "bc"]),
        # abc is made of a, bc or of ab, c; of the latter only after the former.
        ({"ab": 257, "bc": 258, "abc": 259}, ["a b", "b c", "a bc", "ab c"], ["abc"]),
        # A part of abc comes after it.
        ({"abc": 257, "ab": 258}, ["ab c", "a b"], ["abc"]),
        # abc is the product of no merge.
        ({"abc": 257}, [], ["a", "b", "c"]),
    ],
    ids=["bytes end otherwise", "ids fall", "two merges", "a part comes later", "no merge"],
)
def test_vocabularies_that_tiktoken_might_merge_otherwise_go_through_tokenizers(
    tmp_path, folder, longer, merges, expected
):
    definition = json.loads((folder / "tokenizer.json").read_text())
    vocab = {token: i for token, i in definition["model"]["vocab"].items() if i <= 256} | longer
    definition["model"] |= {"vocab": vocab, "merges": [merge.split() for merge in merges]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("abc") == [vocab[token] for token in expected] == ids_of(reference_of(tmp_path), "abc")
    assert not runs_through_tiktoken(tokenizer)


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "NFC"}},
        {
            "pre_tokenizer": {
                "type": "ByteLevel",
                "add_prefix_space": True,
                "trim_offsets": True,
                "use_regex": True,
            }
        },
        {
            "pre_tokenizer": {
                "type": "ByteLevel",
                "add_prefix_space": False,
                "trim_offsets": True,
                "use_regex": False,
            }
        },
    ],
)
def test_other_byte_level_forms_keep_the_ids_of_tokenizers(tmp_path, folder, change):
    definition = json.loads((folder / "tokenizer.json").read_text()) | change
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition))
    tokenizer, reference = load_tokenizer(tmp_path), reference_of(tmp_path)
    for text in TRICKY + CORPUS[:5]:
        assert tokenizer.encode(text) == ids_of(reference, text)


def test_tiktoken_encoding_becomes_a_tokenizer_json_with_its_ids(bpe, tmp_path):
    """Ranks from 0 and the special token last, as in GPT-2."""
    own = bpe._backend.encoding
    ranks = {token: own.encode_single_token(token) - 1 for token in own.token_byte_values()}
    encoding = tiktoken.Encoding(
        "local", pat_str=own._pat_str, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": len(ranks)}
    )
    tokenizer = from_encoding(encoding)
    tokenizer.save(tmp_path)
    assert (tokenizer.vocab_size, tokenizer.eos_id) == (400, 399)
    assert runs_through_tiktoken(tokenizer)
    reference = reference_of(tmp_path)
    for text in TRICKY + CORPUS[:5]:
        assert tokenizer.encode(text) == encoding.encode_ordinary(text) == ids_of(reference, text)


def test_ranks_that_no_merges_give_are_refused():
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"abc": 256}
    encoding = tiktoken.Encoding("x", pat_str=".", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 257})
    with pytest.raises(TokenizerError, match="b'abc'"):
        from_encoding(encoding)
