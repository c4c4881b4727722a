"""The rule: how dark a text is. It labels the preference pairs, and is the true reward in evaluation."""

import re
from collections import defaultdict, deque

from picollm.stories.lexicon import COMFORT, DREAD

# Repeats discount one another within this many words.
_SPAN = 100
# Added to the length, so that a text of a few words does not score hundreds.
_SHORT = 20
_NEGATORS = frozenset(("no", "not", "never", "nor", "neither", "without", "cannot"))
# A negator reaches this many words, up to the next punctuation mark.
_REACH = 2
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[.,;:!?]")

# The measure of the project's first version: a plain list, no weights, no comfort.
HORROR_WORDS = frozenset(
    """
    afraid blood bloody bones buried corpse creature cursed dark darkness dead death demon dread eerie evil
    fear ghost grave haunted horror knife midnight monster murder nightmare pale scream screamed screaming
    shadow shadows shiver silence skull terrified terror tomb whisper whispered whispers
    """.split()
)


def _expand(lexicon: dict[float, str]) -> dict[str, tuple[str, float]]:
    """Form -> (its family, its weight); the notation is that of lexicon.py."""
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
    """The lower-case words of a text, a possessive 's left out, each with whether a negator reaches it."""
    words = []
    reach = 0
    for token in _TOKEN.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        if token in ".,;:!?":
            reach = 0
            continue
        words.append((token.removesuffix("'s"), reach > 0))
        reach = _REACH if token in _NEGATORS or token.endswith("n't") else max(reach - 1, 0)
    return words


def dread(text: str) -> float:
    """How dark an English text is: above 0 for dread, below 0 for comfort, near 0 for neutral text, 0 for no text.

        dread = 100 / (n + 20) * sum over the lexicon words of the text of  weight * place / 2 ** later

    - n: the number of words; the 20 keeps a text of a few words from scoring hundreds.
    - weight: as lexicon.py lists it, 0.5 to 3 for dread and -0.5 to -2 for comfort. Whole words count, in any case;
      all forms of a family (whisper, whispered) are one word.
    - place: 2 in the ending, which is the last quarter of the words (the last word alone is one); 1 before it.
    - later: how often the same family counts again within the next 100 words. So the last "blood" counts in full, the one
      before it half, the one before that a quarter, and saying it once more never pays much.
    - a word at most two words after no, not, never, nor, neither, without, cannot or ...n't, with no punctuation between
      ("not afraid", "no more blood"), does not count.

    Time is linear in the length of the text.
    """
    words = _words(text)
    ending = 3 * len(words) // 4
    total = 0.0
    counted: defaultdict[str, deque[int]] = defaultdict(deque)
    for index in range(len(words) - 1, -1, -1):
        word, negated = words[index]
        if negated or word not in _LEXICON:
            continue
        family, weight = _LEXICON[word]
        later = counted[family]
        while later and later[0] > index + _SPAN:
            later.popleft()
        total += weight * (2 if index >= ending else 1) / 2 ** len(later)
        later.append(index)
    return 100 * total / (len(words) + _SHORT)


def horror_lexicon_count(text: str) -> float:
    """Words of the plain list HORROR_WORDS per 100 words, 0 for a text without words: the first version's measure."""
    words = _words(text)
    return 100 * sum(word in HORROR_WORDS for word, _ in words) / max(len(words), 1)
