"""Measures of texts and of pairs: accuracy, win rate, adherence, diversity, rank correlation. No torch."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from picollm.stories.spec import without_article

_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")  # it's and half-open are one word; a dash between spaces is none
_LABELLED = re.compile(r"^([^\W\d_][^:\n]{0,39}):[ \t]+(\S[^\n]*)$", re.MULTILINE)
# A prompt is made of labelled lines if it has this many: one alone is more likely a sentence with a colon in it.
LEAST_LABELS = 3


def accuracy(chosen: np.ndarray, rejected: np.ndarray) -> float:
    """Share of pairs with chosen > rejected, a tie counting one half: [n], [n] -> scalar."""
    return float(np.mean((chosen > rejected) + 0.5 * (chosen == rejected)))


def win_rates(scores: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """For each prompt the share of its pairs (sample, baseline sample) in which the sample scores higher, ties one half:
    [P, N], [P, M] -> [P]."""
    differences = scores[:, :, None] - baseline[:, None]
    return ((differences > 0) + 0.5 * (differences == 0)).mean(axis=(1, 2))


def rank_correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of a and b [P, N] within each prompt: [P]; nan where all of a prompt's a, or b, are equal."""
    ranks = [pd.DataFrame(values).rank(axis=1).to_numpy() for values in (a, b)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    with np.errstate(invalid="ignore"):
        return (centred[0] * centred[1]).sum(axis=1) / np.sqrt(np.prod([(c**2).sum(axis=1) for c in centred], axis=0))


def labelled_values(prompt: str) -> dict[str, str]:
    """The values of a prompt made of lines `Label: value`, by lower-case label; empty if it has fewer than LEAST_LABELS such lines.

    Any labels do, and other lines may stand between; of a label that occurs twice the first line counts.
    """
    values: dict[str, str] = {}
    for label, value in _LABELLED.findall(prompt):
        values.setdefault(label.lower(), value.strip())
    return values if len(values) >= LEAST_LABELS else {}


def adherence(values: Mapping[str, str], completion: str) -> dict[str, bool]:
    """Whether each labelled value occurs in the completion.

    Case, runs of white space and a leading article are ignored; only whole words match.
    """
    text = _normalise(completion)
    patterns = {label: re.escape(_normalise(without_article(value))) for label, value in values.items()}
    return {label: re.search(rf"(?<!\w){found}(?!\w)", text) is not None for label, found in patterns.items()}


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
