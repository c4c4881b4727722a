"""The SFT rows, preference pairs, monitor pairs and prompts that make_datasets writes."""

from picollm.datagen.settings import Preferences, SftData
from picollm.datagen.sources import PREFERENCES, SFT, rows, templates
from picollm.datagen.sources.templates import Specifications
from picollm.records.jsonl import PreferenceRecord, SFTRecord


def make_sft(settings: SftData, specs: Specifications) -> dict[str, list[SFTRecord]]:
    """SFT rows by split."""
    return SFT[settings.source].make(settings, specs)


def make_preferences(settings: Preferences, specs: Specifications) -> dict[str, list[PreferenceRecord]]:
    """Preference pairs by split."""
    return PREFERENCES[settings.source].make(settings, specs)


def make_monitor(settings: SftData, specs: Specifications) -> list[PreferenceRecord]:
    """The few pairs whose accuracy is followed during SFT; none if `sft.monitor` is null."""
    if settings.monitor is None:
        return []
    if settings.source == "templates":
        return templates.monitor_pairs(settings, specs)
    return rows.monitor_pairs(settings)


def make_prompts(sft: dict[str, list[SFTRecord]]) -> list[dict[str, str]]:
    """What the sample stage completes: {id, split, prompt} of the test rows and, if there are any, the unseen ones."""
    return [
        {"id": record.id, "split": split, "prompt": record.prompt}
        for split in ("test", "unseen")
        for record in sft.get(split, [])
    ]
