"""The reference log-probs that every DPO run on the same pairs shares."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from picollm.core import files
from picollm.core.errors import DataError
from picollm.records.jsonl import PreferenceRecord


def read_reference(path: str | Path, records: Sequence[PreferenceRecord]) -> np.ndarray:
    """The reference log-probs [pairs, 2] that belong to these pairs, in their order.

    Raises DataError unless the file holds exactly their ids, in the same order.
    """
    logps = np.empty((len(records), 2), dtype=np.float64)
    row = -1
    for row, (line, entry) in enumerate(files.read_jsonl(path)):
        if row >= len(records):
            raise DataError(f"{path}:{line}: more rows than there are pairs ({len(records)}); run the reference stage")
        if entry.get("id") != records[row].id:
            raise DataError(f"{path}:{line}: id {entry.get('id')!r}, expected {records[row].id!r}: not these pairs")
        for column, key in enumerate(("chosen_logps", "rejected_logps")):
            value = entry.get(key)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise DataError(f"{path}:{line}: {key}: {value!r}; expected a number")
            logps[row, column] = value
    if row + 1 != len(records):
        raise DataError(f"{path}: {row + 1} rows, expected {len(records)}: not these pairs")
    return logps
