"""SFT rows and preference pairs from the user's JSONL files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from picollm.core.errors import DataError, shown
from picollm.core.files import read_jsonl
from picollm.datagen.sources.own_files import RAW, find_files, is_held_out, named_split, named_splits
from picollm.records.jsonl import PreferenceRecord, SFTRecord, parse_preference_row, parse_sft_row
from picollm.stories.dread import dread

if TYPE_CHECKING:
    from picollm.datagen.settings import Preferences, SftData
    from picollm.datagen.sources.templates import Specifications

SPLITS = ("train", "validation", "test")
SFT_ROWS = "SFT rows (JSON Lines with the keys prompt and response)"
PAIRS = "preference pairs (JSON Lines with the keys prompt, chosen and rejected)"


def sft_rows(settings: SftData, specs: Specifications) -> dict[str, list[SFTRecord]]:
    """The rows of `sft.files` by split."""
    return read_rows("sft.files", settings.files, SFT_ROWS, parse_sft_row, SPLITS)


def preference_pairs(settings: Preferences, specs: Specifications) -> dict[str, list[PreferenceRecord]]:
    """The pairs of `preferences.files` by split; missing scores are the rule's rewards of the responses."""
    parse = partial(parse_preference_row, score=settings.rule.reward)
    return read_rows("preferences.files", settings.files, PAIRS, parse, SPLITS)


def monitor_pairs(settings: SftData) -> list[PreferenceRecord]:
    """The first of the pairs that `sft.monitor` names."""
    expected = f"{PAIRS}, or null in place of the pattern for no monitor curve"
    parse = partial(parse_preference_row, score=dread)
    pairs = read_rows("sft.monitor", settings.monitor, expected, parse, ("validation",))["validation"]
    return pairs[: settings.monitor_pairs]


def read_rows(key: str, pattern: str, expected: str, parse: Callable, splits: Sequence[str]) -> dict[str, list]:
    """Records by split, from the files that `pattern` matches; `parse` takes (row, where, id, origin).

    Files whose names give a split belong to it. The rows of files without one are divided 80 : 10 : 10 by a hash of their
    prompt, so that equal prompts share a split; if only one split is asked for, they are all of it, and may be mixed with
    named files. Rows of splits that are not asked for are checked and left out. Prints how many prompts of the other splits
    are in train too.

    Raises DataError, naming the parameter `key` or file and line, if no file matches, only some names give a split, a row is
    bad, an id occurs twice in a split, or one of `splits` is empty.
    """
    records: dict[str, list] = {split: [] for split in splits}
    places: dict[tuple[str, str], str] = {}
    paths = find_files(key, pattern, expected)
    only = splits[0] if len(splits) == 1 else None
    split_of_file = {path: named_split(path) or only for path in paths} if only else named_splits(key, paths)
    for path in paths:
        for number, row in read_jsonl(path):
            place = f"{path}:{number}"
            record = parse(row, place, f"{path.relative_to(RAW)}:{number}", place)
            split = split_of_file[path] or _split_of(record.prompt)
            other = places.setdefault((split, record.id), place)
            if other != place:
                raise DataError(
                    f"{place}: id {shown(record.id)} is used at {other} too; expected one id a row and split"
                )
            if split in records:
                records[split].append(record)
    for split in splits:
        if not records[split]:
            raise DataError(
                f"{key}: {pattern}: no rows for the {split} split; add a file with _{split} in its name, or more rows to "
                "divide"
            )
    _report_shared_prompts(key, records)
    return records


def _report_shared_prompts(key: str, records: dict[str, list]) -> None:
    prompts = {split: {record.prompt for record in members} for split, members in records.items()}
    train = prompts.pop("train", set())
    for split, members in prompts.items():
        if shared := len(members & train):
            print(f"{key}: {shared} of {len(members)} prompts of the {split} split are also in train")


def _split_of(prompt: str) -> str:
    if is_held_out(f"test {prompt}", 0.1):
        return "test"
    return "validation" if is_held_out(f"validation {prompt}", 1 / 9) else "train"
