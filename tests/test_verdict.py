import dataclasses
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
RULE = {"dread": 1.0, "length": 0.0, "ending": 0.0}


def run(name="HEAD", shift=0.0, kl=2.0, ended=0.95, correct=0.8, seed=1, reward=True, prompts=PROMPTS, ids="p"):
    """64 reference samples of reward N(0, 1) and 8 of the policy, moved by `shift`, for each prompt."""
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(prompts):
        for model, count, mean in (("sft", 64, 0.0), ("dpo", 8, shift)):
            for number in range(count):
                row = {"model": model, "split": "test", "id": f"{ids}{prompt}", "number": number}
                row |= {"ended": rng.random() < ended, "reward": rng.normal(mean, 1.0)}
                rows.append(row | {"kl": kl * rng.uniform(0.9, 1.1) if model == "dpo" else 0.0, "adherence": 0.9})
    samples = pd.DataFrame(rows) if reward else pd.DataFrame(rows).drop(columns="reward")
    pairs = pd.DataFrame({"id": [f"a{n}" for n in range(200)], "correct": (rng.random(200) < correct) * 1.0})
    return Run(name, samples, pairs.assign(split="test", ceiling=0.9 if reward else 1.0), RULE)


def chance_run(rng, prompts=100, samples=2):
    """A run without a true reward, whose other four measures are chance; prompts differ in KL and adherence."""
    shape = (prompts, samples)
    kl = rng.gamma(9, 1 / 9, (prompts, 1)) * rng.gamma(4, 1 / 4, shape)
    adherence = rng.binomial(8, rng.beta(9, 1, (prompts, 1)), shape) / 8
    columns = {"kl": kl.ravel(), "adherence": adherence.ravel(), "ended": rng.random(prompts * samples) < 0.9}
    ids = np.repeat([f"p{n}" for n in range(prompts)], samples)
    pairs = pd.DataFrame({"id": [f"a{n}" for n in range(100)], "correct": (rng.random(100) < 0.8) * 1.0})
    return Run("chance", pd.DataFrame(columns).assign(model="dpo", id=ids), pairs, RULE)


def table(before, after):
    """The lines of the measures, by name."""
    found = lines(before, after)[2:]
    return {name: line for name in verdict.NAMES for line in found if line.startswith(f"{name}  ")}


def sentence(before, after):
    """The conclusion, of which the lines before say what was measured, and those after what decided."""
    return next(line for line in lines(before, after) if line.startswith(("Better", "Worse", "Cannot tell", "Equal")))


def test_runs_of_two_rules_have_no_verdict():
    before, after = run(), dataclasses.replace(run(kl=3.0, shift=1.0, name="length"), rule=RULE | {"length": 0.1})
    assert lines(before, after)[-1] == verdict.OTHER_RULES
    assert set(differences(before, after)) == {"KL, nats", "adherence", "ended"}
    assert not any("ceiling" in line for line in lines(before, after))


def test_a_difference_has_the_paired_interval_of_the_prompts():
    before, after = run(seed=1), run(shift=0.5, seed=2)
    found = differences(before, after)["reward"]
    means = [r.of_model("dpo").groupby("id", sort=False)["reward"].mean().to_numpy() for r in (before, after)]
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
        one.samples["reward"] += hard  # prompts differ far more than runs
    paired = differences(before, after)["reward"]
    other = run(ids="q")
    other.samples["reward"] += hard.to_numpy()
    unpaired = differences(before, other)["reward"]
    assert paired.low == paired.high == 0
    assert unpaired.high - unpaired.low > 50


def test_less_kl_for_the_same_gain_is_better_and_the_reverse_is_worse():
    wasteful, thrifty = run(shift=0.8, kl=20.0), run("beta0.5", shift=0.8, kl=2.0, seed=3)
    assert sentence(wasteful, thrifty).startswith("Better in kl_efficiency (")
    assert sentence(thrifty, wasteful).startswith("Worse in kl_efficiency (")


def test_a_gain_that_is_a_little_lower_does_not_count_against_a_higher_efficiency():
    wasteful, thrifty = run(shift=1.0, kl=20.0), run(shift=0.93, kl=2.0)
    assert differences(wasteful, thrifty)["gain"].sign() == -1
    found = sentence(wasteful, thrifty)
    assert re.match(r"Better in kl_efficiency .*; gain \(1\.\S* to 0\.9\S*\) counts as equal\.$", found)
    assert sentence(run(shift=1.0, kl=20.0), run(shift=0.5, kl=2.0)).startswith(
        "Cannot tell, a trade: better in kl_eff"
    )


def test_stories_that_end_less_often_are_a_price():
    assert sentence(run(shift=0.8), run(shift=0.8, ended=0.7)).startswith("Worse in ended (0.9")
    found = sentence(run(shift=0.8, kl=20.0), run(shift=0.8, kl=2.0, ended=0.7))
    assert found.startswith("Cannot tell, a trade: better in kl_efficiency") and "; worse in ended (0.9" in found


def test_noise_is_called_noise_and_says_how_many_prompts_would_tell():
    before, after = run(shift=0.8, seed=1), run(shift=0.8, seed=2)
    assert sum("within noise" in line for line in table(before, after).values()) >= 5
    found = re.match(r"Cannot tell: all that counts is within noise\. About ([\d,]+) prompts", sentence(before, after))
    needed = int(found[1].replace(",", ""))
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
    text, *_ = conclusion(noisy | {"KL, nats": Difference(1.0, 1.0, -1.0, 1.0)}, prompts=10)
    # Half the interval is 3 times the difference, and two measures count: 2.2414 standard errors decide at 97.5 %, and 0.8416 more
    # give a power of 80 %.
    assert (
        f"About {math.ceil(10 * 9 * ((2.2414 + 0.8416) / 1.96) ** 2)} prompts would tell a difference in gain" in text
    )


def test_the_interval_that_decides_widens_with_the_number_of_measures():
    # The 95 % interval is 1.96 standard errors to each side; at 98.75 %, of four measures, 2.4977.
    widening = 2.4977 / 1.95996 - 1
    for low, sign in ((widening - 0.001, 0), (widening + 0.001, 1)):
        rise, fall = Difference(0.0, low + 1, low, low + 2), Difference(0.0, -low - 1, -low - 2, -low)
        assert (rise.sign(), rise.sign(4), fall.sign(), fall.sign(4)) == (1, sign, -1, -sign)
    equal = {name: Difference(1.0, 1.0, -1.0, 1.0) for name in ("kl_efficiency", "adherence", "ended")}
    text, decides, _ = conclusion({"gain": Difference(0.0, 1.2, 0.2, 2.2)} | equal, prompts=10)
    assert text.startswith("Cannot tell: all that counts is within noise.")
    assert decides.startswith("What counts: gain, kl_efficiency, adherence, ended, each if its 98.75 % interval excl")


def test_of_200_pairs_of_runs_that_differ_by_chance_at_most_7_in_100_get_a_verdict():
    rng = np.random.default_rng(1)
    texts = [conclusion(differences(chance_run(rng), chance_run(rng)), 100)[0] for _ in range(200)]
    assert sum(not text.startswith("Cannot tell: all that counts is within noise.") for text in texts) <= 14


def test_exchanging_the_runs_exchanges_better_and_worse():
    exchanged = {"Better": "Worse", "Worse": "Better", "Cannot": "Cannot"}
    base = run(shift=0.8, kl=4.0)
    others = [run(shift=shift, kl=kl, seed=2) for shift in (0.5, 0.75, 0.9, 3.0) for kl in (2.0, 8.0)]
    found = [[sentence(*pair).split()[0] for pair in ((base, other), (other, base))] for other in others]
    assert [exchanged[one] for one, _ in found] == [other for _, other in found]
    assert {one for one, _ in found} == set(exchanged)


@pytest.mark.parametrize(("lesser", "equal"), [(0.905, True), (0.895, False)])
def test_gains_count_as_equal_within_a_tenth_of_the_larger_in_either_order(lesser, equal):
    change = 1 - lesser  # 0.095 is more than a tenth of 0.905
    falls = {"gain": Difference(1.0, lesser, -change - 0.01, 0.01 - change)}
    falls |= {"kl_efficiency": Difference(0.1, 0.5, 0.3, 0.5)}
    rises = {"gain": Difference(lesser, 1.0, change - 0.01, change + 0.01)}
    rises |= {"kl_efficiency": Difference(0.5, 0.1, -0.5, -0.3)}
    for found, start in ((falls, "Better in kl_eff"), (rises, "Worse in kl_eff")):
        assert conclusion(found, prompts=10)[0].startswith(start if equal else "Cannot tell, a trade")


def test_different_sft_samples_and_numbers_of_samples_are_named():
    before, after = run(shift=0.8), run("strong", shift=0.8)
    first = ~((before.samples["model"] == "dpo") & (before.samples["number"] > 4))
    fewer = dataclasses.replace(before, samples=before.samples[first])
    assert lines(before, after)[0] == "strong against HEAD: 40 test prompts, 8 samples each, temperature 1, no top-p"
    assert lines(fewer, after)[0].startswith("strong against HEAD: 40 test prompts, 8 against 5 samples each")
    assert lines(run(prompts=20), after)[0].startswith(
        "strong against HEAD: 40 against 20 test prompts, 8 samples each"
    )
    assert verdict.OTHER_REFERENCES not in lines(fewer, after)
    assert verdict.OTHER_REFERENCES in lines(run(shift=0.8, seed=2), after)


def test_a_verdict_ends_with_its_caveats():
    last = lines(run(shift=0.8), run(shift=0.8, ended=0.7))[-1]
    assert (
        "Choosing among several runs by these test prompts is optimistic." in last and "one training run each" in last
    )


def test_beyond_the_known_optimum_the_kl_counts_itself():
    before, after = run(shift=5.0, kl=20.0), run(shift=5.0, kl=2.0)
    assert "unknown: the optimum is not known that far" in table(before, after)["kl_efficiency"]
    assert sentence(before, after).startswith("Better in KL, nats (20")


def test_an_efficiency_at_a_gain_within_its_noise_is_unknown_and_says_so():
    before, after = run(shift=0.8, kl=2.0), run(shift=0.02, kl=1.0)
    assert re.search(r" unknown  unknown: a gain is unknown or below the w", table(before, after)["kl_efficiency"])
    assert "KL, nats (2" in sentence(before, after)


def test_an_sft_model_whose_reward_does_not_vary_knows_no_gain():
    flat = run(shift=0.8)
    flat.samples.loc[flat.samples["model"] == "sft", "reward"] = 0.0
    assert "unknown: SFT's reward hardly varies within a prompt" in table(flat, run(shift=0.8))["gain"]


def test_one_prompt_or_one_pair_has_no_interval():
    before, after = run(prompts=1, shift=0.8), run(prompts=1, shift=0.9, kl=20.0, seed=2)
    found = table(before, after)
    assert "within noise" in found.pop("reward accuracy")
    assert all("unknown: one prompt has no interval" in line for line in found.values())
    assert sentence(before, after) == "Cannot tell: all that counts is within noise."
    assert sentence(before, before) == "Equal: nothing differs."
    assert sentence(before, Run("same pairs", after.samples, before.pairs, RULE)).startswith("Cannot tell")
    single = [Run(r.name, r.samples, r.pairs[:1], RULE) for r in (before, after)]
    assert "unknown: one pair has no interval" in table(*single)["reward accuracy"]


def test_a_few_resamples_beyond_the_known_optimum_in_both_runs_leave_the_interval_known():
    before, after = np.linspace(0.4, 0.6, 1001), np.linspace(0.6, 0.8, 1001)
    for count, known in ((20, True), (30, False)):  # 2 and 3 of 100, on either side of the 2.5 below an interval
        before[-count:] = after[-count:] = np.inf
        found = verdict._difference("kl_efficiency", before, after, units=10)
        assert found.unknown == ("" if known else verdict.BEYOND)
        assert (found.low, found.high) == pytest.approx((0.2, 0.2) if known else (-np.inf, np.inf))


def test_without_a_true_reward_the_accuracy_counts_and_there_is_no_ceiling():
    before, after = run(reward=False, correct=0.6), run(reward=False, correct=0.9)
    assert list(table(before, after)) == ["KL, nats", "adherence", "ended", "reward accuracy"]
    assert "ceiling" not in "".join(lines(before, after))
    assert sentence(before, after).startswith("Better in reward accuracy")
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
    (tmp_path / "params.yaml").write_text("preferences: {rule: {dread: 1.0}}\n")
    read = verdict.read_run(verdict.WORKSPACE)
    assert (read.prompts, list(read.pairs["id"]), read.rule) == (["07"], ["01"], {"dread": 1.0})
