"""Measures of texts and numbers: accuracies with intervals, adherence, diversity, win rate, KL. No model inside."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from picollm.core.errors import DataError
from picollm.stories.spec import SLOTS, StorySpec, without_article

Z_95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution
REPEATED_GRAM = 4
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")  # a dash or a quote that joins nothing is no word


def wilson_interval(successes: float, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927). `successes` may be a multiple of one half, where ties count so."""
    _some(count)
    if not 0 <= successes <= count:
        raise DataError(f"a share of {successes} in {count}: expected between 0 and {count}")
    share = successes / count
    centre = share + Z_95**2 / (2 * count)
    spread = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    scale = 1 + Z_95**2 / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and its 95 % normal interval: (mean, low, high). One value alone is an interval of no width."""
    (values,) = _numbers(values)
    mean = float(values.mean())
    spread = Z_95 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return mean, mean - spread, mean + spread


def accuracy(chosen: ArrayLike, rejected: ArrayLike) -> float:
    """Share of pairs with chosen > rejected, ties one half: [n], [n] -> a number."""
    chosen, rejected = _numbers(chosen, rejected)
    return float(np.mean((chosen > rejected) + 0.5 * (chosen == rejected)))


def win_rate(scores: ArrayLike, baseline: ArrayLike) -> tuple[float, float, float]:
    """Share of prompts on which a score beats the baseline's, ties one half, with its 95 % interval: (share, low, high)."""
    share = accuracy(scores, baseline)
    return share, *wilson_interval(share * len(scores), len(scores))


def kl_estimate(policy_logps: ArrayLike, reference_logps: ArrayLike, lengths: ArrayLike) -> tuple[float, float]:
    """Monte-Carlo KL(policy || reference) on the policy's own samples: nats per sequence, nats per token.

    Takes the summed log-probs of n samples under both models and their lengths in tokens: [n], [n], [n]. Per token is
    the total difference over the total of tokens, so a long sample weighs more than a short one.
    """
    policy, reference, lengths = _numbers(policy_logps, reference_logps, lengths)
    if not lengths.sum() > 0:
        raise DataError("a KL of samples without a token: expected at least one token")
    differences = policy - reference
    return float(differences.mean()), float(differences.sum() / lengths.sum())


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

    Falls as the number of texts grows, so it compares sets of equal size only. 0 where there is no bigram. No bigram
    spans two texts; punctuation and case do not count.
    """
    _some(len(texts))
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
    words = _WORD.findall(text.lower())
    return list(zip(*(words[start:] for start in range(size)), strict=False))


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _numbers(*columns: ArrayLike) -> list[np.ndarray]:
    """The columns as float64 [n]: one length, at least one value, all finite; anything else is a DataError."""
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1:
        raise DataError(f"a measure of shapes {[array.shape for array in arrays]}: expected columns of one length")
    _some(len(arrays[0]))
    if not all(np.isfinite(array).all() for array in arrays):
        raise DataError("a measure of a value that is not a finite number")
    return arrays


def _some(count: int) -> None:
    if count < 1:
        raise DataError("a measure of no values: expected at least one")
