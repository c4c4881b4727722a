"""Preference labels from the Bradley-Terry model (1952; Rafailov et al. 2023, eq. 1) with the rule's reward."""

import math
from collections.abc import Sequence
from random import Random

from picollm.records.jsonl import PreferenceRecord


def preference_probability(score: float, other: float, temperature: float) -> float:
    """Probability that a story of reward `score` is preferred to one of reward `other`; temperature > 0."""
    difference = (score - other) / temperature
    # Each branch keeps the argument of exp negative, so that it cannot overflow.
    if difference >= 0:
        return 1 / (1 + math.exp(-difference))
    return math.exp(difference) / (1 + math.exp(difference))


def label_pair(
    id: str,
    prompt: str,
    stories: tuple[str, str],
    scores: tuple[float, float],
    temperature: float,
    noise: float,
    stratum: str,
    rng: Random,
) -> PreferenceRecord:
    """Draw the label of a pair at random, so that some labels contradict the order of the scores.

    Afterwards a label is flipped with probability `noise`. The record's `p_chosen` is the probability of the label with both; below
    one half it contradicts the scores.
    """
    probability = (1 - 2 * noise) * preference_probability(*scores, temperature) + noise
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
    """Mean of max(p, 1 - p), the highest expected accuracy of any model on newly drawn labels.

    `records`: at least one, each with a `p_chosen`.
    """
    return sum(max(record.p_chosen, 1 - record.p_chosen) for record in records) / len(records)


def flipped_share(records: Sequence[PreferenceRecord]) -> float:
    """Share of pairs whose label contradicts the order of the scores; `records` as in `ceiling`."""
    return sum(record.p_chosen < 0.5 for record in records) / len(records)
