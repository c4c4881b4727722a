"""Preference labels by a published rule: Bradley & Terry (1952) on dread, as Rafailov et al. (2023, eq. 1) write it."""

import math
from collections.abc import Sequence
from random import Random

from picollm.records.jsonl import PreferenceRecord


def preference_probability(score: float, other: float, temperature: float) -> float:
    """Probability that the rule prefers a story of dread `score` to one of dread `other`; temperature > 0."""
    difference = (score - other) / temperature
    # Both branches avoid the overflow of exp for large arguments.
    if difference >= 0:
        return 1 / (1 + math.exp(-difference))
    return math.exp(difference) / (1 + math.exp(difference))


def label_pair(
    id: str,
    prompt: str,
    stories: tuple[str, str],
    scores: tuple[float, float],
    temperature: float,
    stratum: str,
    rng: Random,
) -> PreferenceRecord:
    """Draw the label of a pair, so that some labels contradict the rule's ordering.

    The record's `p_chosen` is the probability of the label as it was drawn: below one half, the label is flipped.
    """
    probability = preference_probability(*scores, temperature)
    first_wins = rng.random() < probability
    chosen, rejected = (0, 1) if first_wins else (1, 0)
    return PreferenceRecord(
        id=id,
        prompt=prompt,
        input=prompt,
        chosen=stories[chosen],
        rejected=stories[rejected],
        chosen_score=scores[chosen],
        rejected_score=scores[rejected],
        p_chosen=probability if first_wins else 1 - probability,
        stratum=stratum,
    )


def ceiling(records: Sequence[PreferenceRecord]) -> float:
    """Mean of max(p, 1 - p): no model can expect a higher accuracy on freshly labelled pairs.

    `records`: at least one, each with a `p_chosen`.
    """
    return sum(max(record.p_chosen, 1 - record.p_chosen) for record in records) / len(records)


def flipped_share(records: Sequence[PreferenceRecord]) -> float:
    """Share of pairs whose label contradicts the rule's ordering; `records` as in `ceiling`."""
    return sum(record.p_chosen < 0.5 for record in records) / len(records)
