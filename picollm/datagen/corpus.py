"""The pretraining corpus: a mix of sources, written as a parquet file."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from picollm.core.errors import DataError
from picollm.core.files import END_OF_TEXT, write_atomic
from picollm.datagen.settings import Corpus
from picollm.datagen.sources import STORIES
from picollm.datagen.sources.templates import Specifications
from picollm.records.parquet import COLUMN

BATCH_ROWS = 1000


def corpus_texts(settings: Corpus, specs: Specifications, split: str) -> Iterator[tuple[str, str]]:
    """(source, text) of one split of the pretraining corpus."""
    weights = settings.weights.model_dump() if settings.source == "mix" else {settings.source: 1.0}
    sources = {name: partial(_stories, name, settings, specs, split) for name in weights if weights[name] > 0}
    return mix(sources, weights, settings.count(split), specs.rng(f"corpus {split} mix"))


def _stories(name: str, settings: Corpus, specs: Specifications, split: str) -> Iterator[str]:
    """The stories of one source, those with `<|endoftext|>` divided at it: the model must never learn it as letters."""
    for text in STORIES[name].make(settings, specs, split):
        if END_OF_TEXT in text:
            yield from filter(None, map(str.strip, text.split(END_OF_TEXT)))
        else:
            yield text


def mix(
    sources: dict[str, Callable[[], Iterator[str]]], weights: dict[str, float], count: int, rng: Random
) -> Iterator[tuple[str, str]]:
    """`count` texts as (source, text), each from a source drawn by weight: weights are shares of texts.

    Sources are functions that return an iterator. They are called again when it is exhausted, so that their texts repeat
    (`write_corpus` counts duplicates). Raises DataError for a source without any text.
    """
    names = sorted(sources)
    chances = [weights[name] for name in names]
    iterators: dict[str, Iterator[str]] = {}
    for _ in range(count):
        name = rng.choices(names, chances)[0]
        text = next(iterators[name], None) if name in iterators else None
        if text is None:
            iterators[name] = iter(sources[name]())
            text = next(iterators[name], None)
        if text is None:
            raise DataError(
                f"corpus source {name}: no text for this split; expected two stories or more, or files of both splits"
            )
        yield name, text


def write_corpus(path: str | Path, texts: Iterator[tuple[str, str]]) -> dict[str, Any]:
    """Write (source, text) pairs as a parquet file with one column `text`; return counts.

    `duplicates` counts texts that occurred before (by the first 64 bits of their SHA-256).
    """
    counts: dict[str, Any] = {"documents": 0, "duplicates": 0, "words": 0, "bytes": 0}
    seen: set[bytes] = set()
    schema = pa.schema([(COLUMN, pa.string())])
    with write_atomic(path, "wb") as file, pq.ParquetWriter(file, schema) as writer:
        for batch in _batches(texts):
            writer.write_table(pa.table({COLUMN: [text for _, text in batch]}, schema=schema))
            for source, text in batch:
                raw = text.encode()
                digest = hashlib.sha256(raw).digest()[:8]
                counts["documents"] += 1
                counts["duplicates"] += digest in seen
                counts["words"] += len(text.split())
                counts["bytes"] += len(raw)
                counts[f"from_{source}"] = counts.get(f"from_{source}", 0) + 1
                seen.add(digest)
    return counts


def _batches(texts: Iterator) -> Iterator[list]:
    batch = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch
