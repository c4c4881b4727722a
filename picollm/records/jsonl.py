"""SFTRecord and PreferenceRecord: the public JSONL formats, one JSON object per line."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from picollm.core.errors import DataError, shown
from picollm.core.files import END_OF_TEXT, has_lone_surrogate, read_jsonl

PROMPT_KEYS = ("prompt", "input")
RESPONSE_KEYS = ("response", "completion", "output")
CHAT_KEYS = ("messages", "conversations", *PROMPT_KEYS, *RESPONSE_KEYS, "chosen", "rejected")
OWN_STRATUM = "own"  # of pairs without a stratum


@dataclass(frozen=True)
class SFTRecord:
    """A prompt and its target response.

    `input` repeats the prompt. `origin` is the user's file and line ("data/raw/sft.jsonl:12"), None for a generated row.
    """

    id: str
    prompt: str
    input: str
    response: str
    origin: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return _to_dict(self)


@dataclass(frozen=True)
class PreferenceRecord:
    """A prompt with a preferred and a rejected response.

    The scores are the true reward of each response. `p_chosen` is the probability of this label under the labelling rule, None if
    the label was not drawn by the rule. `input` and `origin` are as in SFTRecord.
    """

    id: str
    prompt: str
    input: str
    chosen: str
    rejected: str
    chosen_score: float
    rejected_score: float
    p_chosen: float | None
    stratum: str
    origin: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return _to_dict(self)


def _to_dict(record: SFTRecord | PreferenceRecord) -> dict[str, Any]:
    """The JSONL row of a record, with `origin` only if it is not None."""
    return {key: value for key, value in asdict(record).items() if key != "origin" or value is not None}


def parse_sft_row(row: dict[str, Any], where: str, id: str, origin: str | None) -> SFTRecord:
    """The record of a JSONL row: the prompt under one of PROMPT_KEYS, the response under one of RESPONSE_KEYS.

    `id` is the default if the row has none; unknown keys are ignored. Raises DataError naming `where` (file and line), the key
    and what was expected.
    """
    _refuse_other_formats(row, where)
    prompt = _prompt(row, where)
    found = [key for key in RESPONSE_KEYS if key in row]
    if len(found) != 1:
        raise DataError(f"{where}: expected one of the keys {', '.join(RESPONSE_KEYS)}; found {_keys(row)}")
    return SFTRecord(_id(row, where, id), prompt, prompt, _text(row, found[0], where), origin)


def parse_preference_row(
    row: dict[str, Any], where: str, id: str, origin: str | None, score: Callable[[str], float]
) -> PreferenceRecord:
    """The record of a JSONL row: the prompt as in `parse_sft_row`, the responses under `chosen` and `rejected`.

    `chosen_score`, `rejected_score`, `p_chosen` and `stratum` are optional; `score` computes missing scores. Raises DataError
    as `parse_sft_row` does.
    """
    _refuse_other_formats(row, where)
    prompt = _prompt(row, where)
    chosen, rejected = (_text(row, key, where) for key in ("chosen", "rejected"))
    if chosen == rejected:
        raise DataError(f"{where}: chosen and rejected are equal; expected two different responses")
    scores = [
        score(text) if row.get(key) is None else _number(row, key, where)
        for key, text in (("chosen_score", chosen), ("rejected_score", rejected))
    ]
    p_chosen = None if row.get("p_chosen") is None else _number(row, "p_chosen", where)
    if p_chosen is not None and not 0 <= p_chosen <= 1:
        raise DataError(f"{where}: p_chosen: {p_chosen}; expected a probability in [0, 1]")
    stratum = _text(row, "stratum", where) if "stratum" in row else OWN_STRATUM
    if not stratum.isidentifier():  # becomes part of metric names
        raise DataError(f"{where}: stratum: {shown(stratum)}; expected a word of letters, digits and _, no digit first")
    return PreferenceRecord(_id(row, where, id), prompt, prompt, chosen, rejected, *scores, p_chosen, stratum, origin)


def read_sft(path: str | Path) -> list[SFTRecord]:
    """The records of a file written by make_datasets. Raises DataError naming file and line."""
    return _read(path, parse_sft_row)


def read_preferences(path: str | Path) -> list[PreferenceRecord]:
    """The pairs, with their scores, of a file written by make_datasets. Raises DataError naming file and line."""

    def no_score(text: str) -> float:
        raise DataError(f"{path}: a row without chosen_score or rejected_score; run make_datasets again")

    return _read(path, partial(parse_preference_row, score=no_score))


def _read(path: str | Path, parse: Callable) -> list:
    lines: dict[str, int] = {}
    records = []
    for line, row in read_jsonl(path):
        record = parse(row, f"{path}:{line}", f"row-{line}", row.get("origin"))
        if record.id in lines:
            raise DataError(f"{path}:{line}: id {shown(record.id)} is used in line {lines[record.id]} too")
        lines[record.id] = line
        records.append(record)
    return records


def _keys(row: dict[str, Any]) -> str:
    return ", ".join(row)[:200] or "no keys"


def _prompt(row: dict[str, Any], where: str) -> str:
    found = [key for key in PROMPT_KEYS if key in row]
    if not found:
        raise DataError(f"{where}: expected a key prompt or input; found {_keys(row)}")
    texts = [_text(row, key, where) for key in found]
    if len(texts) == 2 and texts[0] != texts[1]:
        raise DataError(f"{where}: prompt and input differ; give one of them, or the same text in both")
    return texts[0]


def _text(row: dict[str, Any], key: str, where: str) -> str:
    if key not in row:
        raise DataError(f"{where}: key {key} is missing; found {_keys(row)}")
    value = row[key]
    if not isinstance(value, str):
        raise DataError(f"{where}: {key}: expected text, found {shown(value)}")
    if not value.strip():
        raise DataError(f"{where}: {key}: the text is empty or blank")
    if has_lone_surrogate(value):
        raise DataError(f"{where}: {key}: holds a lone surrogate, which UTF-8 cannot encode")
    if END_OF_TEXT in value:
        raise DataError(f"{where}: {key}: holds {END_OF_TEXT}; remove it: the end of a response is added in training")
    return value


def _number(row: dict[str, Any], key: str, where: str) -> float:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: {key}: {shown(value)}; expected a number")
    return float(value)


def _id(row: dict[str, Any], where: str, id: str) -> str:
    value = id if row.get("id") is None else row["id"]
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise DataError(f"{where}: id: {shown(value)}; expected text or an integer")
    return str(value)


def _refuse_other_formats(row: dict[str, Any], where: str) -> None:
    """Raise DataError for formats that would be misread: TRL's conversational format and Alpaca's instructions."""
    if "instruction" in row and "prompt" not in row:
        raise DataError(
            f"{where}: instruction: Alpaca's format; expected one prompt per row: join instruction and input under the key "
            "prompt"
        )
    for key in CHAT_KEYS:
        value = row.get(key)
        if isinstance(value, list) and (not value or isinstance(value[0], dict)):
            raise DataError(
                f"{where}: {key}: TRL's conversational format (a list of messages); expected plain text: join the messages "
                "into one prompt and one response per row"
            )
