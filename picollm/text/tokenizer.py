"""Text to ids and back: one tokenizer.json, run through tiktoken where it can be, else through `tokenizers`.

tiktoken merges whatever adjacent pair spells the token of lowest rank; a tokenizer.json merges listed pairs
only, in the order of the list. The two agree on every text when the vocabulary has the four properties that
`_ranks` checks, so a vocabulary goes through tiktoken only if it has them.
"""

import json
import os
import stat
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import tiktoken
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from picollm.core.errors import DataError, TokenizerError, shown
from picollm.core.files import has_half_characters, read_json, write_atomic, write_json

END_OF_TEXT = "<|endoftext|>"
TOKENIZER_FILE, CONFIG_FILE, MODEL_CONFIG_FILE = "tokenizer.json", "tokenizer_config.json", "config.json"
ROLES = ("bos", "eos", "pad")
MAX_BYTES = 256 * 2**20
MAX_VOCABULARY = 2**24
DOWNLOAD_SECONDS = 60
CHUNK = 64  # texts that one thread encodes at a time

# GPT-2's split, which ByteLevel applies, is
# 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
# Its \s+(?!\S) backtracks once per character and overflows tiktoken's stack on a long run of blanks. The same
# pieces come without backtracking: a run at the end of the text whole, another run up to its last blank
# (counted in blocks, because each turn of a loop takes a place on the stack), a single blank alone.
SPLIT = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++"
    r"|\s++$|(?=\s\s)(?:\s{256}(?=\s))*+(?:\s(?=\s))*+|\s"
)

# GPT-2's spelling of bytes: a printable Latin-1 character for its own byte, characters from 256 for the rest.
_PRINTABLE = [byte for byte in range(256) if chr(byte).isprintable() and byte != ord(" ")]
_HIDDEN = [byte for byte in range(256) if byte not in _PRINTABLE]
BYTE_OF = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + i): byte for i, byte in enumerate(_HIDDEN)}
CHARACTER_OF = {byte: character for character, byte in BYTE_OF.items()}


@dataclass(frozen=True)
class _TiktokenBackend:
    encoding: tiktoken.Encoding

    def encode(self, text: str) -> list[int]:
        return self.encoding.encode_ordinary(text)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        # encode_ordinary_batch hands over one text at a time, which costs more than encoding a short one.
        chunks = (texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            encoded = pool.map(lambda chunk: [self.encode(text) for text in chunk], chunks)
            return list(chain.from_iterable(encoded))

    def decode(self, ids: list[int]) -> str:
        return self.encoding.decode(ids, errors="replace")


@dataclass(frozen=True)
class _TokenizersBackend:
    tokenizer: tokenizers.Tokenizer

    def encode(self, text: str) -> list[int]:
        with _library_errors("a text cannot be encoded"):
            return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        with _library_errors("a text cannot be encoded"):
            return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: list[int]) -> str:
        with _library_errors("ids cannot be decoded"):
            return self.tokenizer.decode(ids, skip_special_tokens=False)


@contextmanager
def _library_errors(what: str) -> Iterator[None]:
    """What `tokenizers` cannot do becomes a TokenizerError: it raises bare Exceptions, or a Rust panic that is not even one."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise TokenizerError(f"{what}: {error!s:.300}") from None


class Tokenizer:
    """Ordinary text to ids and back. Text never becomes a special token, whatever characters it holds."""

    def __init__(self, definition: str, tokenizer: tokenizers.Tokenizer, names: dict[str, str], config: dict):
        """`definition` is the text of tokenizer.json and `tokenizer` what it says, `names` the bos, eos and
        pad tokens, `config` what else tokenizer_config.json says."""
        ids = tokenizer.get_vocab(with_added_tokens=True)
        for role in ROLES:
            if names[role] not in ids:
                raise TokenizerError(f"the {role} token {shown(names[role])} is not in the tokenizer's vocabulary")
        self.vocab_size = max(ids.values()) + 1
        self.bos_id, self.eos_id, self.pad_id = (ids[names[role]] for role in ROLES)
        self._definition = definition
        self._config = {
            "clean_up_tokenization_spaces": False,
            **config,
            "tokenizer_class": "PreTrainedTokenizerFast",
            **{f"{role}_token": names[role] for role in ROLES},
        }
        self._special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        self._special |= {self.bos_id, self.eos_id, self.pad_id}
        ranks = _ranks(tokenizer)
        self._backend = _TokenizersBackend(tokenizer) if ranks is None else _TiktokenBackend(_encoding(ranks))
        for role in ROLES:
            if ids[names[role]] in self._backend.encode(names[role]):
                raise TokenizerError(f"the {role} token {shown(names[role])} is not special: text can spell it")

    def encode(self, text: str) -> list[int]:
        _check_text(text)
        return self._backend.encode(text)

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of each text, in the order of the texts; runs on all cores."""
        texts = list(texts)
        for text in texts:
            _check_text(text)
        return self._backend.encode_batch(texts)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` without special tokens; bytes that are not UTF-8 become U+FFFD."""
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise TokenizerError(f"token id {i} is outside the vocabulary of {self.vocab_size} tokens")
        return self._backend.decode([i for i in ids if i not in self._special])

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, which transformers' AutoTokenizer reads."""
        with write_atomic(Path(folder) / TOKENIZER_FILE) as file:
            file.write(self._definition)
        write_json(Path(folder) / CONFIG_FILE, self._config)


def train_bpe(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE: id 0 is <|endoftext|> (bos, eos and pad), then the 256 bytes, then the merges.

    The same texts give the same tokenizer. A corpus with too few distinct pairs gives fewer than `vocab_size`
    tokens.
    """
    if vocab_size < 257:
        raise TokenizerError(f"vocabulary {vocab_size}: expected at least 257 (256 bytes and one special token)")
    tokenizer = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=sys.stderr.isatty(),
    )
    tokenizer.train_from_iterator(_some(texts), trainer)
    return _own(tokenizer)


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Read `folder`/tokenizer.json; tokenizer_config.json (names) or config.json (ids) there tell bos, eos.

    Raises TokenizerError where a file is missing, damaged or too large, or where the files name no bos or eos
    token or contradict each other.
    """
    path = Path(folder) / TOKENIZER_FILE
    definition = _read_text(path)
    tokenizer = _parse(definition, path)
    config = _read_optional(path.with_name(CONFIG_FILE))
    if has_half_characters(json.dumps(config, ensure_ascii=False)):
        raise TokenizerError(f"{path.with_name(CONFIG_FILE)}: holds half of a surrogate pair, which is no text")
    model_config = _read_optional(path.with_name(MODEL_CONFIG_FILE))
    names = {role: _special_token(role, tokenizer, config, model_config, path) for role in ("bos", "eos")}
    names["pad"] = _config_name("pad", config, path) or names["eos"]
    try:
        return Tokenizer(definition, tokenizer, names, config)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None


def gpt2_tokenizer() -> Tokenizer:
    """GPT-2's own vocabulary of 50257 tokens, from tiktoken's cache or download."""
    return from_encoding(_download_gpt2())


def from_encoding(encoding: tiktoken.Encoding) -> Tokenizer:
    """The tokenizer of a tiktoken encoding with GPT-2's split and <|endoftext|> as its one special token."""
    ranks = {token: encoding.encode_single_token(token) for token in encoding.token_byte_values()}
    spelled = {token: "".join(CHARACTER_OF[byte] for byte in token) for token in ranks}
    merges = [
        (spelled[left], spelled[right])
        for left, right in (_last_merge(token, ranks) for token in sorted(ranks, key=ranks.get) if len(token) > 1)
    ]
    vocab = {spelled[token]: rank for token, rank in ranks.items()} | {END_OF_TEXT: encoding.eot_token}
    tokenizer = _byte_level(models.BPE(vocab=vocab, merges=merges))
    tokenizer.add_special_tokens([END_OF_TEXT])
    return _own(tokenizer)


def _last_merge(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two tokens that make `token`: merge its bytes, lowest rank first, until its own is left."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        rank, place = min((ranks.get(left + right, ranks[token]), i) for i, (left, right) in enumerate(pairwise(parts)))
        if rank >= ranks[token]:
            raise TokenizerError(f"token {token!r} is not the merge of two tokens of lower rank")
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def _download_gpt2() -> tiktoken.Encoding:
    outcome: list[tiktoken.Encoding | OSError | ValueError] = []

    def fetch() -> None:
        try:
            outcome.append(tiktoken.get_encoding("gpt2"))
        except (OSError, ValueError) as error:
            outcome.append(error)

    # tiktoken downloads without a time limit; a daemon thread cannot hold up the process that gives up on it.
    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(DOWNLOAD_SECONDS)
    reason = outcome[0] if outcome else f"no answer within {DOWNLOAD_SECONDS} seconds"
    if isinstance(reason, tiktoken.Encoding):
        return reason
    raise TokenizerError(
        f"tokenizer gpt2: tiktoken cannot download it ({reason}). Set TIKTOKEN_CACHE_DIR to a folder that "
        "holds its files (tiktoken.get_encoding('gpt2') fills that folder on a machine with network), "
        "or use tokenizer: bpe"
    )


def _byte_level(model: models.BPE) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _own(tokenizer: tokenizers.Tokenizer) -> Tokenizer:
    tokenizer.encode_special_tokens = True
    return Tokenizer(tokenizer.to_str(pretty=True), tokenizer, dict.fromkeys(ROLES, END_OF_TEXT), {})


def _encoding(ranks: dict[bytes, int]) -> tiktoken.Encoding:
    return tiktoken.Encoding("picollm", pat_str=SPLIT, mergeable_ranks=ranks, special_tokens={})


def _some(texts: Iterable[str]) -> Iterator[str]:
    empty = True
    for text in texts:
        empty = False
        yield text
    if empty:
        raise TokenizerError("the tokenizer cannot be trained: the corpus has no text")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TokenizerError(f"text with a lone surrogate at character {error.start} has no UTF-8 form") from None


def _ranks(tokenizer: tokenizers.Tokenizer) -> dict[bytes, int] | None:
    """The id of each token's bytes if tiktoken gives the ids of `tokenizer` on every text, else None.

    Beyond the byte-level form that is so when (1) every byte is a token and every longer token is the product
    of exactly one merge, (2) ids rise with the order of merges, (3) the parts of a merge come before it, (4)
    the bytes of each token merge into that token alone. Then let tokens x and y stand side by side while a
    text is merged, and let xy be a token. No merge has crossed the ends of xy, so its bytes have gone the way
    they go alone; alone they end as one token, so the step from [x, y] is a listed merge, and by (1) the
    merge of xy. tiktoken and the list therefore see the same candidates in the same order at every step, and
    by (4) tiktoken's shortcut for a piece that is a token changes nothing.
    """
    with _library_errors("cannot be written"):
        form = json.loads(tokenizer.to_str())
    if not _is_plain_byte_level(form):
        return None
    vocab, merges = form["model"]["vocab"], form["model"]["merges"]
    special = {token["content"]: token["id"] for token in form["added_tokens"]}
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
    return {bytes(BYTE_OF[c] for c in token): i for token, i in tokens.items()} if agrees else None


def _is_plain_byte_level(form: dict[str, Any]) -> bool:
    model, split, decoder = form["model"], form["pre_tokenizer"] or {}, form["decoder"] or {}
    changes = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
    return (
        model["type"] == "BPE"
        and not any(model[change] for change in changes)
        and form["normalizer"] is None
        and split.get("type") == decoder.get("type") == "ByteLevel"
        and split["use_regex"]
        and not split["add_prefix_space"]
        and all(token["special"] for token in form["added_tokens"])
    )


def _parse(definition: str, source: Path) -> tokenizers.Tokenizer:
    with _library_errors(f"{source}: not a whole tokenizer.json"):
        tokenizer = tokenizers.Tokenizer.from_str(definition)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # special tokens in a text are ordinary characters
    token_of: dict[int, str] = {}
    for token, i in tokenizer.get_vocab(with_added_tokens=True).items():
        if token_of.setdefault(i, token) != token:
            raise TokenizerError(f"{source}: tokens {shown(token_of[i])} and {shown(token)} share the id {i}")
        if i >= MAX_VOCABULARY:
            raise TokenizerError(f"{source}: token {shown(token)} has id {i}; expected ids below {MAX_VOCABULARY}")
    for added in _read_object(source).get("added_tokens") or []:
        if (i := tokenizer.token_to_id(added["content"])) != added["id"]:
            raise TokenizerError(
                f"{source}: added token {shown(added['content'])} has id {added['id']}, the vocabulary says {i}"
            )
    return tokenizer


def _special_token(role: str, tokenizer: tokenizers.Tokenizer, config: dict, model_config: dict, path: Path) -> str:
    """The bos or eos token: named in tokenizer_config.json, or an id in config.json, or the only special."""
    key = f"{role}_token_id"
    where = path.with_name(MODEL_CONFIG_FILE)
    ids = model_config.get(key)
    ids = ids if isinstance(ids, list) else [] if ids is None else [ids]
    if any(type(i) is not int or not 0 <= i < MAX_VOCABULARY or tokenizer.id_to_token(i) is None for i in ids):
        raise TokenizerError(f"{where}: {key} {shown(ids)} is not in the vocabulary of {path.name}")
    if name := _config_name(role, config, path):
        if ids and tokenizer.token_to_id(name) not in ids:
            raise TokenizerError(
                f"{where}: {key} {shown(ids)} contradicts {role}_token {shown(name)} "
                f"(id {tokenizer.token_to_id(name)}) in {CONFIG_FILE}"
            )
        return name
    if len(ids) > 1:
        raise TokenizerError(f"{where}: {key} {shown(ids)} is ambiguous; name the {role}_token in {CONFIG_FILE}")
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    names = [tokenizer.id_to_token(i) for i in ids] or special
    if len(names) != 1:
        raise TokenizerError(
            f"{path.parent}: no {role} token; expected {role}_token in {CONFIG_FILE} or {key} in {MODEL_CONFIG_FILE}"
        )
    return names[0]


def _config_name(role: str, config: dict[str, Any], path: Path) -> str | None:
    """The token that tokenizer_config.json names for `role`, either as a string or as {"content": string}."""
    value = config.get(f"{role}_token")
    name = value.get("content") if isinstance(value, dict) else value
    if value is not None and not isinstance(name, str):
        raise TokenizerError(f"{path.with_name(CONFIG_FILE)}: {role}_token {shown(value)} is not a token")
    return name


def _read_text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
            raise TokenizerError(f"{path}: not a regular file")
        if status.st_size > MAX_BYTES:
            raise TokenizerError(f"{path}: {status.st_size} bytes, more than the {MAX_BYTES} that a tokenizer may have")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TokenizerError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path}: not UTF-8 at byte {error.start}") from None


def _read_optional(path: Path) -> dict[str, Any]:
    """The JSON object of `path`; empty where there is no such file."""
    return _read_object(path) if path.exists() else {}


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except DataError as error:
        raise TokenizerError(str(error)) from None
    if not isinstance(value, dict):
        raise TokenizerError(f"{path}: expected a JSON object")
    return value
