"""Statistics and text measures: accuracies with intervals, win rate, KL, adherence, diversity. No torch."""

import math
import re
from collections.abc import Sequence

import numpy as np

from picollm.stories.spec import SLOTS, StorySpec, without_article

Z_95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")  # it's and half-open are one word; a dash between spaces is none


def wilson_interval(successes: float, count: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927): (low, high). `successes` may be fractional: a tie counts one half."""
    share = successes / count
    centre = share + Z_95**2 / (2 * count)
    spread = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    scale = 1 + Z_95**2 / count
    # The bounds of 0 and n successes are 0 and 1; the formula misses them by rounding.
    low = (centre - spread) / scale if successes > 0 else 0.0
    high = (centre + spread) / scale if successes < count else 1.0
    return low, high


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of values [n] and its 95 % normal interval: (mean, low, high). The interval of a single value has width 0."""
    mean = float(values.mean())
    spread = Z_95 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return mean, mean - spread, mean + spread


def accuracy(chosen: np.ndarray, rejected: np.ndarray) -> float:
    """Share of pairs with chosen > rejected, a tie counting one half: [n], [n] -> scalar."""
    return float(np.mean((chosen > rejected) + 0.5 * (chosen == rejected)))


def win_rate(scores: np.ndarray, baseline: np.ndarray) -> tuple[float, float, float]:
    """Share of prompts whose score [n] exceeds the baseline's [n], a tie counting one half: (share, low, high)."""
    share = accuracy(scores, baseline)
    return share, *wilson_interval(share * len(scores), len(scores))


def kl_estimate(policy_logps: np.ndarray, reference_logps: np.ndarray, lengths: np.ndarray) -> tuple[float, float]:
    """Monte-Carlo estimate of KL(policy || reference) if the samples were drawn at temperature 1 without top-p, from a narrower
    distribution only the mean log-ratio there: (nats per sequence, nats per token).

    Summed log-probs [n] of the policy's own samples under both models, and the samples' lengths [n] in tokens. Per token is
    the sum of the differences divided by the sum of the lengths, so a long sample weighs more than a short one.
    """
    differences = policy_logps.astype(np.float64) - reference_logps
    return float(differences.mean()), float(differences.sum() / lengths.sum())


def adherence(specs: Sequence[StorySpec], completions: Sequence[str]) -> np.ndarray:
    """Whether each slot's value occurs in the completion: bool [n, 7] in the order of SLOTS.

    Case, runs of white space and a leading article are ignored; only whole words match.
    """
    found = np.zeros((len(specs), len(SLOTS)), dtype=bool)
    for row, (spec, completion) in enumerate(zip(specs, completions, strict=True)):
        text = _normalise(completion)
        for column, slot in enumerate(SLOTS):
            value = re.escape(_normalise(without_article(getattr(spec, slot))))
            found[row, column] = re.search(rf"(?<!\w){value}(?!\w)", text) is not None
    return found


def distinct_2(texts: Sequence[str]) -> float:
    """Distinct word bigrams divided by all word bigrams of the texts (Li et al. 2016); 0 if there is no bigram.

    Falls as the number of texts grows, so only sets of equal size compare. A bigram lies within one text; case and
    punctuation are ignored.
    """
    bigrams = [bigram for text in texts for bigram in _ngrams(text, 2)]
    return len(set(bigrams)) / len(bigrams) if bigrams else 0.0


def repetition(texts: Sequence[str]) -> float:
    """Mean over texts of the share of a text's word 4-grams that repeat an earlier one; 0 for a text of under 4 words."""
    ngrams = [_ngrams(text, 4) for text in texts]
    return float(np.mean([1 - len(set(found)) / len(found) if found else 0.0 for found in ngrams]))


def _ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def _normalise(text: str) -> str:
    return " ".join(text.lower().split())
