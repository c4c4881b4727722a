import math
from collections import Counter
from random import Random

import pytest

from picollm.core.errors import DataError
from picollm.stories.grammar import Grammar

# scene has 3 * 2 + 2 = 8 derivations; the second alternative is drawn half of the time.
SMALL = """\
$colour: red amber
scene:
    {a} (wet|dry|odd) {thing}
    {name} took {a} {$colour} {thing.$colour}
# a comment
thing:
    hat
    cup
thing.red:
    rose
thing.amber:
    ring
"""
VALUES = {"name": "ana"}


def every(grammar, symbol, draws=4000):
    """How often each sentence is drawn."""
    rng = Random(1)
    return Counter(grammar.draw(symbol, VALUES, {}, rng) for _ in range(draws))


def probability(grammar, text, symbol="scene", variables=()):
    """The probability of a whole text, over all values of the variables."""
    return sum(p for (end, _), p in grammar.matches(symbol, text, 0, VALUES, variables).items() if end == len(text))


def test_every_derivation_is_drawn_with_its_article_and_a_capital():
    assert set(every(Grammar(SMALL), "scene")) == {
        "A wet hat", "A wet cup", "A dry hat", "A dry cup", "An odd hat", "An odd cup",
        "Ana took a red rose", "Ana took an amber ring",
    }  # fmt: skip


def test_probabilities_are_those_of_the_choices():
    grammar = Grammar(SMALL)
    # 1/2 for the alternative, then 1/3 and 1/2, or 1/2 for the colour.
    assert probability(grammar, "An odd cup") == pytest.approx(1 / 12)
    assert probability(grammar, "Ana took an amber ring") == pytest.approx(1 / 4)
    assert probability(grammar, "Ana took an amber rose") == 0
    assert probability(grammar, "A odd cup") == 0
    assert probability(grammar, "ana took an amber ring") == 0


def test_the_probabilities_of_all_sentences_sum_to_one_and_are_their_frequencies():
    grammar = Grammar(SMALL)
    counts = every(grammar, "scene")
    assert sum(probability(grammar, text) for text in counts) == pytest.approx(1)
    for text, count in counts.items():
        p = probability(grammar, text)
        assert abs(count - 4000 * p) < 5 * math.sqrt(4000 * p * (1 - p))


def test_two_derivations_of_one_text_add_up():
    grammar = Grammar("s:\n    (red|red ) hat\n    (red|blue) hat\n    {word} hat\nword:\n    (r|b)(ed|lue)\n")
    # 1/3 for each alternative; the last derives Red in one of four ways.
    assert probability(grammar, "Red hat", "s") == pytest.approx((1 / 2 + 1 / 2 + 1 / 4) / 3)


def test_a_variable_keeps_its_value():
    grammar = Grammar("$x: one two\ns:\n    {$x} and {$x}\n")
    assert set(every(grammar, "s")) == {"One and one", "Two and two"}
    assert probability(grammar, "One and two", "s") == 0
    assert probability(grammar, "One and one", "s", (("x", "one"),)) == 1
    assert probability(grammar, "One and one", "s", (("x", "two"),)) == 0


def test_a_match_tells_the_values_of_the_variables():
    grammar = Grammar(SMALL)
    text = "Ana took an amber ring and left"
    assert grammar.matches("scene", text, 0, VALUES, ()) == {(22, (("colour", "amber"),)): pytest.approx(1 / 4)}


def test_a_variable_that_is_drawn_is_remembered_by_the_caller():
    variables = {}
    text = Grammar("$colour: red amber\ns:\n    {$colour} rose\n").draw("s", VALUES, variables, Random(1))
    assert text.lower() == f"{variables['colour']} rose"


def test_nested_and_empty_choices():
    grammar = Grammar("s:\n    the (old|new (red|blue)|) hat\n")
    assert set(every(grammar, "s")) == {"The old hat", "The new red hat", "The new blue hat", "The  hat"}


def test_entropy_and_collision_are_those_of_all_sentences():
    grammar = Grammar(SMALL)
    for variables in grammar.assignments():
        # Six sentences of 1/12 each, and one of 1/2.
        assert grammar.entropy("scene", variables) == pytest.approx(6 / 12 * math.log(12) + 1 / 2 * math.log(2))
        assert grammar.collision("scene", variables) == pytest.approx(6 / 144 + 1 / 4)


def test_assignments_are_all_values_of_all_variables():
    grammar = Grammar("$x: one two\n$y: three four\ns:\n    {$x}\n")
    assert len(grammar.assignments()) == 4
    assert {"x": "two", "y": "three"} in grammar.assignments()


def test_a_second_text_adds_alternatives_to_a_symbol():
    grammar = Grammar("s:\n    one\n", "s:\n    two\n")
    assert set(every(grammar, "s")) == {"One", "Two"}


@pytest.mark.parametrize("line", ["no colon", " one space", "$x one", "s: text"])
def test_a_line_in_no_known_form_is_an_error_with_its_number(line):
    with pytest.raises(DataError, match="line 2"):
        Grammar(f"# comment\n{line}\n")


@pytest.mark.parametrize("line", ["(one", "one)", "one|two", "(a|(b)", "{one saw", "one} saw", "a {} b"])
def test_unbalanced_parentheses_and_braces_are_an_error(line):
    with pytest.raises(DataError, match="balanced"):
        Grammar(f"s:\n    {line}\n")


def test_the_words_are_those_of_the_texts_without_values_and_names_of_symbols():
    grammar = Grammar(
        "$sign: glow tune\nevent:\n    {one} (saw |heard )the {$sign}, and It fled {place}\nplace:\n    down(ward|)\n"
    )
    assert grammar.words() == {"saw", "heard", "the", "and", "fled", "down", "ward"}
