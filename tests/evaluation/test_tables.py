import math
from random import Random

import pandas as pd
import pytest

from picollm.core.errors import DataError
from picollm.core.files import write_jsonl
from picollm.evaluation import tables
from picollm.stories.dread import dread
from picollm.stories.rule import Rule
from picollm.stories.spec import StorySpec, prompt_text
from picollm.stories.story import write_story

SPEC = StorySpec("The Salt Lantern", "a quiet mill", "Ana", "Bo", "an odd jar", "never sing", "the cook had left")
RULE = Rule(dread=2.0, length=0.5, ending=0.0)


def sample(id, number, reader=False, prompt=None, completion="Ana met the corpse."):
    prompt = prompt_text(SPEC) if prompt is None else prompt
    row = {"id": id, "split": "test", "prompt": prompt, "reader": reader, "number": number}
    return row | {"completion": completion, "ended": True}


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """Pairs a and b of test, and of each of two prompts two samples at temperature 1 and one as a reader draws it."""
    monkeypatch.chdir(tmp_path)
    for model, offset in (("sft", 0.0), ("dpo", 1.0)):
        pairs = [{"id": id, "chosen_logps": place + offset, "rejected_logps": -place} for place, id in enumerate("ab")]
        write_jsonl(f"data/scores/{model}/pairs_test.jsonl", pairs)
        drawn = [sample(id, number) for id in "ab" for number in (0, 1)]
        write_jsonl(f"data/samples/{model}.jsonl", [*drawn, *(sample(id, 0, reader=True) for id in "ab")])
        scores = [
            {"id": row["id"], "number": row["number"], "kl": place, "logps": -1.0, "reference_logps": -2.0, "tokens": 4}
            for place, row in enumerate(drawn)
        ]
        write_jsonl(f"data/scores/{model}/samples.jsonl", scores)
    row = {
        "p_chosen": 0.5,
        "stratum": "own",
        "chosen_score": 2,
        "rejected_score": 1,
        "chosen": "The corpse bled.",
        "rejected": "He sang.",
    }
    rows = [{"id": id, **row} for id in "ab"]
    write_jsonl("data/test_pairs/test.jsonl", rows)


def test_pairs_stand_beside_their_scores(scored):
    table = tables.read_pairs("dpo", "test")
    assert table[["id", "chosen_logps", "reference_chosen_logps"]].values.tolist() == [["a", 1, 0], ["b", 2, 1]]
    assert table["words"].tolist() == [1, 1]
    assert table["dread"].tolist() == [dread("The corpse bled.") - dread("He sang.")] * 2
    assert tables.logratios(table, "chosen").tolist() == [1, 1]
    assert tables.logratios(table, "rejected").tolist() == [0, 0]


def test_samples_at_temperature_1_have_a_kl_and_a_readers_have_none(scored):
    table = tables.read_samples("dpo", RULE)
    assert table["kl"].tolist()[:4] == [0, 1, 2, 3] and table["kl"].isna().tolist()[4:] == [True, True]
    assert table["dread"].tolist() == [dread("Ana met the corpse.")] * 6
    assert table["reward"].tolist() == [2 * dread("Ana met the corpse.") + 0.5 * 4] * 6
    assert table["adherence"].tolist() == pytest.approx([1 / 7] * 6)
    assert [label for label, found in table["labels"][0].items() if found] == ["protagonist"]
    assert table["words"].tolist() == [4] * 6
    assert "kl" not in tables.read_samples("sft", RULE)


@pytest.mark.parametrize(
    ("prompt", "present"),
    [("Title: The Mirror\nName: Ana\nRule: never sing\n", {"adherence"}), ("Tell me a story.", set())],
)
def test_dread_is_that_of_specifications_and_adherence_that_of_labelled_prompts(scored, prompt, present):
    write_jsonl("data/samples/sft.jsonl", [sample("a", 0, prompt=prompt)])
    table = tables.read_samples("sft", RULE)
    assert {"adherence", "labels", "dread"} & set(table) == present | ({"labels"} if present else set())
    if present:
        assert table["adherence"].tolist() == pytest.approx([1 / 3])
    write_jsonl("data/samples/sft.jsonl", [sample("a", 0, prompt=prompt), sample("b", 0)])
    assert "dread" not in tables.read_samples("sft", RULE)


def test_sentences_of_the_first_samples_of_a_prompt_are_looked_up_in_the_grammar(scored):
    story = write_story(SPEC, "dark", Random(1))
    texts = [story, "Nothing of this. " + story.split(". ")[0] + "."] + [story] * tables.DERIVED
    write_jsonl("data/samples/sft.jsonl", [sample("a", n, completion=text) for n, text in enumerate(texts)])
    derived = tables.read_samples("sft", RULE)["derived"].tolist()
    assert derived[: tables.DERIVED] == [1, 0.5] + [1] * (tables.DERIVED - 2)
    assert all(map(math.isnan, derived[tables.DERIVED :]))


@pytest.mark.parametrize("rows", [[("a", 0), ("a", 1), ("b", 0)], [("a", 0), ("a", 2), ("b", 0), ("b", 1)]])
def test_scores_of_other_samples_are_refused(scored, rows):
    scores = [{"id": id, "number": number, "kl": 0.0} for id, number in rows]
    write_jsonl("data/scores/dpo/samples.jsonl", scores)
    with pytest.raises(DataError, match="not the scores of these rows"):
        tables.read_samples("dpo", RULE)


def test_scores_of_other_pairs_are_refused(scored):
    write_jsonl("data/scores/dpo/pairs_test.jsonl", [{"id": "a", "chosen_logps": 0.0, "rejected_logps": 0.0}])
    with pytest.raises(DataError, match="not the scores of these rows"):
        tables.read_pairs("dpo", "test")


def test_a_column_is_shaped_by_prompt():
    table = pd.DataFrame({"id": ["b", "b", "a", "a"], "x": [1, 2, 3, 4]})
    assert tables.by_prompt(table, "x").tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("ids", ["aab", "abab", "aaab"])
def test_prompts_with_more_samples_than_others_are_refused(ids):
    with pytest.raises(DataError, match="expected equally many samples of each prompt"):
        tables.by_prompt(pd.DataFrame({"id": list(ids), "x": range(len(ids))}), "x")


def test_models_must_have_the_same_prompts_in_the_same_order_and_may_have_other_numbers_of_samples():
    both = pd.DataFrame([sample("a", 0), sample("b", 0, prompt="y")])
    more = pd.DataFrame([sample("a", 0), sample("a", 1), sample("b", 0, prompt="y"), sample("b", 1, prompt="y")])
    tables.check_same_prompts({"base": both, "sft": both, "dpo": more})
    longer = pd.concat([both, pd.DataFrame([sample("c", 0)])])
    for other in (both[:1], both[::-1], longer, both.assign(prompt=["x", "z"])):
        with pytest.raises(
            DataError, match=r"data/samples/dpo\.jsonl: expected the ids and prompts of data/samples/sft\.jsonl"
        ):
            tables.check_same_prompts({"base": both, "sft": both, "dpo": other})
