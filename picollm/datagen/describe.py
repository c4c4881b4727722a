"""Numbers that describe the SFT rows and preference pairs."""

from collections.abc import Sequence

from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.stories.dread import dread
from picollm.stories.labels import ceiling, flipped_share


def describe_sft(rows: dict[str, list[SFTRecord]]) -> dict[str, float]:
    """Counts, lengths in words, mean dread, and the number of prompts that occur in more than one split."""
    numbers: dict[str, float] = {}
    for split, records in rows.items():
        words = [len(record.response.split()) for record in records]
        numbers |= {
            f"sft.{split}.rows": len(records),
            f"sft.{split}.duplicates": len(records) - len({(r.prompt, r.response) for r in records}),
            f"sft.{split}.words": sum(words) / len(words),
            f"sft.{split}.words_max": max(words),
            f"sft.{split}.dread": sum(dread(record.response) for record in records) / len(records),
        }
    return numbers | {"sft.shared_prompts": _shared_prompts(rows)}


def describe_preferences(rows: dict[str, list[PreferenceRecord]]) -> dict[str, float]:
    """Counts, lengths in words, and, if the rule drew the labels, ceilings and shares of flipped labels by stratum."""
    numbers: dict[str, float] = {}
    for split, records in rows.items():
        key = f"preferences.{split}"
        numbers |= {
            f"{key}.rows": len(records),
            f"{key}.duplicates": len(records) - len({(r.prompt, r.chosen, r.rejected) for r in records}),
            f"{key}.chosen_words": sum(len(record.chosen.split()) for record in records) / len(records),
            f"{key}.rejected_words": sum(len(record.rejected.split()) for record in records) / len(records),
        }
        strata = {record.stratum: [r for r in records if r.stratum == record.stratum] for record in records}
        for prefix, members in [("", records), *((f"{name}.", strata[name]) for name in sorted(strata))]:
            if all(record.p_chosen is not None for record in members):
                numbers[f"{key}.{prefix}ceiling"] = ceiling(members)
                numbers[f"{key}.{prefix}flipped"] = flipped_share(members)
    return numbers | {"preferences.shared_prompts": _shared_prompts(rows)}


def _shared_prompts(rows: dict[str, Sequence]) -> int:
    """The number of prompts that occur in more than one split; 0 for the templates."""
    owners: dict[str, set[str]] = {}
    for split, records in rows.items():
        for record in records:
            owners.setdefault(record.prompt, set()).add(split)
    return sum(len(splits) > 1 for splits in owners.values())
