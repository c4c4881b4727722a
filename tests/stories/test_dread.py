import hashlib
import json
from collections import Counter

import pytest

from picollm.stories.dread import dread
from picollm.stories.lexicon import COMFORT, DREAD
from tests.stories.passages import CHILDREN, HORROR

# Ten words that no list holds.
FILLER = "the number of a list that is in this one "


def words_of(lexicon):
    """Every word with its weight, by an expansion of the notation that is independent of the rule's own."""
    for weight, families in lexicon.items():
        for family in families.split():
            stem, *endings = family.split("/")
            if not stem.endswith("-"):
                yield stem, weight
            for ending in endings:
                yield stem.rstrip("-") + ending, weight


def auc(high, low):
    """The share of pairs in which the first list's score is the higher; ties count one half."""
    return sum((a > b) + 0.5 * (a == b) for a in high for b in low) / (len(high) * len(low))


def test_the_lexicon_is_frozen():
    # Published figures are of this rule, and stories must be written for the rule, never the rule for the stories.
    families = [[weight, sorted(lexicon[weight].split())] for lexicon in (DREAD, COMFORT) for weight in sorted(lexicon)]
    digest = hashlib.sha256(json.dumps(families).encode()).hexdigest()
    assert digest == "de5f5b6d61aa816422a3301505fedce69c8fd819c13418703d65d3d764f1c9f2"


def test_a_short_sentence_is_scored_as_by_hand():
    # the 0, corpse 3 before the ending, screamed 2 in the ending (the last word of three): 3 * 1 + 2 * 2 = 7; 3 words
    assert dread("The corpse screamed.") == pytest.approx(100 * 7 / (3 + 20))


def test_a_sentence_with_comfort_is_scored_as_by_hand():
    # puppy -2 and midnight 2 before the ending, tomb 2 in the ending (the last two words of eight): -2 + 2 + 2 * 2
    assert dread("A puppy went at midnight to the tomb") == pytest.approx(100 * 4 / (8 + 20))


def test_the_last_word_alone_is_an_ending():
    assert dread("Blood") == pytest.approx(100 * 2 * 2 / (1 + 20))


def test_the_ending_is_the_last_quarter():
    def score(place):
        return dread(" ".join("blood" if i == place else "it" for i in range(80)))

    assert score(59) == pytest.approx(2.0)
    assert score(60) == pytest.approx(4.0)


def test_the_same_words_score_higher_with_the_dread_at_the_end():
    assert dread("The ghost was in that list of ours, then") < dread("Then in that list of ours was the ghost")


def test_the_score_is_per_hundred_words():
    # horror 3, before the ending, in a text of 4 + 70 + 6 = 80 words and then of 180: 100 * 3 / 100 and 100 * 3 / 200
    assert dread("the horror of it " + FILLER * 7 + "and so is it this one") == pytest.approx(3.0)
    assert dread("the horror of it " + FILLER * 17 + "and so is it this one") == pytest.approx(1.5)


def test_case_and_punctuation_do_not_matter():
    plain = dread("the ghost shuddered in its coffin")
    assert dread("THE GHOST shuddered, in its ... coffin!!") == plain
    assert dread("\tthe _ghost_\n--shuddered-- (in its) 'coffin'") == plain


def test_a_possessive_is_the_word_itself_with_either_apostrophe():
    plain = dread("the ghost list")
    assert dread("the ghost's list") == plain
    assert dread("the ghost\N{RIGHT SINGLE QUOTATION MARK}s list") == plain


@pytest.mark.parametrize("text", ["", " \n\t", "...", "?!"])
def test_a_text_without_words_scores_zero(text):
    assert dread(text) == 0


@pytest.mark.parametrize(
    "text",
    [
        "The committee met on Tuesday and agreed the budget for the coming year by nine votes to four.",
        "Press and hold the power button for ten seconds, then wait for the unit to restart.",
        "The bus leaves from the second stop at a quarter past eight and runs once an hour on weekends.",
        "Rain will spread from the west by evening, with moderate winds near the coast and highs of twelve degrees.",
        "He parked across from the office, finished the coffee and went up to the meeting on the third floor.",
        "Each section of the report lists the method, the units used and the date of the measurement.",
    ],
)
def test_neutral_text_is_near_zero(text):
    assert abs(dread(text)) < 1.5


def test_comfort_is_below_zero_and_dread_above():
    assert dread("The happy children played with the puppy and ate cake.") < -10
    assert dread("The ghastly corpse crept out of its grave and shrieked.") > 10


def test_repeats_of_a_word_count_by_halves_from_the_last_one_back():
    # ten words, the last three are the ending; blood (2) at 1, 4 and 9: 2 * 2 for the last, then 2 / 2 and 2 / 4
    text = "it blood it it blood it it it it blood"
    assert dread(text) == pytest.approx(100 * (4 + 1 + 0.5) / (10 + 20))


def test_the_forms_of_a_family_are_repeats_of_one_word():
    assert dread("it shrieked and it shrieks") == pytest.approx(dread("it shriek and it shriek"))
    assert dread("it shrieked and it shrieks") < dread("it shrieked and it murders")


def test_repeats_more_than_a_hundred_words_apart_do_not_discount_one_another():
    # 160 words, the ending from 120 on; blood (2) before the ending, and 100 or 101 words later: 4 + 1 and 4 + 2
    def score(first):
        return dread(" ".join("blood" if i in (first, 125) else "it" for i in range(160)))

    assert score(25) == pytest.approx(100 * 5 / 180)
    assert score(24) == pytest.approx(100 * 6 / 180)


def test_one_word_said_again_and_again_never_pays():
    assert dread("blood " * 150) < dread("the list of it was one " * 20 + "blood corpse tomb grave ghost")
    assert dread("blood " * 10_000) < 0.1


def test_a_negated_word_does_not_count():
    assert dread("they were not afraid") == 0
    assert dread("it wasn't a ghost") == 0
    assert dread("no more blood") == 0
    assert dread("they were never happy") == 0


def test_a_negation_reaches_two_words_and_no_further_than_the_clause():
    assert dread("it was not of the dead") > 0
    assert dread("no, blood") > 0
    assert dread("they did not. Horror was in it") > 0


@pytest.mark.parametrize(
    "word", ["skill", "classes", "engraved", "deathwatches", "assault", "funding", "charmless", "rated", "history"]
)
def test_a_word_inside_a_word_does_not_count(word):
    assert dread(f"it was a {word}") == 0


def test_a_long_text_scores_like_its_parts():
    text = HORROR[0]
    assert dread("\n".join([text] * 40)) == pytest.approx(dread(text), rel=0.35)


def test_no_word_is_listed_twice():
    counts = Counter(word for lexicon in (DREAD, COMFORT) for word, _ in words_of(lexicon))
    assert [word for word, count in counts.items() if count > 1] == []


def test_every_word_is_one_lower_case_word_as_the_rule_reads_it():
    for lexicon in (DREAD, COMFORT):
        for word, weight in words_of(lexicon):
            assert word.isascii() and word.isalpha() and word.islower(), word
            # one word, in the ending
            assert dread(word) == pytest.approx(100 * 2 * weight / 21), word


def test_dread_weighs_above_zero_and_comfort_below():
    assert set(DREAD) == {3, 2, 1, 0.5}
    assert set(COMFORT) == {-2, -1, -0.5}


def test_horror_is_ordered_above_stories_for_children():
    assert len(set(HORROR)) == len(set(CHILDREN)) == 12
    assert auc([dread(text) for text in HORROR], [dread(text) for text in CHILDREN]) >= 0.97
