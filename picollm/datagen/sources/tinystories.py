"""TinyStories (Eldan & Li, 2023), or a data set of the same layout, from the Hugging Face hub or a folder in data/raw/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from picollm.core.config import Settings, Text
from picollm.core.errors import DataError
from picollm.datagen.sources.own_files import RAW, in_raw, is_linked
from picollm.records.parquet import COLUMN

if TYPE_CHECKING:
    from picollm.datagen.settings import Corpus
    from picollm.datagen.sources.templates import Specifications


def _expect_hub_id_or_in_raw(path: str) -> str:
    if os.path.isdir(path) and (not in_raw(path) or _has_links(path)):
        raise ValueError(
            f"DVC does not see changes in this folder: copy it to {RAW}/NAME, or give the id of a hub data set"
        )
    return path


def _has_links(path: str) -> bool:
    folders = (os.path.join(parent, name) for parent, names, _ in os.walk(path) for name in names)
    return is_linked(path) or any(map(is_linked, folders))


class TinyStories(Settings):
    path: Annotated[Text, AfterValidator(_expect_hub_id_or_in_raw)]
    revision: Text


def stories(settings: Corpus, specs: Specifications, split: str) -> Iterator[str]:
    """The stories of one split, read with `datasets`; the revision applies to a hub data set.

    Raises DataError, with what to do, if the data set cannot be loaded.
    """
    import datasets  # takes seconds to import, and only this source needs it
    from huggingface_hub.errors import HfHubHTTPError
    from yaml import YAMLError  # of the metadata in a data set's README.md

    path = settings.tinystories.path
    pinned = {} if os.path.isdir(path) else {"revision": settings.tinystories.revision}
    failures = (OSError, ValueError, RuntimeError, HfHubHTTPError, datasets.exceptions.DatasetsError, YAMLError)
    try:
        rows = datasets.load_dataset(path, split=split, **pinned)
    except failures as error:
        raise DataError(
            f"corpus.tinystories.path: {path}: split {split} cannot be loaded ({type(error).__name__}: {error!s:.500}). "
            f"Expected a hub data set, which needs the network, or a folder in {RAW}/ with train-*.parquet and "
            f"validation-*.parquet, column {COLUMN}"
        ) from None
    if COLUMN not in rows.column_names:
        raise DataError(f"{path}: expected a column {COLUMN}, found {', '.join(rows.column_names)}")
    dtype = getattr(rows.features[COLUMN], "dtype", None)
    if dtype not in ("string", "large_string", "string_view"):
        raise DataError(f"{path}: column {COLUMN}: expected strings, found {dtype}")
    return (row[COLUMN] for row in rows if row[COLUMN] and row[COLUMN].strip())
