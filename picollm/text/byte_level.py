"""Byte-level BPE as a tokenizer.json and as a tiktoken encoding, and when the two give the same ids.

tiktoken merges whatever adjacent pair spells the token of lowest rank; a tokenizer.json merges listed pairs
only, in the order of the list. The two agree on every text when the vocabulary has the four properties that
`tiktoken_encoding` checks.
"""

from itertools import pairwise
from typing import Any

import tiktoken
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from picollm.core.errors import TokenizerError
from picollm.core.files import END_OF_TEXT

# GPT-2's split, which ByteLevel applies, is
# 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
# Its \s+(?!\S) backtracks once per character and overflows tiktoken's stack on a long run of whitespace. The
# same pieces come without backtracking: a run at the end of the text whole, another run without its last
# character (counted in blocks, because each iteration takes a stack frame), a single one alone.
SPLIT = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++"
    r"|\s++$|(?=\s\s)(?:\s{256}(?=\s))*+(?:\s(?=\s))*+|\s"
)

# GPT-2's spelling of bytes: a printable Latin-1 character for its own byte, characters from 256 for the rest.
_PRINTABLE = [byte for byte in range(256) if chr(byte).isprintable() and byte != ord(" ")]
_HIDDEN = [byte for byte in range(256) if byte not in _PRINTABLE]
BYTE_OF = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + i): byte for i, byte in enumerate(_HIDDEN)}
CHARACTER_OF = {byte: character for character, byte in BYTE_OF.items()}


def byte_level_tokenizer(model: models.BPE) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def tokenizer_of(encoding: tiktoken.Encoding) -> tokenizers.Tokenizer:
    """The `tokenizers` form of an encoding with GPT-2's split and <|endoftext|> as its one special token."""
    ranks = {token: encoding.encode_single_token(token) for token in encoding.token_byte_values()}
    spelled = {token: "".join(CHARACTER_OF[byte] for byte in token) for token in ranks}
    merges = [
        (spelled[left], spelled[right])
        for left, right in (_last_merge(token, ranks) for token in sorted(ranks, key=ranks.get) if len(token) > 1)
    ]
    vocab = {spelled[token]: rank for token, rank in ranks.items()} | {END_OF_TEXT: encoding.eot_token}
    tokenizer = byte_level_tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer


def _last_merge(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two tokens that make `token`: merge its bytes, lowest rank first, until two parts are left."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        rank, place = min((ranks.get(left + right, ranks[token]), i) for i, (left, right) in enumerate(pairwise(parts)))
        if rank >= ranks[token]:
            raise TokenizerError(f"token {token!r} is not the merge of two tokens of lower rank")
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def tiktoken_encoding(tokenizer: tokenizers.Tokenizer, definition: dict[str, Any]) -> tiktoken.Encoding | None:
    """The encoding that gives the ids of `tokenizer` on every text, or None if there is none.

    `definition` is the content of the tokenizer's tokenizer.json. Beyond the byte-level form the two agree if
    (1) every byte is a token and every longer token is the product of exactly one merge, (2) ids rise with the
    order of merges, (3) the parts of a merge come before it, (4) the bytes of each token merge into that token
    alone. Proof: let tokens x and y be adjacent while a text is merged, and let xy be a token. No merge has
    crossed the ends of xy, so its bytes have been merged as they are alone; alone they end as one token, so the
    step from [x, y] is a listed merge, and by (1) the merge of xy. tiktoken and the list therefore see the same
    candidates in the same order at every step, and by (4) tiktoken's shortcut for a piece that is a token
    changes nothing.
    """
    if not _is_plain_byte_level(definition):
        return None
    vocab, merges = definition["model"]["vocab"], definition["model"]["merges"]
    special = {token["content"]: token["id"] for token in definition["added_tokens"]}
    tokens = {token: i for token, i in vocab.items() if token not in special}
    products = [tokens.get(left + right, -1) for left, right in merges]
    longer = {i for token, i in tokens.items() if len(token) > 1}
    agrees = (
        all(character in BYTE_OF for token in tokens for character in token)
        and all(character in tokens for character in BYTE_OF)
        and set(products) == longer
        and all(earlier < later for earlier, later in pairwise(products))
        and all(
            len(part) == 1 or tokens.get(part, product) < product
            for merge, product in zip(merges, products, strict=True)
            for part in merge
        )
        and set(tokens.values()) | set(special.values()) == set(range(len(tokens) + len(special)))
        and all(len(tokenizer.model.tokenize(token)) == 1 for token in tokens)
    )
    if not agrees:
        return None
    ranks = {bytes(BYTE_OF[c] for c in token): i for token, i in tokens.items()}
    return tiktoken.Encoding("picollm", pat_str=SPLIT, mergeable_ranks=ranks, special_tokens={})


def _is_plain_byte_level(definition: dict[str, Any]) -> bool:
    model, split, decoder = definition["model"], definition["pre_tokenizer"] or {}, definition["decoder"] or {}
    changes = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
    return (
        model["type"] == "BPE"
        and not any(model[change] for change in changes)
        and definition["normalizer"] is None
        and split.get("type") == decoder.get("type") == "ByteLevel"
        and split["use_regex"]
        and not split["add_prefix_space"]
        and all(token["special"] for token in definition["added_tokens"])
    )
