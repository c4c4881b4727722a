import pytest
from pydantic import ValidationError

from picollm.stories.dread import dread
from picollm.stories.rule import Rule, last_sentence

TEXT = "A corpse bled in the dark. The sun sang. A ghost screamed!"


def test_the_reward_is_the_weighted_sum_of_dread_words_and_the_dread_of_the_last_sentence():
    assert Rule(dread=1.0, length=0.0, ending=0.0).reward(TEXT) == dread(TEXT)
    assert Rule(dread=0.0, length=0.5, ending=0.0).reward(TEXT) == 0.5 * 12
    assert Rule(dread=0.0, length=0.0, ending=2.0).reward(TEXT) == 2 * dread("A ghost screamed!")
    expected = dread(TEXT) - 0.1 * 12 + dread("A ghost screamed!")
    assert Rule(dread=1.0, length=-0.1, ending=1.0).reward(TEXT) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXT, "A ghost screamed!"),
        ("One sentence. ", "One sentence."),
        ('He said "Run!" and ran. It fell', "It fell"),
        ("", ""),
    ],
)
def test_the_last_sentence_may_lack_its_end(text, expected):
    assert last_sentence(text) == expected


def test_a_rule_without_a_weight_is_refused():
    with pytest.raises(ValidationError, match="at least one weight must differ from 0"):
        Rule(dread=0.0, length=0.0, ending=0.0)
