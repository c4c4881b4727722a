"""The tables of data sources: a new source is a module in this package and its line in one of these tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from picollm.datagen.sources import rows, templates, text_files, tinystories


@dataclass(frozen=True)
class Source:
    """A source of data. `settings` is the type of its own key, which has the source's name, if it has one."""

    make: Callable
    settings: Any = None


# corpus.source: make(Corpus, Specifications, split) -> iterator of stories
STORIES = {
    "everyday": Source(templates.stories),
    "tinystories": Source(tinystories.stories, tinystories.TinyStories),
    "files": Source(text_files.stories, text_files.Pattern),
}
# sft.source: make(SftData, Specifications) -> {split: [SFTRecord]}
SFT = {"templates": Source(templates.sft_rows), "jsonl": Source(rows.sft_rows)}
# preferences.source: make(Preferences, Specifications) -> {split: [PreferenceRecord]}
PREFERENCES = {
    "templates": Source(templates.preference_pairs),
    "policy": Source(templates.preference_pairs),  # of these the stage candidates takes the prompts
    "jsonl": Source(rows.preference_pairs),
}
