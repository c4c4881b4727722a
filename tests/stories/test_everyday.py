import random
import re
from itertools import islice

import pytest

from picollm.stories import everyday_frames as frames
from picollm.stories import everyday_words as words
from picollm.stories.everyday import (
    copying_drill,
    everyday_stories,
    plain_story,
    specification_story,
)
from picollm.stories.invented import invented_spec
from picollm.stories.spec import SLOTS, StorySpec, parse_prompt, without_article

FIRST_LINE = "Write a short story that follows this story specification."
# The slots that a sentence of each position must use, written down independently of the frames.
POSITIONS = {
    "TITLE_SCENE": {"title", "setting", "protagonist", "companion"},
    "SCENE": {"setting", "protagonist", "companion"},
    "TITLE_ONLY": {"title"},
    "RULE": {"rule"},
    "OBJECT": {"object"},
    "MIDDLE": set(),
    "TWIST": {"twist"},
    "ENDING": set(),
    "CLOSING_TITLE": {"title"},
}


def seen_spec(rng: random.Random) -> StorySpec:
    return StorySpec(
        title=f"The {rng.choice(['Salt', 'Paper', 'Hollow'])} Lantern",
        setting=f"an abandoned {rng.choice(['ferry station', 'mill'])}",
        protagonist=rng.choice(["Mara", "Ines"]),
        companion=rng.choice(["Tomas", "Odo"]),
        object=rng.choice(["an unlabelled jar", "a brass bell"]),
        rule="never open the cellar door after dark",
        twist="the caller had been standing behind the door all along",
    )


def specification_and_story(document: str) -> tuple[StorySpec, str]:
    prompt, story = document.split("Story:\n")
    assert prompt.startswith(FIRST_LINE + "\n")
    spec = parse_prompt(prompt.replace("short story", "short horror story", 1) + "Story:\n")
    return spec, story


def contains(story: str, phrase: str) -> bool:
    return re.search(rf"(?<![A-Za-z]){re.escape(phrase)}(?![A-Za-z])", story) is not None


def corpus(count: int = 1500, share: float = 0.5, seed: int = 7) -> list[str]:
    return list(everyday_stories(random.Random(seed), count, share, seen_spec))


def test_specification_story_repeats_every_value_of_the_specification_it_shows():
    for document in corpus(share=1.0):
        if not document.startswith("Write"):
            continue
        spec, story = specification_and_story(document)
        for slot in SLOTS:
            value = getattr(spec, slot)
            if slot == "object":
                assert contains(story, value) or contains(story, f"the {without_article(value)}"), document
            else:
                assert contains(story, value), document


def test_specification_story_shows_the_specification_it_was_given():
    rng = random.Random(3)
    for _ in range(200):
        spec = invented_spec(rng)
        assert specification_and_story(specification_story(rng, spec))[0] == spec


@pytest.mark.parametrize("position", POSITIONS)
def test_every_frame_of_a_position_uses_its_slots_and_there_are_a_dozen(position):
    sentences = getattr(frames, position)
    assert len(set(sentences)) == len(sentences) >= 12
    others = {"protagonist", "companion"} | POSITIONS[position]
    for sentence in sentences:
        used = {name.replace("the_object", "object") for name in re.findall(r"\{(?:a:)?(\w+)\}", sentence)}
        assert POSITIONS[position] <= used and used & set(SLOTS) <= others, sentence
        assert "{a:object}" not in sentence and sentence.count("object}") <= 1


def test_every_layout_uses_every_slot_and_the_title_once():
    slots_of = {id(getattr(frames, name)): slots for name, slots in POSITIONS.items()}
    for layout in frames.LAYOUTS:
        used = [slot for position in layout for slot in slots_of[id(position)]]
        assert sorted(used) == sorted(SLOTS)


def test_every_placeholder_of_a_plain_story_is_bound_or_has_words():
    bound = {"hero", "friend", "person", "animal", "food", "item", "thing", "place", "spot", "beast"}
    arcs = [sentence for arc in frames.ARCS.values() for step in arc for sentence in step]
    for sentence in [*frames.OPENINGS, *frames.DETAILS, *frames.CLOSINGS, *arcs]:
        names = re.sub(r"\{(?:a:)?(\w+)\}", r"<\1>", sentence)
        assert "{" not in names and "}" not in names
        assert set(re.findall(r"<(\w+)>", names)) <= bound | set(words.WORDS), sentence


def test_shares_of_the_kinds():
    calls = []

    def counting_source(rng):
        calls.append(seen_spec(rng))
        return calls[-1]

    documents = list(everyday_stories(random.Random(11), 4000, 0.5, counting_source))
    specifications = [d for d in documents if d.startswith(FIRST_LINE)]
    drills = [d for d in documents if "\n" in d and not d.startswith(FIRST_LINE)]
    # Binomial, n = 4000: mean n p, bounds of four standard deviations sqrt(n p (1 - p)).
    assert abs(len(specifications) - 1500) < 123  # p = 0.5 * 0.75, sd 30.6
    assert abs(len(drills) - 500) < 84  # p = 0.5 * 0.25, sd 20.9
    told = [specification_and_story(document)[0] for document in specifications]
    assert len(told) == len(calls)
    shown = sum(spec == call for spec, call in zip(told, calls, strict=True))
    assert abs(shown - 600) < 91  # p = 0.5 * 0.75 * 0.4, sd 22.6: the others are invented or altered


def test_share_zero_is_plain_only_and_share_one_has_no_plain_story():
    assert not any("\n" in document for document in corpus(300, 0.0))
    assert all("\n" in document for document in corpus(300, 1.0))


def test_six_in_ten_documents_without_a_specification_are_tales_of_every_shade():
    told = corpus(1000, 0.0)
    tales = [document for document in told if ": never " in document]
    assert abs(len(tales) - 600) < 62  # standard deviation 15.5
    for word in ("corpse", "footsteps", "puppies"):  # dark, eerie, wholesome
        assert any(word in tale for tale in tales)


def test_same_seed_gives_the_same_stream_and_a_shorter_count_its_beginning():
    assert corpus(60) == corpus(60) == corpus(200)[:60]
    assert corpus(60) != corpus(60, seed=8)


def test_documents_come_one_at_a_time():
    endless = everyday_stories(random.Random(7), 10**12, 0.5, seen_spec)
    assert list(islice(endless, 5)) == corpus(5)


def test_a_document_depends_only_on_the_state_it_is_drawn_from():
    rng = random.Random(7)
    stream = everyday_stories(rng, 20, 0.5, seen_spec)
    list(islice(stream, 10))
    copy = random.Random()
    copy.setstate(rng.getstate())
    assert list(stream) == list(everyday_stories(copy, 10, 0.5, seen_spec))


def test_text_has_no_doubled_spaces_and_the_right_articles_and_hardly_ever_a_doubled_word():
    doubled = 0
    for document in corpus(3000):
        assert "  " not in document and "{" not in document and document == document.strip()
        doubled += bool(re.search(r"\b(\w+) \1\b", document))
        assert not re.search(
            r"\b[Aa] (?!eu|ewe|one|uni|use|ut)[AEIOUaeiou]|\b[Aa]n (?!heir|hour)[b-df-hj-np-tv-z]", document
        ), document
        assert not re.search(r"\b(?:an?|the) (?:an?|the|never)\b", document), document
    assert doubled <= 2  # a scrambled value may end with the word that follows it


def test_every_sentence_begins_with_a_capital_and_the_text_ends_with_a_stop():
    rng = random.Random(4)
    for story in [plain_story(rng) for _ in range(500)]:
        assert re.match(r'"?[A-Z]', story) and re.search(r'[.!?]"?$', story), story
        assert not re.search(r"\. [a-z]", story), story


def test_documents_are_short():
    rng = random.Random(9)
    plain = [len(plain_story(rng).split()) for _ in range(500)]
    assert 50 < sum(plain) / 500 < 70 and min(plain) >= 30 and max(plain) <= 95
    told = [specification_story(rng, invented_spec(rng)).split("Story:\n")[1] for _ in range(500)]
    assert {len(layout) for layout in frames.LAYOUTS} == {5, 6}
    assert 70 < sum(len(story.split()) for story in told) / 500 < 95


def test_drill_names_its_entries_again():
    rng = random.Random(2)
    for _ in range(300):
        first, second = copying_drill(rng).split("\n")
        entries = first.removesuffix(".").split(": ", 1)[1].split(", ")
        assert 3 <= len(entries) <= 5
        if second.startswith("The first is"):
            entries = [entries[0], entries[-1]]
        assert all(contains(second, entry) for entry in entries)


def test_vocabulary_is_wide_and_the_corpus_knows_the_words_of_the_night():
    listed = [words.THINGS, words.PLACES, words.ANIMALS, words.PEOPLE, words.FOODS, words.MATERIALS]
    listed += [words.COLOURS, words.LOOKS, words.TEMPERS, words.AIRS, words.FEELINGS, words.MANNERS]
    listed += [words.INTRANSITIVE, [forms[0] for forms in words.TRANSITIVE]]
    assert all(len(set(part)) == len(part) for part in listed)
    assert all(len(forms) == 3 for forms in words.TRANSITIVE)
    assert len({word for part in listed for word in part}) >= 700
    text = " ".join(corpus(2000, 0.0)).lower()
    night = (
        "dark",
        "cold",
        "night",
        "afraid",
        "quiet",
        "blood",
        "grave",
        "scream",
        "whisper",
        "shadow",
        "bone",
    )
    assert [word for word in (*night, "door", "breath") if not contains(text, word)] == []
