import pytest

from picollm.core.files import write_jsonl
from picollm.datagen.corpus import corpus_texts
from picollm.datagen.datasets import make_monitor, make_preferences, make_prompts, make_sft
from picollm.datagen.sources.templates import Specifications
from picollm.records.jsonl import SFTRecord
from picollm.stories.dread import dread
from picollm.stories.spec import SLOTS, parse_prompt
from tests.datagen.examples import SEED, WITHHELD, corpus, preferences, sft, specifications
from tests.datagen.parts import possible_values


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


def test_no_specification_stands_in_two_splits_or_two_sets():
    made = everything()
    prompts = [prompt for rows in made.values() for prompt in prompts_of(rows)]
    assert len(prompts_of(made["corpus train"])) > 40  # all but the drills
    assert len(set(prompts)) == len(prompts)


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


def test_the_seed_alone_decides_every_set():
    assert everything() == everything()
    specs, other = Specifications(SEED, WITHHELD), Specifications(SEED + 1, WITHHELD)
    assert specs.draw("sft", "train", 3) != other.draw("sft", "train", 3)
    assert specs.rng("any purpose").random() != other.rng("any purpose").random()  # the parts apart


@pytest.mark.parametrize(
    "changes",
    [{"temperature": 30.0}, {"contrast": 0.9}, {"rows": 41}, {"validation_rows": 5}, {"test_rows": 13}, {"seed": 2}],
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


def test_the_seed_of_the_preferences_varies_all_training_pairs_and_no_test_pair():
    made, changed = everything(), everything(preference_settings=preferences(seed=2))
    for split in ("test", "unseen"):
        assert changed[f"pairs {split}"] == made[f"pairs {split}"]
    for split in ("train", "validation"):
        prompts, others = (set(prompts_of(rows[f"pairs {split}"])) for rows in (made, changed))
        assert len(prompts) == len(others) and not prompts & others


def test_more_rows_begin_with_the_same_rows():
    few, many = everything(), everything(corpus(documents=80), sft(rows=50), preferences(rows=50))
    for key in ("corpus train", "sft train", "pairs train"):
        assert many[key][: len(few[key])] == few[key]
        assert len(many[key]) == len(few[key]) + 20


# The monitor pairs and the prompts


@pytest.mark.parametrize("source", ["templates", "jsonl"])
def test_without_a_monitor_there_are_no_monitor_pairs(source):
    assert make_monitor(sft(source=source, monitor=None), specifications()) == []


def test_monitor_pairs_come_from_the_users_files_if_the_rows_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pairs = [{"prompt": f"watch {n}", "chosen": "A corpse.", "rejected": "A friendly puppy."} for n in range(5)]
    write_jsonl("data/raw/monitor.jsonl", pairs)
    records = make_monitor(sft(source="jsonl", monitor_pairs=4), specifications())
    assert [record.prompt for record in records] == ["watch 0", "watch 1", "watch 2", "watch 3"]
    assert records[0].chosen_score == dread("A corpse.")


def test_prompts_are_those_of_the_test_and_the_unseen_rows():
    splits = ("unseen", "train", "test", "validation")
    rows = {split: [SFTRecord(f"{split}-0", f"prompt of {split}", f"prompt of {split}", "r")] for split in splits}
    assert make_prompts(rows) == [
        {"id": "test-0", "split": "test", "prompt": "prompt of test"},
        {"id": "unseen-0", "split": "unseen", "prompt": "prompt of unseen"},
    ]
    del rows["unseen"]
    assert [row["split"] for row in make_prompts(rows)] == ["test"]
