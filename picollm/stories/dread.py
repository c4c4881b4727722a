"""Dread, a score of how dark a text is: the rule that labels preference pairs, and the true reward in evaluation."""

import re
from collections import defaultdict, deque

from picollm.stories.lexicon import COMFORT, DREAD

# Repeats within this many words are discounted.
_REPEAT_WINDOW = 100
# Added to the length, so that a text of a few words does not score hundreds.
_LENGTH_OFFSET = 20
_NEGATORS = frozenset(("no", "not", "never", "nor", "neither", "without", "cannot"))
# Number of words after a negator that it negates, up to the next punctuation mark.
_NEGATION_SCOPE = 2
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[.,;:!?]")


def _expand(lexicon: dict[float, str]) -> dict[str, tuple[str, float]]:
    """Word -> (family, weight); lexicon.py explains the notation."""
    forms = {}
    for weight, families in lexicon.items():
        for family in families.split():
            stem, *endings = family.split("/")
            words = [] if stem.endswith("-") else [stem]
            words += [stem.removesuffix("-") + ending for ending in endings]
            forms.update((word, (family, weight)) for word in words)
    return forms


_LEXICON = _expand(DREAD) | _expand(COMFORT)


def _words(text: str) -> list[tuple[str, bool]]:
    """The words of a text, lower-case and without possessive 's, each with whether it is negated."""
    words = []
    negated = 0  # number of following words in the scope of a negator
    for token in _TOKEN.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        if token in ".,;:!?":
            negated = 0
            continue
        words.append((token.removesuffix("'s"), negated > 0))
        negated = _NEGATION_SCOPE if token in _NEGATORS or token.endswith("n't") else max(negated - 1, 0)
    return words


def dread(text: str) -> float:
    """How dark an English text is: positive for dread, negative for comfort, near 0 for neutral text, 0 for no text.

        dread = 100 / (n + 20) * sum over the lexicon words of the text of  weight * position / 2 ** later

    - n: the number of words; the 20 keeps a text of a few words from scoring hundreds.
    - weight: from lexicon.py, 0.5 to 3 for dread and -0.5 to -2 for comfort. Whole words match, in upper or lower case; all
      forms of a family (whisper, whispered) count as the same word.
    - position: 2 in the ending, which is the last quarter of the words (at least one word); 1 before it.
    - later: how many of the next 100 words belong to the same family and count. So the last "blood" has its full weight, the
      one before it half, the one before that a quarter, and repetition gains little.
    - A word at most two words after no, not, never, nor, neither, without, cannot or ...n't, without punctuation in between
      ("not afraid", "no more blood"), does not count.

    Takes time linear in the length of the text.
    """
    words = _words(text)
    ending = 3 * len(words) // 4
    total = 0.0
    counted: defaultdict[str, deque[int]] = defaultdict(deque)  # family -> positions of its later words
    for index in range(len(words) - 1, -1, -1):
        word, negated = words[index]
        if negated or word not in _LEXICON:
            continue
        family, weight = _LEXICON[word]
        later = counted[family]
        while later and later[0] > index + _REPEAT_WINDOW:
            later.popleft()
        total += weight * (2 if index >= ending else 1) / 2 ** len(later)
        later.append(index)
    return 100 * total / (len(words) + _LENGTH_OFFSET)
