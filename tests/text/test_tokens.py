import json

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from picollm.core.errors import DataError
from picollm.text.tokenizer import load_tokenizer, train_bpe
from picollm.text.tokens import TokenCounts, Tokens, write_tokens

BYTES = train_bpe(iter(["ab"]), 257)  # ids 1 to 256 are bytes; printable ASCII begins with "!" = 1, so a = 65


def test_documents_stand_between_bos_and_eos(tmp_path):
    path = tmp_path / "train.npy"
    counts = write_tokens(iter([["ab", "é"], ["c"]]), BYTES, path)
    a, b, c = (ord(letter) - ord("!") + 1 for letter in "abc")
    first, second = BYTES.encode("é")
    ids, offsets = np.load(path), np.load(tmp_path / "train.offsets.npy")
    assert counts == TokenCounts(documents=3, tokens=11, utf8_bytes=5)
    assert ids.tolist() == [0, a, b, 0, 0, first, second, 0, 0, c, 0]
    assert offsets.tolist() == [0, 4, 8, 11]
    assert (ids.dtype, offsets.dtype) == (np.uint16, np.int64)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["train.npy", "train.offsets.npy"]


def test_without_bos_the_first_token_of_a_document_is_not_counted_as_predicted(tmp_path):
    BYTES.save(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"add_bos_token": False}))
    counts = write_tokens(iter([["abc", "d"]]), load_tokenizer(tmp_path), tmp_path / "train.npy")
    assert counts == TokenCounts(documents=2, tokens=6, utf8_bytes=2)  # b and c; the targets are these and two eos


def test_tokens_are_mapped_and_read_by_document(tmp_path):
    texts = [f"document {place}" for place in range(300)]
    write_tokens((texts[start : start + 7] for start in range(0, 300, 7)), BYTES, tmp_path / "t.npy")
    tokens = Tokens(tmp_path / "t.npy")
    assert len(tokens) == 300
    assert isinstance(tokens.ids, np.memmap)
    assert tokens.lengths.tolist() == [len(text) + 2 for text in texts]
    for place in (0, 7, 299):
        document = tokens.ids[tokens.offsets[place] : tokens.offsets[place + 1]]
        assert document.tolist() == [0, *BYTES.encode(texts[place]), 0]


def test_batching_does_not_change_the_files(tmp_path):
    texts = [f"{place} lanterns" for place in range(50)]
    write_tokens(iter([texts]), BYTES, tmp_path / "one.npy")
    write_tokens(([text] for text in texts), BYTES, tmp_path / "many.npy")
    for suffix in (".npy", ".offsets.npy"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"many{suffix}").read_bytes()


@pytest.mark.parametrize(("size", "dtype"), [(65535, np.uint16), (65536, np.uint32), (70000, np.uint32)])
def test_vocabularies_from_65536_take_four_bytes(tmp_path, size, dtype):
    vocab = {"<|endoftext|>": 0, "a": size - 1} | {f"#{i}": i for i in range(1, size - 1)}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(False), decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    write_tokens(iter([["aa"]]), load_tokenizer(tmp_path), tmp_path / "t.npy")
    ids = Tokens(tmp_path / "t.npy").ids
    assert ids.dtype == dtype
    assert ids.tolist() == [0, size - 1, size - 1, 0]


@pytest.mark.parametrize("batches", [[["ab", ""]], [["ab"], [" \n"]], [], [[]]])
def test_empty_documents_and_corpora_leave_nothing(tmp_path, batches):
    with pytest.raises(DataError, match=r"t\.npy: (document 2 of the corpus has no text|the corpus has no documents)"):
        write_tokens(iter(batches), BYTES, tmp_path / "t.npy")
    assert list(tmp_path.iterdir()) == []


def test_error_of_the_source_leaves_earlier_files_as_they_were(tmp_path):
    def texts():
        yield ["new"]
        raise DataError("row 2")

    write_tokens(iter([["old"]]), BYTES, tmp_path / "t.npy")
    with pytest.raises(DataError, match="row 2"):
        write_tokens(texts(), BYTES, tmp_path / "t.npy")
    assert Tokens(tmp_path / "t.npy").ids.tolist() == [0, *BYTES.encode("old"), 0]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["t.npy", "t.offsets.npy"])
def test_missing_cut_or_foreign_files_are_named(tmp_path, name):
    write_tokens(iter([["some text"]]), BYTES, tmp_path / "t.npy")
    path = tmp_path / name
    whole = path.read_bytes()
    for content in (whole[:-2], whole[:40], b"", b"text", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=name):
            Tokens(tmp_path / "t.npy")
    np.save(path, np.zeros(11))
    with pytest.raises(DataError, match=f"{name}: expected one dimension of"):
        Tokens(tmp_path / "t.npy")
    path.unlink()
    with pytest.raises(DataError, match=f"{name}: .*No such file"):
        Tokens(tmp_path / "t.npy")


@pytest.mark.parametrize("offsets", [[0], [1, 6], [0, 5], [0, 7, 6], [0, 1, 6], []])
def test_offsets_that_do_not_fit_the_tokens_are_refused(tmp_path, offsets):
    np.save(tmp_path / "t.npy", np.zeros(6, np.uint16))
    np.save(tmp_path / "t.offsets.npy", np.array(offsets, np.int64))
    with pytest.raises(DataError, match=r"t\.(offsets\.)?npy: "):
        Tokens(tmp_path / "t.npy")
