"""Measures of texts and numbers: accuracies with intervals, adherence, diversity, win rate, KL. No model inside."""

import math
import re
from collections.abc import Sequence

import numpy as np

from picollm.errors import DataError
from picollm.stories.spec import SLOTS, StorySpec, without_article

Z_95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution
REPEATED_GRAM = 4


def wilson_interval(successes: float, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927). `successes` may be a multiple of one half, where ties count so."""
    _some(count)
    share = successes / count
    centre = share + Z_95**2 / (2 * count)
    spread = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    scale = 1 + Z_95**2 / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and its 95 % normal interval: (mean, low, high). One value alone is an interval of no width."""
    values = np.asarray(values, dtype=np.float64)
    _some(len(values))
    mean = float(values.mean())
    spread = Z_95 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return mean, mean - spread, mean + spread


def accuracy(chosen: np.ndarray, rejected: np.ndarray) -> float:
    """Share of pairs with chosen > rejected, ties one half: [n], [n] -> a number."""
    _some(len(chosen))
    return float(np.mean((chosen > rejected) + 0.5 * (chosen == rejected)))


def win_rate(scores: np.ndarray, baseline: np.ndarray) -> tuple[float, float, float]:
    """Share of prompts on which a score beats the baseline's, ties one half, with its 95 % interval: (share, low, high)."""
    share = accuracy(scores, baseline)
    return share, *wilson_interval(share * len(scores), len(scores))


def kl_estimate(policy_logps: np.ndarray, reference_logps: np.ndarray, lengths: np.ndarray) -> tuple[float, float]:
    """Monte-Carlo KL(policy || reference) on the policy's own samples: nats per sequence, nats per token.

    Takes the summed log-probs of n samples under both models and their lengths in tokens.
    """
    _some(len(lengths))
    differences = np.asarray(policy_logps, dtype=np.float64) - reference_logps
    return float(differences.mean()), float(differences.sum() / max(1, np.sum(lengths)))


def adherence(specs: Sequence[StorySpec], completions: Sequence[str]) -> np.ndarray:
    """Whether each slot's value occurs in the completion: bool [n, 7] in the order of SLOTS.

    Case, the amount of white space and a leading article do not matter; a value counts as whole words only.
    """
    found = np.zeros((len(specs), len(SLOTS)), dtype=bool)
    for row, (spec, completion) in enumerate(zip(specs, completions, strict=True)):
        text = _plain(completion)
        for column, slot in enumerate(SLOTS):
            value = re.escape(_plain(without_article(getattr(spec, slot))))
            found[row, column] = re.search(rf"(?<!\w){value}(?!\w)", text) is not None
    return found


def distinct_2(texts: Sequence[str]) -> float:
    """Distinct word bigrams over all word bigrams of the texts together (Li et al. 2016, distinct-2).

    Falls as the number of texts grows, so it compares sets of equal size only. 0 where there is no bigram.
    """
    bigrams = [pair for text in texts for pair in _grams(text, 2)]
    return len(set(bigrams)) / len(bigrams) if bigrams else 0.0


def repetition(texts: Sequence[str]) -> float:
    """Mean over texts of the share of a text's word 4-grams that occurred in it before; 0 for a shorter text."""
    shares = []
    for text in texts:
        grams = _grams(text, REPEATED_GRAM)
        shares.append(1 - len(set(grams)) / len(grams) if grams else 0.0)
    _some(len(shares))
    return float(np.mean(shares))


def _grams(text: str, size: int) -> list[tuple[str, ...]]:
    words = re.findall(r"[\w'-]+", text.lower())
    return list(zip(*(words[start:] for start in range(size)), strict=False))


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _some(count: int) -> None:
    if count < 1:
        raise DataError("a measure of no values: expected at least one")
