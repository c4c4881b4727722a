"""Text to ids and back: one tokenizer.json, run through tiktoken if that gives the same ids, else through `tokenizers`."""

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import tiktoken
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from picollm.core.errors import DataError, TokenizerError, shown
from picollm.core.files import END_OF_TEXT, has_lone_surrogate, read_json, write_json
from picollm.text.byte_level import byte_level_tokenizer, tiktoken_encoding, tokenizer_of

TOKENIZER_FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
MODEL_CONFIG_FILE, GENERATION_FILE = "config.json", "generation_config.json"
ROLES = ("bos", "eos", "pad")
MAX_VOCABULARY = 2**24
DOWNLOAD_SECONDS = 60
CHUNK = 64  # texts that one thread encodes at a time

# What a tokenizer.json puts in front of a text or, decoding, takes away there, and the setting that turns it off.
PREFIX_RULES_OFF = {
    "normalizer": {"Prepend": {"prepend": ""}},
    "pre_tokenizer": {"Metaspace": {"prepend_scheme": "never"}, "ByteLevel": {"add_prefix_space": False}},
    "decoder": {"Metaspace": {"prepend_scheme": "never"}, "Strip": {"start": 0}},
}


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
    """Ordinary text to ids and back. Text never becomes a special token, whatever characters it holds.

    A sequence is bos, if the tokenizer has one, a text that begins it (a prompt) and a text that continues it (a response). Some
    tokenizers (Llama 2, Mistral) put a space in front of a text; a continuation gets none, so that the ids of
    the sequence spell the two texts as written.
    """

    def __init__(
        self,
        tokenizer: tokenizers.Tokenizer,
        names: dict[str, str | None],
        config: dict[str, Any],
        stop_ids: Sequence[int] = (),
    ):
        """`names` are the bos, eos and pad tokens, bos None if there is none; `config` the other keys of tokenizer_config.json;
        `stop_ids` the tokens besides eos at which the model stops."""
        ids = tokenizer.get_vocab(with_added_tokens=True)
        roles = [role for role in ROLES if names[role] is not None]
        for role in roles:
            if names[role] not in ids:
                raise TokenizerError(f"the {role} token {shown(names[role])} is not in the tokenizer's vocabulary")
        self.vocab_size = max(ids.values()) + 1
        self.bos_id, self.eos_id, self.pad_id = (ids.get(names[role]) for role in ROLES)
        self.bos = [] if self.bos_id is None else [self.bos_id]  # what every sequence begins with
        self.stop_ids = list(dict.fromkeys([self.eos_id, *stop_ids]))
        self._special = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        self._special |= {*self.bos, self.eos_id, self.pad_id}
        with _library_errors("cannot be written"):
            definition = json.loads(tokenizer.to_str())
        self._definition = definition | {
            "post_processor": _take_post_processor(tokenizer, definition["post_processor"], names["bos"])
        }
        definition["post_processor"] = None
        continuing = _without_prefix_rules(definition)
        self._backend = self._continuing = _backend(tokenizer, definition)
        if continuing != definition:
            self._continuing = _backend(_parse(continuing, "cannot be read back"), continuing)
        for role in roles:
            if ids[names[role]] in self._backend.encode(names[role]):
                raise TokenizerError(f"the {role} token {shown(names[role])} is not special: text can spell it")
        self._config = {
            "clean_up_tokenization_spaces": False,
            **config,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": bool(self.bos),
            "add_eos_token": False,
            **{f"{role}_token": names[role] for role in roles},
        }

    def encode(self, text: str) -> list[int]:
        """The ids of a text that begins a sequence, without bos."""
        _check_text(text)
        return self._backend.encode(text)

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of texts each of which begins a sequence, without bos, in their order; runs on all cores."""
        return self._backend.encode_batch(_checked(texts))

    def encode_continuations(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of texts each of which continues a sequence, without eos, in their order; runs on all cores."""
        return self._continuing.encode_batch(_checked(texts))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` from the beginning of a sequence.

        Special tokens and ids above the vocabulary (of a padded embedding) have no text; bytes that are not
        UTF-8 become U+FFFD.
        """
        return self._backend.decode(self._ordinary(ids))

    def decode_continuation(self, ids: Sequence[int]) -> str:
        """The text that `ids` add to that of the ids before them; otherwise as `decode`."""
        return self._continuing.decode(self._ordinary(ids))

    def _ordinary(self, ids: Sequence[int]) -> list[int]:
        return [i for i in map(int, ids) if i < self.vocab_size and i not in self._special]

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, with which transformers' AutoTokenizer puts bos, if any, in front."""
        write_json(Path(folder) / TOKENIZER_FILE, self._definition)
        write_json(Path(folder) / CONFIG_FILE, self._config)


def train_bpe(texts: Iterator[str], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE: id 0 is <|endoftext|> (bos, eos and pad), then the 256 bytes, then the merges.

    The same texts give the same tokenizer. A corpus with too few distinct pairs gives fewer than `vocab_size`
    tokens.
    """
    if vocab_size < 257:
        raise TokenizerError(f"vocabulary {vocab_size}: expected at least 257 (256 bytes and one special token)")
    tokenizer = byte_level_tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=sys.stderr.isatty(),
    )
    tokenizer.train_from_iterator(_non_empty(texts), trainer)
    return _with_end_of_text(tokenizer)


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Read `folder`/tokenizer.json; tokenizer_config.json (names) or config.json (ids) there tell bos, eos.

    There is no bos if tokenizer_config.json has a bos_token of null, or add_bos_token: false, whatever config.json says. A list of
    eos ids in config.json or generation_config.json holds further tokens at which the model stops. Raises TokenizerError if a file is
    missing, damaged or too large, or if the files name no bos or eos token or contradict each other.
    """
    path = Path(folder) / TOKENIZER_FILE
    tokenizer = _read_tokenizer(path)
    config = _read_optional(path.with_name(CONFIG_FILE))
    if has_lone_surrogate(json.dumps(config, ensure_ascii=False)):
        raise TokenizerError(f"{path.with_name(CONFIG_FILE)}: contains a lone surrogate, which UTF-8 cannot encode")
    model_config = _read_optional(path.with_name(MODEL_CONFIG_FILE))
    without_bos = config.get("bos_token", "") is None or config.get("add_bos_token") is False
    names = {"bos": None if without_bos else _special_token("bos", tokenizer, config, model_config, path)}
    names["eos"] = _special_token("eos", tokenizer, config, model_config, path)
    names["pad"] = _config_name("pad", config, path) or names["eos"]
    stop_ids = _ids("eos", tokenizer, model_config, path.with_name(MODEL_CONFIG_FILE))
    generation = path.with_name(GENERATION_FILE)
    stop_ids += _ids("eos", tokenizer, _read_optional(generation), generation)
    try:
        return Tokenizer(tokenizer, names, config, stop_ids)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None


def gpt2_tokenizer() -> Tokenizer:
    """GPT-2's own vocabulary of 50257 tokens, from tiktoken's cache or download."""
    return from_encoding(_download_gpt2())


def from_encoding(encoding: tiktoken.Encoding) -> Tokenizer:
    """The tokenizer of a tiktoken encoding with GPT-2's split and <|endoftext|> as its one special token."""
    return _with_end_of_text(tokenizer_of(encoding))


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


def _with_end_of_text(tokenizer: tokenizers.Tokenizer) -> Tokenizer:
    tokenizer.encode_special_tokens = True
    return Tokenizer(tokenizer, dict.fromkeys(ROLES, END_OF_TEXT), {})


def _non_empty(texts: Iterable[str]) -> Iterator[str]:
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
        raise TokenizerError(f"a lone surrogate at character {error.start}, which UTF-8 cannot encode") from None


def _checked(texts: Iterable[str]) -> list[str]:
    texts = list(texts)
    for text in texts:
        _check_text(text)
    return texts


def _backend(tokenizer: tokenizers.Tokenizer, definition: dict[str, Any]) -> _TiktokenBackend | _TokenizersBackend:
    encoding = tiktoken_encoding(tokenizer, definition)
    return _TokenizersBackend(tokenizer) if encoding is None else _TiktokenBackend(encoding)


def _without_prefix_rules(definition: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer.json with PREFIX_RULES_OFF, for a text that continues another."""
    return definition | {key: _with_rules(definition[key], rules) for key, rules in PREFIX_RULES_OFF.items()}


def _with_rules(part: dict[str, Any] | None, rules: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """A component, and the members of its Sequences, with the settings that `rules` has for their types."""
    if part is None:
        return None
    changed: dict[str, Any] = {
        key: [_with_rules(member, rules) for member in part[key]] for key in ("normalizers", "decoders") if key in part
    }
    if "pretokenizers" in part:  # those after the first see pieces, not the beginning of a text
        changed["pretokenizers"] = [
            *(_with_rules(member, rules) for member in part["pretokenizers"][:1]),
            *part["pretokenizers"][1:],
        ]
    return part | changed | rules.get(part["type"], {})


def _take_post_processor(
    tokenizer: tokenizers.Tokenizer, current: dict[str, Any] | None, bos: str | None
) -> dict[str, Any] | None:
    """Replace the tokenizer's post-processor by none, and return one that adds bos, if any, in front: `current` if it does that."""
    front = [] if bos is None else [tokenizer.token_to_id(bos)]
    with _library_errors("a text cannot be encoded"):
        processed = tokenizer.encode("a").ids
        tokenizer.post_processor = None
        if processed == [*front, *tokenizer.encode("a").ids]:
            return current
    if bos is None:
        return None
    first, second = (
        [{"SpecialToken": {"id": bos, "type_id": place}}, {"Sequence": {"id": name, "type_id": place}}]
        for place, name in enumerate("AB")
    )
    template = {
        "type": "TemplateProcessing",
        "single": first,
        "pair": first + second,
        "special_tokens": {bos: {"id": bos, "ids": front, "tokens": [bos]}},
    }
    members = [] if current is None else current.get("processors", [current])
    offsets = [member for member in members if member["type"] == "ByteLevel"]  # changes no ids
    return {"type": "Sequence", "processors": [*offsets, template]} if offsets else template


def _read_tokenizer(path: Path) -> tokenizers.Tokenizer:
    definition = _read_object(path)
    tokenizer = _parse(definition, f"{path}: not a complete tokenizer.json")
    token_of: dict[int, str] = {}
    for token, i in tokenizer.get_vocab(with_added_tokens=True).items():
        if token_of.setdefault(i, token) != token:
            raise TokenizerError(f"{path}: tokens {shown(token_of[i])} and {shown(token)} share the id {i}")
        if i >= MAX_VOCABULARY:
            raise TokenizerError(f"{path}: token {shown(token)} has id {i}; expected ids below {MAX_VOCABULARY}")
    for added in definition.get("added_tokens") or []:
        if (i := tokenizer.token_to_id(added["content"])) != added["id"]:
            raise TokenizerError(
                f"{path}: added token {shown(added['content'])} has id {added['id']}, the vocabulary says {i}"
            )
    return tokenizer


def _parse(definition: dict[str, Any], problem: str) -> tokenizers.Tokenizer:
    with _library_errors(problem):
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(definition, ensure_ascii=False))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # special tokens in a text are ordinary characters
    return tokenizer


def _special_token(role: str, tokenizer: tokenizers.Tokenizer, config: dict, model_config: dict, path: Path) -> str:
    """The bos or eos token: named in tokenizer_config.json, or an id in config.json, or the only special."""
    key = f"{role}_token_id"
    where = path.with_name(MODEL_CONFIG_FILE)
    ids = _ids(role, tokenizer, model_config, where)
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
            f"{path.parent}: no {role} token; expected {role}_token in {CONFIG_FILE}{' (null for none)' * (role == 'bos')} or {key} in "
            f"{MODEL_CONFIG_FILE}"
        )
    return names[0]


def _ids(role: str, tokenizer: tokenizers.Tokenizer, config: dict[str, Any], path: Path) -> list[int]:
    """The ids of `role` in the content `config` of `path`, which may be one, a list or missing."""
    key = f"{role}_token_id"
    ids = config.get(key)
    ids = ids if isinstance(ids, list) else [] if ids is None else [ids]
    if any(type(i) is not int or not 0 <= i < MAX_VOCABULARY or tokenizer.id_to_token(i) is None for i in ids):
        raise TokenizerError(f"{path}: {key} {shown(ids)} is not in the vocabulary of {TOKENIZER_FILE}")
    return ids


def _config_name(role: str, config: dict[str, Any], path: Path) -> str | None:
    """The token that tokenizer_config.json names for `role`, either as a string or as {"content": string}."""
    value = config.get(f"{role}_token")
    name = value.get("content") if isinstance(value, dict) else value
    if value is not None and not isinstance(name, str):
        raise TokenizerError(f"{path.with_name(CONFIG_FILE)}: {role}_token {shown(value)} is not a token")
    return name


def _read_optional(path: Path) -> dict[str, Any]:
    """The JSON object of `path`; empty if there is no such file."""
    return _read_object(path) if path.exists() else {}


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except DataError as error:
        raise TokenizerError(str(error)) from None
    if not isinstance(value, dict):
        raise TokenizerError(f"{path}: expected a JSON object")
    return value
