import random
import re
import unicodedata
from dataclasses import replace
from itertools import cycle

import pytest

from picollm.datagen.sources.templates import Specifications
from picollm.stories import invented
from picollm.stories.invented import altered_spec, invented_entries, invented_spec, varied_spec
from picollm.stories.spec import SLOTS, StorySpec

PHRASE = r"[a-z]+(?:-[a-z]+)*(?:'s)?(?: [A-Za-z]+(?:'s)?)+"
GRAMMAR = {
    "title": r"[A-Z][a-z]*(?:'s)?(?: (?:of|and|the|in|for|[A-Z][a-z]+))+",
    "setting": rf"an? {PHRASE}",
    "protagonist": r"[A-Z][a-z]+(?: [A-Z][a-z]+)?",
    "companion": r"[A-Z][a-z]+(?: [A-Z][a-z]+)?",
    "object": r"an?(?: [a-z]+){2,3}",
    "rule": r"never(?: [A-Za-z]+){2,9}",
    "twist": r"(?:the|nobody|every|[A-Z][a-z]+)(?: [a-z]+(?:'s)?){3,10}",
}
SPEC = StorySpec(
    title="The Salt Lantern",
    setting="an abandoned ferry station",
    protagonist="Mara",
    companion="Tomas",
    object="an unlabelled jar",
    rule="never open the cellar door after dark",
    twist="the caller had been standing behind the door all along",
)


def test_invented_specifications_obey_the_grammar_of_the_slots(monkeypatch):
    monkeypatch.setattr(invented, "SCRAMBLED_SHARE", 0)
    monkeypatch.setattr(invented, "ODD_NAME_SHARE", 0)
    rng = random.Random(5)
    for _ in range(2000):
        spec = invented_spec(rng)
        for slot, pattern in GRAMMAR.items():
            assert re.fullmatch(pattern, getattr(spec, slot)), (slot, getattr(spec, slot))
        assert spec.protagonist != spec.companion


def test_scrambled_values_are_words_in_any_order_of_which_many_are_in_no_list(monkeypatch):
    monkeypatch.setattr(invented, "SCRAMBLED_SHARE", 1)
    rng = random.Random(5)
    specs = [invented_spec(rng) for _ in range(500)]
    for spec in specs:
        assert re.search(r" the ", spec.rule) and re.search(r" the ", spec.twist)
        assert spec.rule.startswith("never ")
    starts = [[spec.setting.split()[0], spec.object.split()[0], spec.twist.split()[0]] for spec in specs]
    for slot, usual in enumerate([{"a", "an"}, {"a", "an"}, {"the"}]):
        assert 0.6 < sum(start[slot] in usual for start in starts) / 500 < 0.8
    text = " ".join(getattr(spec, slot) for spec in specs for slot in SLOTS)
    for kind in (
        r"\b\d+\b",
        "[à-ÿ]",
        "[ạ-ỹ]",
        "[łøđ]",
        r"\b[A-Z][a-z]+-[A-Z]",
        r"\b[DLMO]'[A-Z]",
        r"\b[a-z]+'s\b",
        r"\bMr\. [A-Z]",
    ):
        assert re.search(kind, text), kind
    assert 0.15 < sum(" " in spec.protagonist for spec in specs) / 500 < 0.35


def test_invented_values_hardly_ever_come_twice():
    rng = random.Random(6)
    specs = [invented_spec(rng) for _ in range(2000)]
    for slot in SLOTS:
        assert len({getattr(spec, slot) for spec in specs}) > 1980, slot


def test_an_altered_specification_keeps_most_words_in_their_order():
    rng = random.Random(7)
    kept = total = same = 0
    for _ in range(500):
        altered = altered_spec(rng, SPEC)
        for slot in ("rule", "twist"):
            before, after = getattr(SPEC, slot).split(), getattr(altered, slot).split()
            assert before[0] == after[0]
            kept += sum(word in after for word in before[1:])
            total += len(before) - 1
            same += before == after
        assert altered.protagonist[0] == "M" and altered.companion[0] == "T"
        assert altered.title.startswith("The ") and all(
            word[0].isupper() or not word[0].isalpha() for word in altered.title.split()
        )
    # A word stays unless it is replaced (0.3) or left out (0.05); all 6 or 9 words stay, without others among them, with 0.5 each.
    assert 0.6 < kept / total < 0.7
    assert same / 1000 < 0.06


def test_an_altered_specification_has_the_right_articles_and_no_doubled_word():
    rng, specs = random.Random(8), Specifications(1, 0.15)
    values = [getattr(altered_spec(rng, spec), slot) for spec in specs.draw("test", "train", 500) for slot in SLOTS]
    for value in values:
        assert not re.search(r"\b(\w+) \1\b", value), value
        assert not re.search(
            r"(?<!\S)a (?!uni|use|ut|eu|ewe|one|once)[aeiou]|(?<!\S)an (?!heir|hour)[^aeiouAEIOU81]",
            unicodedata.normalize("NFD", value),
        ), value


def test_the_two_persons_of_an_invented_or_altered_specification_differ(monkeypatch):
    names = cycle(["Io", "Io", "Ede"])
    monkeypatch.setattr(invented, "_person", lambda rng: next(names))
    spec = invented_spec(random.Random(11))
    assert (spec.protagonist, spec.companion) == ("Io", "Ede")
    rng, one_letter = random.Random(11), replace(SPEC, protagonist="Q", companion="Q")
    endings = cycle(["a", "a", "b"])
    monkeypatch.setattr(invented, "made_up_word", lambda rng: next(endings))
    monkeypatch.setattr(invented, "any_word", lambda rng: "word")
    for _ in range(20):
        altered = altered_spec(rng, one_letter)
        assert altered.protagonist != altered.companion


def test_a_title_that_begins_with_an_article_keeps_its_capital():
    rng, spec = random.Random(12), replace(SPEC, title="A Lantern for Mara")
    starts = {altered_spec(rng, spec).title.split()[0] for _ in range(200)}
    assert starts == {"A", "An"}


def test_a_varied_specification_is_the_given_one_an_altered_or_a_composed_one_in_their_shares():
    rng = random.Random(9)
    specs = [varied_spec(rng, SPEC, 0.6) for _ in range(2000)]
    assert abs(sum(spec == SPEC for spec in specs) - 800) < 88  # sd 21.9
    altered = [spec for spec in specs if spec != SPEC and (spec.protagonist[0], spec.companion[0]) == ("M", "T")]
    assert abs(len(altered) - 600) < 82  # sd 20.5; few composed names begin like these
    assert {varied_spec(rng, SPEC, 0) for _ in range(50)} == {SPEC}


@pytest.mark.parametrize("count", [3, 5])
def test_entries_come_in_the_requested_number(count):
    assert len(invented_entries(random.Random(1), count)) == count
