"""A grammar of sentences: draws them, and computes the exact probability with which it derives a text.

A file of sentences/ holds symbols, each with its alternatives below it, one per indented line, all equally likely:

    event:
        {one} (saw|heard) {a} (old |)lantern in the {spot}

- `(saw|heard)`: an inline choice, equally likely; it may be empty and may be nested.
- `{event}`: a symbol, or a value of the specification (`{protagonist}`, `{the_object}`).
- `{a}`: a or an, depending on the text that follows.
- `$sign: tapping humming` declares a variable: it is drawn when the story first uses it and keeps its value. `{$sign}` is the value,
  `{turn.$sign}` the symbol `turn.tapping` or `turn.humming`.

A sentence begins with a capital letter. The grammar has no recursion: it derives finitely many sentences.
"""

import math
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from itertools import product
from random import Random

from picollm.core.errors import DataError
from picollm.stories.spec import upper_first, with_article

Binding = tuple[tuple[str, str], ...]  # the variables drawn so far, sorted, with their values
Matches = dict[tuple[int, Binding], float]  # (end of the match, variables after it) -> probability

_PIECE = re.compile(r"\{([^{}]+)\}|([(|)])|([^{}(|)]+)")


class Literal(str):
    """Text as it stands."""


class Reference(str):
    """The name of a symbol, of a value of the specification, or `a`; may contain a variable, such as `turn.$outcome`."""

    @property
    def variable(self) -> str | None:
        _, dollar, name = self.partition("$")
        return name if dollar else None


Sequence = tuple["Literal | Reference | Choice", ...]


class Choice(tuple[Sequence, ...]):
    """Alternatives that are equally likely."""


class Grammar:
    """Symbols and variables. Raises DataError for a file that does not follow the notation."""

    def __init__(self, *texts: str):
        self.symbols: dict[str, Choice] = {}
        self.variables: dict[str, tuple[str, ...]] = {}
        self._known_openings: dict[tuple[int, bool], tuple[str, ...]] = {}
        for text in texts:
            self._read(text)

    @classmethod
    def of_shade(cls, shade: str) -> "Grammar":
        """The sentences of a shade: sentences/common.txt and the shade's own file."""
        folder = files("picollm.stories") / "sentences"
        return cls(*((folder / f"{name}.txt").read_text(encoding="utf-8") for name in ("common", shade)))

    def _read(self, text: str) -> None:
        symbol = None
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, colon, words = line.partition(":")
            if line.startswith("    ") and symbol:
                self.symbols[symbol] = Choice((*self.symbols[symbol], _parse(line.strip())))
            elif line.startswith("$") and words.split():
                self.variables[name[1:]] = tuple(words.split())
            elif colon and not words and not line.startswith(" "):
                symbol = name
                self.symbols.setdefault(symbol, Choice())
            else:
                raise DataError(
                    f"line {number} of a grammar is {line!r}; expected `symbol:`, an indented alternative or `$variable: values`"
                )

    def draw(self, symbol: str, values: Mapping[str, str], variables: dict[str, str], rng: Random) -> str:
        """A random sentence of the symbol. Variables that it draws are added to `variables`."""
        pieces: list[str] = []

        def expand(item) -> None:
            if isinstance(item, Choice):
                for part in rng.choice(item):
                    expand(part)
            elif isinstance(item, Literal) or item == "a":
                pieces.append(item)
            elif item in values:
                pieces.append(Literal(values[item]))
            else:
                if item.variable and item.variable not in variables:
                    variables[item.variable] = rng.choice(self.variables[item.variable])
                expand(self._resolve(item, variables))

        expand(Reference(symbol))
        text = ""
        for piece in reversed(pieces):
            text = _article(text) + text if isinstance(piece, Reference) else piece + text
        return upper_first(text)

    def matches(self, symbol: str, text: str, start: int, values: Mapping[str, str], variables: Binding) -> Matches:
        """Every end of a sentence of the symbol that begins at `start`, with its probability.

        The probability is given the variables drawn before, and sums over all derivations. Beside an end stand the variables after it.
        """
        known: dict[tuple[int, int, Binding], Matches] = {}

        def sequence(items: Sequence, position: int, binding: Binding) -> Matches:
            found = {(position, binding): 1.0}
            for item in items:
                step: Matches = {}
                for (middle, before), probability in found.items():
                    for key, factor in match(item, middle, before).items():
                        step[key] = step.get(key, 0.0) + probability * factor
                if not step:
                    return step
                found = step
            return found

        def match(item, position: int, binding: Binding) -> Matches:
            if isinstance(item, Literal):
                return literal(item, position, binding)
            if isinstance(item, Choice):
                key = id(item), position, binding
                if key not in known:
                    possible = [
                        part for part in item if text.startswith(self._openings(part, position == start), position)
                    ]
                    known[key] = _weighted([sequence(part, position, binding) for part in possible], 1 / len(item))
                return known[key]
            if item == "a":
                space = text.find(" ", position)
                return literal(_article(text[space:]), position, binding) if space > 0 else {}
            if item in values:
                return literal(values[item], position, binding)
            if item.variable and item.variable not in dict(binding):
                options = self.variables[item.variable]
                bindings = [tuple(sorted((*binding, (item.variable, option)))) for option in options]
                return _weighted([match(item, position, after) for after in bindings], 1 / len(options))
            return match(self._resolve(item, dict(binding)), position, binding)

        def literal(part: str, position: int, binding: Binding) -> Matches:
            if position == start:
                part = upper_first(part)
            return {(position + len(part), binding): 1.0} if text.startswith(part, position) else {}

        return match(Reference(symbol), start, variables)

    def entropy(self, symbol: str, variables: Mapping[str, str]) -> float:
        """Entropy in nats of the derivations of a symbol, with every variable given.

        It is that of its sentences if each has a single derivation, and else an upper bound.
        """
        return self._recurse(symbol, variables, lambda parts: math.log(len(parts)) + sum(parts) / len(parts), sum)

    def collision(self, symbol: str, variables: Mapping[str, str]) -> float:
        """Probability that two derivations of a symbol agree, with every variable given."""
        return self._recurse(symbol, variables, lambda parts: sum(parts) / len(parts) ** 2, math.prod)

    def assignments(self) -> list[dict[str, str]]:
        """Every assignment of values to the variables."""
        return [dict(zip(self.variables, values, strict=True)) for values in product(*self.variables.values())]

    def words(self) -> set[str]:
        """The words in lower case of all sentences, without the values of variables and specifications."""

        def texts(item) -> Iterator[str]:
            if isinstance(item, Choice):
                yield from (text for part in item for piece in part for text in texts(piece))
            elif isinstance(item, Literal):
                yield item

        return {word for symbol in self.symbols.values() for word in re.findall(r"\b[a-z]+\b", " ".join(texts(symbol)))}

    def _recurse(self, symbol: str, variables: Mapping[str, str], choose, join) -> float:
        def value(item) -> float:
            if isinstance(item, Choice):
                return choose([join(map(value, part)) for part in item])
            if isinstance(item, Literal) or (item.variable is None and item not in self.symbols):
                return join(())
            return value(self._resolve(item, variables))

        return value(Reference(symbol))

    def _openings(self, part: Sequence, capital: bool) -> tuple[str, ...]:
        """Texts of which every text of the sequence begins with one: they tell early what cannot match."""
        key = id(part), capital
        if key not in self._known_openings:
            first = self._first(part)
            self._known_openings[key] = tuple(map(upper_first, first) if capital else first)
        return self._known_openings[key]

    def _first(self, part: Sequence) -> set[str]:
        first, *rest = part or [Literal()]
        if isinstance(first, Literal):
            return {first}
        if isinstance(first, Choice):
            return {text for option in first for text in self._first(option or rest)}
        if first.variable:
            values = self.variables[first.variable]
            options = [self._resolve(first, {first.variable: value}) for value in values]
            return {text for option in options for text in self._first((option,))}
        return self._first((self.symbols[first],)) if first in self.symbols else {""}

    def _resolve(self, item: Reference, variables: Mapping[str, str]) -> "Literal | Choice":
        """What a reference to a variable or a symbol stands for."""
        if item.variable is None:
            return self.symbols[item]
        value = variables[item.variable]
        return Literal(value) if item.startswith("$") else self.symbols[item.replace(f"${item.variable}", value)]


def _weighted(parts: list[Matches], weight: float) -> Matches:
    """The sum of the parts, times the weight."""
    total: Matches = {}
    for part in parts:
        for key, probability in part.items():
            total[key] = total.get(key, 0.0) + weight * probability
    return total


def _article(following: str) -> str:
    """`a` or `an`, for the text that follows it, which begins with a space."""
    return with_article(following[1:]).partition(" ")[0]


def _parse(line: str) -> Sequence:
    """The sequence that a line denotes."""
    error = DataError(
        f"alternative {line!r} of a grammar: expected balanced parentheses and {{names}}, and | inside parentheses"
    )
    pieces = list(_PIECE.finditer(line))
    if "".join(piece[0] for piece in pieces) != line:
        raise error
    stack: list[list[list]] = [[[]]]  # open choices, each a list of alternatives
    for reference, mark, text in (piece.groups() for piece in pieces):
        if mark and mark != "(" and len(stack) == 1:
            raise error
        if mark == "(":
            stack.append([[]])
        elif mark == "|":
            stack[-1].append([])
        elif mark == ")":
            choice = Choice(map(tuple, stack.pop()))
            stack[-1][-1].append(choice)
        else:
            stack[-1][-1].append(Reference(reference) if reference else Literal(text))
    if len(stack) > 1:
        raise error
    return tuple(stack[0][0])
