"""SFTRecord and PreferenceRecord: the public JSONL formats, one JSON object a line."""

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from picollm.core.errors import DataError, shown
from picollm.core.files import has_half_characters, read_jsonl

PROMPT_KEYS = ("prompt", "input")
RESPONSE_KEYS = ("response", "completion", "output")
CHAT_KEYS = ("messages", "conversations", *PROMPT_KEYS, *RESPONSE_KEYS, "chosen", "rejected")
OWN_STRATUM = "own"


@dataclass(frozen=True)
class SFTRecord:
    """A prompt and the response to learn; `input` repeats the prompt."""

    id: str
    prompt: str
    input: str
    response: str
    origin: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "origin" or value}


@dataclass(frozen=True)
class PreferenceRecord:
    """Two responses to one prompt. `p_chosen` is the probability with which the rule labels the pair as it is labelled,
    None where no rule drew the label; the scores are the dread of each response."""

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
        return {key: value for key, value in asdict(self).items() if key != "origin" or value}


def parse_sft_row(row: dict[str, Any], where: str, id: str) -> SFTRecord:
    """A row of a user's file: the prompt under `prompt` or `input`, the response under `response`, `completion` or
    `output`. `id` serves a row that has none of its own; keys of other names are ignored.

    Raises DataError naming `where` (file and line), the key and what is wrong with it.
    """
    _refuse_other_forms(row, where)
    prompt = _prompt(row, where)
    found = [key for key in RESPONSE_KEYS if key in row]
    if len(found) != 1:
        named = f"has {' and '.join(found)}" if found else "has none of them"
        raise DataError(f"{where}: expected one of {', '.join(RESPONSE_KEYS)}; the row {named}")
    return SFTRecord(_id(row, where, id), prompt, prompt, _text(row, found[0], where))


def parse_preference_row(row: dict[str, Any], where: str, id: str, score: Callable[[str], float]) -> PreferenceRecord:
    """A row of a user's file: the prompt as in `parse_sft_row`, the responses under `chosen` and `rejected`.

    `chosen_score`, `rejected_score`, `p_chosen` and `stratum` may be given; scores that are not come from `score`.
    """
    _refuse_other_forms(row, where)
    prompt = _prompt(row, where)
    chosen, rejected = (_text(row, key, where) for key in ("chosen", "rejected"))
    if chosen == rejected:
        raise DataError(f"{where}: chosen and rejected are equal")
    scores = [
        score(text) if row.get(key) is None else _number(row, key, where, -sys.float_info.max, sys.float_info.max)
        for key, text in (("chosen_score", chosen), ("rejected_score", rejected))
    ]
    p_chosen = None if row.get("p_chosen") is None else _number(row, "p_chosen", where, 0.0, 1.0)
    stratum = _text(row, "stratum", where) if "stratum" in row else OWN_STRATUM
    if not stratum.isidentifier():
        raise DataError(f"{where}: stratum: {shown(stratum)}; expected a word of letters, digits and _, no digit first")
    return PreferenceRecord(_id(row, where, id), prompt, prompt, chosen, rejected, *scores, p_chosen, stratum)


def read_sft(path: str | Path) -> list[SFTRecord]:
    """The records of a file that make_datasets wrote."""
    return _unique(
        ((parse_sft_row(row, f"{path}:{line}", f"row-{line}"), line) for line, row in read_jsonl(path)), path
    )


def read_preferences(path: str | Path) -> list[PreferenceRecord]:
    """The pairs of a file that make_datasets wrote, scores included."""

    def no_score(text: str) -> float:
        raise DataError(f"{path}: a row without chosen_score or rejected_score; run make_datasets again")

    return _unique(
        (
            (parse_preference_row(row, f"{path}:{line}", f"row-{line}", no_score), line)
            for line, row in read_jsonl(path)
        ),
        path,
    )


def _unique(records: Iterable[tuple[Any, int]], path: str | Path) -> list:
    lines: dict[str, int] = {}
    members = []
    for record, line in records:
        if record.id in lines:
            raise DataError(f"{path}:{line}: id {shown(record.id)} stands in line {lines[record.id]} too")
        lines[record.id] = line
        members.append(record)
    if not members:
        raise DataError(f"{path}: holds no rows")
    return members


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
        raise DataError(f"{where}: {key}: the text is empty")
    if has_half_characters(value):
        raise DataError(f"{where}: {key}: holds half of a surrogate pair, which is no text")
    return value


def _number(row: dict[str, Any], key: str, where: str, low: float, high: float) -> float:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        limits = f" in [{low:g}, {high:g}]" if high - low < math.inf else ""
        raise DataError(f"{where}: {key}: {shown(value)}; expected a number{limits}")
    return float(value)


def _id(row: dict[str, Any], where: str, id: str) -> str:
    value = row.get("id", id)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value or has_half_characters(value):
        raise DataError(f"{where}: id: {shown(value)}; expected text or a whole number")
    return value


def _refuse_other_forms(row: dict[str, Any], where: str) -> None:
    """Forms that are common elsewhere and would be misread here: TRL's conversations, Alpaca's instructions."""
    if "instruction" in row and "prompt" not in row:
        raise DataError(
            f"{where}: instruction: Alpaca's form. picollm reads one prompt a row: join instruction and input under "
            "the key prompt"
        )
    for key in CHAT_KEYS:
        value = row.get(key)
        if isinstance(value, list) and (not value or isinstance(value[0], dict)):
            raise DataError(
                f"{where}: {key}: TRL's conversational form (a list of messages). picollm reads plain text: join the "
                "messages into one prompt and one response a row"
            )
