import math
from itertools import product
from pathlib import Path
from random import Random

import pytest

from picollm.core import config
from picollm.core.errors import DataError, ParamsError
from picollm.core.files import write_jsonl
from picollm.datagen import datasets
from picollm.datagen.datasets import Specifications, corpus_texts, make_monitor, make_preferences, make_sft
from picollm.datagen.settings import Corpus, Preferences, SftData
from picollm.records.jsonl import PreferenceRecord, SFTRecord
from picollm.stories.compose import Parts
from picollm.stories.dread import dread
from picollm.stories.spec import SLOTS, parse_prompt, prompt_text, with_article, without_article
from picollm.stories.templates import PATTERNS

ROOT = Path(__file__).parents[2]
SEED, WITHHELD = 5, 0.15


def corpus(**changes):
    settings = {
        "source": "everyday",
        "weights": {"everyday": 1.0, "tinystories": 0.0, "files": 1.0},
        "specification_share": 1.0,
        "tinystories": {"path": "nowhere/to-be-found", "revision": "0" * 40},
        "files": "*.txt",
        "documents": 60,
        "validation_documents": 30,
    }
    return Corpus(**{**settings, **changes})


def sft(**changes):
    settings = {
        "source": "templates",
        "files": "data/raw/sft*.jsonl",
        "monitor": "data/raw/monitor*.jsonl",
        "mix": {"wholesome": 0.4, "eerie": 0.3, "dark": 0.3},
        "invented": 0.0,
        "rows": 30,
        "validation_rows": 20,
        "test_rows": 10,
        "monitor_pairs": 8,
    }
    return SftData(**{**settings, **changes})


def preferences(**changes):
    settings = {
        "source": "templates",
        "files": "data/raw/preferences*.jsonl",
        "temperature": 9.5,
        "contrast": 0.5,
        "rows": 30,
        "validation_rows": 20,
        "test_rows": 10,
    }
    return Preferences(**{**settings, **changes})


def specifications():
    return Specifications(SEED, WITHHELD)


def everything(corpus_settings=None, sft_settings=None, preference_settings=None):
    """All sets in the order in which the stage makes them."""
    specs = specifications()
    made = {}
    for split in ("train", "validation"):
        made[f"corpus {split}"] = list(corpus_texts(corpus_settings or corpus(), specs, split))
    made |= {f"sft {split}": rows for split, rows in make_sft(sft_settings or sft(), specs).items()}
    made["monitor"] = make_monitor(sft_settings or sft(), specs)
    made |= {
        f"pairs {split}": rows for split, rows in make_preferences(preference_settings or preferences(), specs).items()
    }
    return made


def part_of(made, *names):
    return {key: rows for key, rows in made.items() if key.startswith(names)}


def prompts_of(rows):
    """The prompts of records, and of the corpus's documents that begin with one."""
    if not isinstance(rows[0], tuple):
        return [record.prompt for record in rows]
    texts = [text.replace("Write a short story", "Write a short horror story", 1) for _, text in rows]
    return [text[: text.index("Story:\n") + 7] for text in texts if "\nStory:\n" in text]


def few_parts():
    """Parts that allow 2 * 2 * 2 * 2 * 2 * 3 = 96 specifications: names * settings * objects * rules * twists * titles."""
    return Parts(
        names=("Ana", "Bo"),
        setting_qualities=("old", "new"),
        setting_places=("mill",),
        object_qualities=("red", "odd"),
        object_things=("jar",),
        rule_actions=("sing", "row"),
        rule_conditions=("at noon",),
        twist_subjects=("the cook", "the clerk"),
        twist_predicates=("had left",),
        title_qualities=("Salt",),
        title_things=("Ferry",),
        title_plurals=("Bells",),
    )


def possible_values(parts):
    """slot -> every value that the parts can make."""
    titles = {f"The {a} {b}" for a, b in product(parts.title_qualities, parts.title_things)}
    titles |= {f"{a} {b}" for a, b in product(parts.title_qualities, parts.title_plurals)}
    titles |= {f"The {a} of {b}" for a, b in product(parts.title_things, parts.title_plurals)}
    return {
        "title": titles,
        "setting": {with_article(f"{a} {b}") for a, b in product(parts.setting_qualities, parts.setting_places)},
        "protagonist": set(parts.names),
        "companion": set(parts.names),
        "object": {with_article(f"{a} {b}") for a, b in product(parts.object_qualities, parts.object_things)},
        "rule": {f"never {a} {b}" for a, b in product(parts.rule_actions, parts.rule_conditions)},
        "twist": {f"{a} {b}" for a, b in product(parts.twist_subjects, parts.twist_predicates)},
    }


def opening_shade(prompt, story):
    """The shade in which the first beat of a story is told."""
    spec = parse_prompt(prompt)
    values = {slot: getattr(spec, slot) for slot in SLOTS}
    shades = [s for s in PATTERNS if any(story.startswith(p.format(**values)) for p in PATTERNS[s]["opening"])]
    assert len(shades) == 1
    return shades[0]


# Specifications


def test_no_specification_stands_in_two_splits_or_two_sets():
    made = everything()
    prompts = [prompt for rows in made.values() for prompt in prompts_of(rows)]
    assert len(prompts_of(made["corpus train"])) > 40  # all but the drills
    assert len(set(prompts)) == len(prompts)


def test_no_specification_is_drawn_twice_even_where_there_are_few():
    specs = specifications()
    specs.seen_parts = few_parts()
    for_corpus = {prompt_text(specs.for_corpus(Random(number))) for number in range(20)}
    drawn = []
    for purpose, split in (("sft", "train"), ("sft", "test"), ("monitor", "validation"), ("preferences", "train")):
        drawn += map(prompt_text, specs.draw(purpose, split, 15))
    assert len(set(drawn)) == 60
    assert not set(drawn) & for_corpus
    with pytest.raises(DataError, match="the parts allow only 96"):
        specs.draw("preferences", "test", 37)


def test_only_the_unseen_split_uses_withheld_parts_and_it_uses_no_others():
    specs = specifications()
    seen, withheld = possible_values(specs.seen_parts), possible_values(specs.withheld_parts)
    made = part_of(everything(), "sft", "monitor", "pairs")
    assert {key for key in made if "unseen" in key} == {"sft unseen", "pairs unseen"}
    for key, rows in made.items():
        allowed, others = (withheld, seen) if "unseen" in key else (seen, withheld)
        for prompt in prompts_of(rows):
            for slot in SLOTS:
                value = getattr(parse_prompt(prompt), slot)
                assert value in allowed[slot] and value not in others[slot], (key, slot)


def test_the_corpus_is_given_seen_parts_alone():
    specs = specifications()
    seen = possible_values(specs.seen_parts)
    for spec in [specs.for_corpus(Random(number)) for number in range(50)]:
        assert all(getattr(spec, slot) in seen[slot] for slot in SLOTS)


def test_the_seed_alone_decides_every_set():
    assert everything() == everything()
    specs, other = Specifications(SEED, WITHHELD), Specifications(SEED + 1, WITHHELD)
    assert specs.draw("sft", "train", 3) != other.draw("sft", "train", 3)
    assert specs.rng("any purpose").random() != other.rng("any purpose").random()  # the parts apart


@pytest.mark.parametrize(
    "changes", [{"temperature": 30.0}, {"contrast": 0.9}, {"rows": 41}, {"validation_rows": 5}, {"test_rows": 13}]
)
def test_other_preferences_leave_corpus_and_sft_rows_as_they_are(changes):
    made, changed = everything(), everything(preference_settings=preferences(**changes))
    assert part_of(changed, "corpus", "sft", "monitor") == part_of(made, "corpus", "sft", "monitor")
    assert part_of(changed, "pairs") != part_of(made, "pairs")


@pytest.mark.parametrize(
    "changes",
    [{"mix": {"wholesome": 0, "eerie": 1, "dark": 1}}, {"rows": 41}, {"validation_rows": 5}, {"monitor_pairs": 12}],
)
def test_other_sft_settings_leave_corpus_and_preferences_as_they_are(changes):
    made, changed = everything(), everything(sft_settings=sft(**changes))
    assert part_of(changed, "corpus", "pairs") == part_of(made, "corpus", "pairs")
    assert part_of(changed, "sft", "monitor") != part_of(made, "sft", "monitor")


@pytest.mark.parametrize("changes", [{"documents": 90}, {"specification_share": 0.3}])
def test_another_corpus_leaves_sft_rows_and_preferences_as_they_are(changes):
    made, changed = everything(), everything(corpus_settings=corpus(**changes))
    assert part_of(changed, "sft", "monitor", "pairs") == part_of(made, "sft", "monitor", "pairs")
    assert part_of(changed, "corpus") != part_of(made, "corpus")


def test_a_temperature_moves_labels_and_never_stories():
    def pairs(temperature):
        return make_preferences(preferences(temperature=temperature), specifications())["train"]

    firm, loose = pairs(1e-3), pairs(1e3)
    assert [{r.chosen, r.rejected} for r in firm] == [{r.chosen, r.rejected} for r in loose]
    assert [r.chosen for r in firm] != [r.chosen for r in loose]


def test_more_rows_begin_with_the_same_rows():
    few, many = everything(), everything(corpus(documents=80), sft(rows=50), preferences(rows=50))
    for key in ("corpus train", "sft train", "pairs train"):
        assert many[key][: len(few[key])] == few[key]
        assert len(many[key]) == len(few[key]) + 20


# corpus_texts


def test_the_everyday_corpus_has_as_many_documents_as_asked_for():
    for split, count in (("train", 60), ("validation", 30)):
        texts = list(corpus_texts(corpus(), specifications(), split))
        assert len(texts) == count
        assert {source for source, _ in texts} == {"everyday"}


def test_the_specification_share_reaches_the_everyday_stories():
    texts = [text for _, text in corpus_texts(corpus(specification_share=0.0), specifications(), "train")]
    assert not any("Story:" in text for text in texts)


def write_stories(tmp_path, monkeypatch, count):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    stories = [f"Story number {number}." for number in range(count)]
    (tmp_path / "data/raw/own.txt").write_text("\n".join(stories))
    return set(stories)


def test_own_stories_are_divided_into_training_and_validation(tmp_path, monkeypatch):
    stories = write_stories(tmp_path, monkeypatch, 1000)
    settings = corpus(source="files", documents=1100, validation_documents=100)
    train, validation = (
        {text for _, text in corpus_texts(settings, specifications(), split)} for split in ("train", "validation")
    )
    assert train | validation == stories
    assert not train & validation
    assert 4 <= len(validation) <= 36  # 2 % of 1000: 20, with a standard deviation of 4.4


def test_two_stories_of_the_users_are_enough(tmp_path, monkeypatch):
    stories = write_stories(tmp_path, monkeypatch, 2)
    train, validation = (
        {text for _, text in corpus_texts(corpus(source="files"), specifications(), split)}
        for split in ("train", "validation")
    )
    assert train | validation == stories and len(train) == len(validation) == 1


def test_a_mix_draws_from_the_sources_that_have_a_weight(tmp_path, monkeypatch):
    stories = write_stories(tmp_path, monkeypatch, 500)
    weights = {"everyday": 3.0, "tinystories": 0.0, "files": 1.0}
    settings = corpus(source="mix", weights=weights, documents=400)
    texts = list(corpus_texts(settings, specifications(), "train"))
    own = [text for source, text in texts if source == "files"]
    assert {source for source, _ in texts} == {"everyday", "files"}
    assert len(texts) == 400 and set(own) <= stories
    # A quarter of 400: mean 100, standard deviation 8.7.
    assert 57 <= len(own) <= 143


def test_a_source_alone_needs_no_weight(tmp_path, monkeypatch):
    write_stories(tmp_path, monkeypatch, 500)
    weights = {"everyday": 1.0, "tinystories": 1.0, "files": 0.0}
    texts = list(corpus_texts(corpus(source="files", weights=weights), specifications(), "train"))
    assert [source for source, _ in texts] == ["files"] * 60


# make_sft and make_monitor


def test_sft_rows_are_stories_of_their_own_specification():
    rows = make_sft(sft(), specifications())
    assert {split: len(records) for split, records in rows.items()} == {
        "train": 30,
        "validation": 20,
        "test": 10,
        "unseen": 10,
    }
    records = [record for split in rows.values() for record in split]
    assert len({record.id for record in records}) == len(records)
    for record in records:
        assert record.prompt == record.input
        spec = parse_prompt(record.prompt)
        for slot in SLOTS:
            value = getattr(spec, slot)
            assert (without_article(value) if slot == "object" else value) in record.response


def test_the_mix_decides_how_many_rows_are_of_each_tone():
    mix = {"wholesome": 3.0, "eerie": 0.0, "dark": 1.0}  # shares need not sum to one
    rows = make_sft(sft(mix=mix, rows=400), specifications())["train"]
    wholesome = [record for record in rows if opening_shade(record.prompt, record.response) == "wholesome"]
    # Three quarters of 400 stories are wholesome and 85 % of those open so: mean 255, standard deviation 9.6.
    assert 207 <= len(wholesome) <= 303
    # 45 wholesome stories open eerie, 85 dark ones dark and 15 eerie: 85 of 145 are dark, and none if all were eerie.
    horror = [record for record in rows if opening_shade(record.prompt, record.response) != "wholesome"]
    dark = [record for record in horror if opening_shade(record.prompt, record.response) == "dark"]
    assert 0.38 < len(dark) / len(horror) < 0.79  # 0.586, standard deviation 0.041


def test_invented_specifications_stand_in_training_rows_alone_and_in_their_share():
    parts = Parts.whole()
    rows = make_sft(sft(invented=0.4, rows=300), specifications())
    invented = {
        split: [r for r in records if parse_prompt(r.prompt).protagonist not in parts.names]
        for split, records in rows.items()
    }
    # 40 % of 300: mean 120, standard deviation 8.5.
    assert 78 <= len(invented["train"]) <= 162
    assert [len(invented[split]) for split in ("validation", "test", "unseen")] == [0, 0, 0]
    plain = make_sft(sft(invented=0.0, rows=300), specifications())
    assert plain["test"] == rows["test"]


def test_monitor_pairs_prefer_the_story_of_more_dread():
    pairs = make_monitor(sft(monitor_pairs=60), specifications())
    assert len(pairs) == len({record.id for record in pairs}) == 60
    for record in pairs:
        assert record.prompt == record.input
        assert record.chosen_score > record.rejected_score
        assert (record.chosen_score, record.rejected_score) == (dread(record.chosen), dread(record.rejected))
        assert (record.p_chosen, record.stratum) == (1.0, "contrast")
        assert opening_shade(record.prompt, record.rejected) != "dark"  # wholesome, or eerie in a wholesome story
        assert opening_shade(record.prompt, record.chosen) != "wholesome"


# make_preferences


@pytest.fixture(scope="module")
def pairs():
    return make_preferences(preferences(rows=400), specifications())


def test_preference_rows_have_counts_ids_and_the_scores_of_their_stories(pairs):
    assert {split: len(rows) for split, rows in pairs.items()} == {
        "train": 400,
        "validation": 20,
        "test": 10,
        "unseen": 10,
    }
    records = [record for rows in pairs.values() for record in rows]
    assert len({record.id for record in records}) == len(records)
    for record in records:
        assert record.prompt == record.input
        assert record.chosen != record.rejected
        assert (record.chosen_score, record.rejected_score) == (dread(record.chosen), dread(record.rejected))
        # Bradley & Terry (1952), at temperature 9.5.
        odds = math.exp((record.chosen_score - record.rejected_score) / 9.5)
        assert record.p_chosen == pytest.approx(odds / (1 + odds))


def test_strata_hold_what_they_say(pairs):
    members = {"contrast": [], "degree": []}
    for record in pairs["train"]:
        shades = [opening_shade(record.prompt, story) for story in (record.chosen, record.rejected)]
        members[record.stratum].append(shades)
        assert shades.count("wholesome") <= (record.stratum == "contrast")
    # Half of 400: mean 200, standard deviation 10.
    assert 150 <= len(members["degree"]) <= 250
    # One story of a contrast pair is wholesome and opens so with chance 0.85; a pair of any kind at most once.
    wholesome = sum(shades.count("wholesome") for shades in members["contrast"])
    assert abs(wholesome - 0.85 * len(members["contrast"])) < 5 * math.sqrt(len(members["contrast"]) * 0.85 * 0.15)
    # One story of a degree pair is eerie and opens dark with chance 0.15, the other is dark and does with 0.85: one a pair.
    dark = sum(shades.count("dark") for shades in members["degree"])
    assert abs(dark - len(members["degree"])) < 5 * math.sqrt(len(members["degree"]) * 2 * 0.85 * 0.15)


@pytest.mark.parametrize(("contrast", "stratum"), [(0.0, "degree"), (1.0, "contrast")])
def test_the_contrast_share_may_be_none_or_all(contrast, stratum):
    rows = make_preferences(preferences(contrast=contrast), specifications())
    assert {record.stratum for records in rows.values() for record in records} == {stratum}


@pytest.mark.parametrize("stratum", ["contrast", "degree"])
def test_labels_contradict_the_rule_about_as_often_as_its_probabilities_imply(pairs, stratum):
    rows = [record for record in pairs["train"] if record.stratum == stratum]
    chances = [1 / (1 + math.exp(abs(r.chosen_score - r.rejected_score) / 9.5)) for r in rows]
    flipped = sum(record.chosen_score < record.rejected_score for record in rows)
    spread = math.sqrt(sum(chance * (1 - chance) for chance in chances))
    assert abs(flipped - sum(chances)) < 4 * spread
    assert 4 * spread < 0.2 * len(rows)  # the bound means something


@pytest.mark.parametrize(("temperature", "fewest", "most"), [(1e-6, 0, 0), (1e9, 75, 125)])
def test_labels_follow_the_rule_in_the_cold_and_chance_in_the_heat(temperature, fewest, most):
    # By chance alone 100 of 200 are flipped, standard deviation 7.1.
    settings = preferences(temperature=temperature, rows=200)
    rows = make_preferences(settings, specifications())["train"]
    assert fewest <= sum(record.chosen_score < record.rejected_score for record in rows) <= most


def test_the_defaults_put_the_ceiling_near_nine_tenths():
    defaults = config.load(Preferences, folder=ROOT).preferences
    settings = preferences(temperature=defaults.temperature, contrast=defaults.contrast, rows=600)
    rows = make_preferences(settings, specifications())["train"]
    assert sum(max(record.p_chosen, 1 - record.p_chosen) for record in rows) / 600 == pytest.approx(0.9, abs=0.02)


# The user's rows


def own_rows(prefix, count, **fields):
    return [{"prompt": f"{prefix} {number}", **fields} for number in range(count)]


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """data/raw/ with rows of the user's, one file for each split."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/raw"
    for split, count in (("train", 3), ("validation", 2), ("test", 1)):
        write_jsonl(folder / f"sft_{split}.jsonl", own_rows(split, count, completion="It ended."))
        pairs = own_rows(split, count, chosen="Blood on the grave.", rejected="The kitten smiled happily.")
        write_jsonl(folder / f"preferences_{split}.jsonl", pairs)
    monitor = own_rows("watch", 5, chosen="A corpse.", rejected="A friendly puppy.")
    write_jsonl(folder / "monitor.jsonl", monitor)
    return folder


def test_own_sft_rows_replace_the_templates(raw):
    rows = make_sft(sft(source="jsonl"), specifications())
    assert {split: [record.prompt for record in records] for split, records in rows.items()} == {
        "train": ["train 0", "train 1", "train 2"],
        "validation": ["validation 0", "validation 1"],
        "test": ["test 0"],
    }
    assert rows["test"][0].response == "It ended."
    assert [row["split"] for row in datasets.prompts(rows)] == ["test"]


def test_own_pairs_are_scored_by_the_rule_and_keep_their_labels(raw):
    rows = make_preferences(preferences(source="jsonl"), specifications())
    assert {split: len(records) for split, records in rows.items()} == {"train": 3, "validation": 2, "test": 1}
    record = rows["test"][0]
    assert (record.chosen_score, record.rejected_score) == (dread(record.chosen), dread(record.rejected))
    assert record.chosen_score > 0 > record.rejected_score
    assert (record.p_chosen, record.stratum) == (None, "own")


def test_the_monitor_follows_the_first_of_the_users_pairs(raw):
    pairs = make_monitor(sft(source="jsonl", monitor_pairs=4), specifications())
    assert [record.prompt for record in pairs] == ["watch 0", "watch 1", "watch 2", "watch 3"]
    assert pairs[0].chosen_score == dread("A corpse.")


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("sft_train", {"prompt": "p"}, r"data/raw/sft_train\.jsonl:1: expected one of response, completion, output"),
        ("sft_test", {"prompt": "p", "response": " "}, r"data/raw/sft_test\.jsonl:1: response"),
        ("preferences_test", {"prompt": "p", "chosen": "c"}, r"data/raw/preferences_test\.jsonl:1: .*rejected"),
    ],
)
def test_a_bad_row_of_the_users_is_named(raw, name, row, message):
    write_jsonl(raw / f"{name}.jsonl", [row])
    with pytest.raises(DataError, match=message):
        make_sft(sft(source="jsonl"), specifications())
        make_preferences(preferences(source="jsonl"), specifications())


def test_missing_rows_of_the_users_name_the_pattern(raw):
    (raw / "monitor.jsonl").unlink()
    with pytest.raises(DataError, match=r"data/raw/monitor\*\.jsonl: no such file"):
        make_monitor(sft(source="jsonl"), specifications())


@pytest.mark.parametrize("pattern", ["elsewhere/*.jsonl", "data/*.jsonl", "data/raw/../*.jsonl", "../*.jsonl"])
def test_rows_outside_data_raw_are_refused_with_their_key(raw, tmp_path, pattern):
    write_jsonl(tmp_path / "data/sft.jsonl", own_rows("p", 30, response="r"))
    with pytest.raises(ParamsError, match=r"^sft\.files: .*expected files in data/raw/"):
        make_sft(sft(source="jsonl", files=pattern), specifications())
    with pytest.raises(ParamsError, match=r"^sft\.monitor: .*expected files in data/raw/"):
        make_monitor(sft(source="jsonl", monitor=pattern), specifications())
    with pytest.raises(ParamsError, match=r"^preferences\.files: .*expected files in data/raw/"):
        make_preferences(preferences(source="jsonl", files=pattern), specifications())


# prompts and describe_*


def row(id, prompt, response):
    return SFTRecord(id, prompt, prompt, response)


def pair(id, prompt, chosen, rejected, p_chosen, stratum="contrast"):
    return PreferenceRecord(id, prompt, prompt, chosen, rejected, 1.0, 0.0, p_chosen, stratum)


def test_prompts_are_those_of_the_test_and_the_unseen_rows():
    rows = {
        split: [row(f"{split}-0", f"prompt of {split}", "r")] for split in ("unseen", "train", "test", "validation")
    }
    assert datasets.prompts(rows) == [
        {"id": "test-0", "split": "test", "prompt": "prompt of test"},
        {"id": "unseen-0", "split": "unseen", "prompt": "prompt of unseen"},
    ]


def test_sft_rows_are_described_by_counts_lengths_and_dread():
    rows = {
        "train": [
            row("a", "p", "one two three"),
            row("b", "p", "one two three"),
            row("c", "q", "one two three"),
            row("f", "p", "a b c d e f g"),
        ],
        "test": [row("d", "q", "corpse"), row("e", "r", "a b c")],
    }
    assert datasets.describe_sft(rows) == {
        "sft.train.rows": 4,
        "sft.train.duplicates": 1,
        "sft.train.words": 4.0,
        "sft.train.words_max": 7,
        "sft.train.dread": 0.0,
        "sft.test.rows": 2,
        "sft.test.duplicates": 0,
        "sft.test.words": 2.0,
        "sft.test.words_max": 3,
        "sft.test.dread": dread("corpse") / 2,
        "sft.shared_prompts": 1,
    }


def test_pairs_are_described_by_counts_lengths_ceilings_and_flips():
    rows = {
        "train": [
            pair("a", "p", "one two", "one", 0.9),
            pair("b", "p", "one two", "one", 0.9),
            pair("c", "q", "one two three four", "one two three", 0.25, "degree"),
            pair("d", "q", "a b c d", "a b c", 0.75, "degree"),
        ],
        "test": [pair("e", "p", "a", "b", None, "own"), pair("f", "q", "a", "b", 0.5, "degree")],
    }
    # Ceilings: mean of max(p, 1 - p); flips: p below one half.
    assert datasets.describe_preferences(rows) == pytest.approx(
        {
            "preferences.train.rows": 4,
            "preferences.train.duplicates": 1,
            "preferences.train.chosen_words": 3.0,
            "preferences.train.rejected_words": 2.0,
            "preferences.train.ceiling": 0.825,
            "preferences.train.flipped": 0.25,
            "preferences.train.contrast.ceiling": 0.9,
            "preferences.train.contrast.flipped": 0.0,
            "preferences.train.degree.ceiling": 0.75,
            "preferences.train.degree.flipped": 0.5,
            "preferences.test.rows": 2,
            "preferences.test.duplicates": 0,
            "preferences.test.chosen_words": 1.0,
            "preferences.test.rejected_words": 1.0,
            "preferences.test.degree.ceiling": 0.5,
            "preferences.test.degree.flipped": 0.0,
            "preferences.shared_prompts": 2,
        }
    )


def test_the_templates_share_no_prompts_and_have_no_duplicates():
    specs = specifications()
    numbers = datasets.describe_sft(make_sft(sft(), specs))
    numbers |= datasets.describe_preferences(make_preferences(preferences(), specs))
    assert {value for key, value in numbers.items() if key.endswith(("shared_prompts", "duplicates"))} == {0}
