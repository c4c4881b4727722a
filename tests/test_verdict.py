import math
import re

import numpy as np
import pandas as pd
import pytest

from picollm import verdict
from picollm.core.errors import DataError
from picollm.evaluation.intervals import DRAWS, Z_95
from picollm.verdict import Difference, Run, conclusion, differences, lines

PROMPTS = 40


def run(name="HEAD", shift=0.0, kl=2.0, ended=0.95, correct=0.8, seed=1, dread=True, prompts=PROMPTS, ids="p"):
    """64 reference samples of dread N(0, 1) and 8 of the policy, moved by `shift`, for each prompt."""
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(prompts):
        for model, count, mean in (("sft", 64, 0.0), ("dpo", 8, shift)):
            for number in range(count):
                row = {"model": model, "split": "test", "id": f"{ids}{prompt}", "number": number}
                row |= {"ended": rng.random() < ended, "dread": rng.normal(mean, 1.0)}
                rows.append(row | {"kl": kl * rng.uniform(0.9, 1.1) if model == "dpo" else 0.0, "adherence": 0.9})
    samples = pd.DataFrame(rows) if dread else pd.DataFrame(rows).drop(columns="dread")
    pairs = pd.DataFrame({"id": [f"a{n}" for n in range(200)], "correct": (rng.random(200) < correct) * 1.0})
    return Run(name, samples, pairs.assign(split="test", ceiling=0.9 if dread else 1.0))


def sentence(before, after):
    return lines(before, after)[-1]


def test_a_difference_has_the_paired_interval_of_the_prompts():
    before, after = run(seed=1), run(shift=0.5, seed=2)
    found = differences(before, after)["dread"]
    means = [r.of_model("dpo").groupby("id", sort=False)["dread"].mean().to_numpy() for r in (before, after)]
    change = means[1] - means[0]
    spread = Z_95 * change.std(ddof=1) / np.sqrt(PROMPTS)
    assert found.after - found.before == pytest.approx(change.mean())
    # The ends of a bootstrap interval of DRAWS draws vary by a few per cent.
    assert [found.low, found.high] == pytest.approx([change.mean() - spread, change.mean() + spread], abs=0.1 * spread)
    assert DRAWS == 1000


def test_what_the_same_prompts_share_cancels_and_what_other_prompts_share_does_not():
    before, after = run(), run()
    hard = after.samples["id"].map({f"p{n}": 10.0 * n for n in range(PROMPTS)})
    for one in (before, after):
        one.samples["dread"] += hard  # prompts differ far more than runs
    paired = differences(before, after)["dread"]
    other = run(ids="q")
    other.samples["dread"] += hard.to_numpy()
    unpaired = differences(before, other)["dread"]
    assert paired.low == paired.high == 0
    assert unpaired.high - unpaired.low > 50


def test_less_kl_for_the_same_gain_is_better_and_the_reverse_is_worse():
    wasteful, thrifty = run(shift=0.8, kl=20.0), run("beta0.5", shift=0.8, kl=2.0, seed=3)
    assert sentence(wasteful, thrifty).startswith("Better in kl_efficiency (")
    assert sentence(thrifty, wasteful).startswith("Worse in kl_efficiency (")


def test_a_gain_that_is_a_little_lower_does_not_count_against_a_higher_efficiency():
    wasteful, thrifty = run(shift=1.0, kl=20.0), run(shift=0.88, kl=2.0)
    assert differences(wasteful, thrifty)["gain"].sign == -1
    found = sentence(wasteful, thrifty)
    assert found.startswith("Better in kl_efficiency") and re.search(
        r"; gain \(1\.\S* to 0\.9\S*\) counts as equal\. ", found
    )
    assert sentence(run(shift=1.0, kl=20.0), run(shift=0.5, kl=2.0)).startswith(
        "Cannot tell, a trade: better in kl_eff"
    )


def test_stories_that_end_less_often_are_a_price():
    assert sentence(run(shift=0.8), run(shift=0.8, ended=0.7)).startswith("Worse in ended (0.9")
    found = sentence(run(shift=0.8, kl=20.0), run(shift=0.8, kl=2.0, ended=0.7))
    assert found.startswith("Cannot tell, a trade: better in kl_efficiency") and "; worse in ended (0.9" in found


def test_noise_is_called_noise_and_says_how_many_prompts_would_tell():
    found = lines(run(shift=0.8, seed=1), run(shift=0.8, seed=2))
    assert sum("within noise" in line for line in found) >= 5
    assert found[-1].startswith("Cannot tell: all within noise. About ")
    needed = int(re.search(r"About ([\d,]+) prompts", found[-1])[1].replace(",", ""))
    assert needed > PROMPTS


def test_a_run_compared_with_itself_is_equal():
    found = lines(run(shift=0.8), run(shift=0.8))
    assert found[-1] == "Equal: nothing differs."
    assert all("equal" in line for line in found[2:-1])


def test_runs_are_equal_although_the_optimum_is_not_known():
    beyond = run(shift=5.0)
    assert "unknown" in "".join(lines(beyond, beyond))
    assert sentence(beyond, beyond) == "Equal: nothing differs."


def test_the_number_of_prompts_grows_with_the_square_of_the_interval():
    noisy = {"gain": Difference(1.0, 1.1, -0.2, 0.4), "kl_efficiency": Difference(0.5, 0.5, -1.0, 1.0)}
    text = conclusion(noisy | {"KL, nats": Difference(1.0, 1.0, -1.0, 1.0)}, prompts=10)
    # Half the interval is 3 times the difference; for a power of 80 % (2.8 / 1.96)^2 as many.
    assert f"About {math.ceil(10 * 9 * (2.8 / 1.96) ** 2)} prompts would tell a difference in gain" in text


def test_beyond_the_known_optimum_the_kl_counts_itself():
    before, after = run(shift=5.0, kl=20.0), run(shift=5.0, kl=2.0)
    found = lines(before, after)
    assert "unknown: the optimum is not known that far" in next(line for line in found if "kl_efficiency" in line)
    assert found[-1].startswith("Better in KL, nats (20")


def test_without_a_true_reward_the_accuracy_counts_and_there_is_no_ceiling():
    before, after = run(dread=False, correct=0.6), run(dread=False, correct=0.9)
    found = lines(before, after)
    assert [line.split()[0] for line in found[2:-1]] == ["KL,", "adherence", "ended", "reward"]
    assert "ceiling" not in "".join(found)
    assert found[-1].startswith("Better in reward accuracy")
    assert "ceiling 0.900" in "".join(lines(run(), run()))


# Reading


def test_a_workspace_without_an_evaluation_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"metrics/details/samples\.csv: No such file.*expected what evaluate writes"):
        verdict.read_run(verdict.WORKSPACE)


def test_only_the_test_split_is_compared_and_ids_are_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics/details").mkdir(parents=True)
    (tmp_path / verdict.SAMPLES).write_text("model,split,id,number,ended\ndpo,test,07,0,True\ndpo,unseen,08,0,True\n")
    (tmp_path / verdict.PAIRS).write_text("split,id,correct,ceiling\ntest,01,1.0,0.9\nunseen,02,1.0,0.9\n")
    read = verdict.read_run(verdict.WORKSPACE)
    assert (read.prompts, list(read.pairs["id"])) == (["07"], ["01"])
