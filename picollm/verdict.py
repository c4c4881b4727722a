"""Is one run better than another? Differences of what evaluate measured, with paired intervals, and a sentence."""

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from picollm.core.errors import DataError
from picollm.evaluation.intervals import bootstrap_weights, percentile_interval
from picollm.evaluation.tables import POLICY, REFERENCE, by_prompt
from picollm.evaluation.truth import Truth

SAMPLES, PAIRS = "metrics/details/samples.csv", "metrics/details/pairs.csv"
WORKSPACE = "workspace"
# What is compared, in the order of the lines.
GAIN, EFFICIENCY, KL, REWARD_ACCURACY = "gain", "kl_efficiency", "KL, nats", "reward accuracy"
NAMES = (GAIN, KL, EFFICIENCY, "dread", "adherence", "ended", REWARD_ACCURACY)
# Efficiencies compare at equal gain: gains within this share of each other count as equal.
EQUAL_GAIN = 0.2
POWER = ((1.96 + 0.84) / 1.96) ** 2  # 0.84: the 80 % point of the standard normal distribution
SEEDS = "This is of one training run each; -S dpo.seed=2 and 3 show how far seeds vary."


@dataclass(frozen=True)
class Run:
    """What evaluate measured of one revision: its samples and pairs of the test split."""

    name: str
    samples: pd.DataFrame
    pairs: pd.DataFrame

    def of_model(self, model: str) -> pd.DataFrame:
        return self.samples[self.samples["model"] == model]

    @property
    def prompts(self) -> list[str]:
        return list(dict.fromkeys(self.of_model(POLICY)["id"]))


@dataclass(frozen=True)
class Difference:
    """One measure of two runs, and the interval of their difference; infinite is what is not known."""

    before: float
    after: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 if it rose, -1 if it fell, 0 if neither is certain."""
        return int(self.low > 0) - int(self.high < 0)

    @property
    def known(self) -> bool:
        return bool(np.isfinite([self.before, self.after, self.low, self.high]).all())


def verdict(revisions: list[str], against: str) -> str:
    """The comparison of each revision with `against`, or of the workspace if there are none: about ten lines each."""
    baseline = read_run(against)
    return "\n\n".join("\n".join(lines(baseline, read_run(name))) for name in revisions or [WORKSPACE])


def read_run(revision: str) -> Run:
    """What evaluate wrote at a Git revision or experiment, or in the workspace. Raises DataError if it is not there."""
    tables = [pd.read_csv(io.StringIO(_read(path, revision)), dtype={"id": str}) for path in (SAMPLES, PAIRS)]
    return Run(revision, *(table[table["split"] == "test"] for table in tables))


def _read(path: str, revision: str) -> str:
    if revision == WORKSPACE:
        try:
            return Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}; expected what evaluate writes: dvc repro") from None
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    try:
        return DVCFileSystem(rev=revision).read_text(path, encoding="utf-8")
    except FileNotFoundError:
        raise DataError(
            f"{revision}: {path} is not in DVC's cache; expected a revision that was committed after its dvc repro on this machine, "
            "or dvc pull"
        ) from None
    except DvcException as error:
        raise DataError(f"{revision}: {error}; expected a Git revision or the name of an experiment") from None


def measures(run: Run, weights: np.ndarray, pair_weights: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure of the policy for each row of weights of the prompts [B, P] and of the pairs [B, pairs]: arrays [B]."""
    policy = run.of_model(POLICY)
    values: dict[str, np.ndarray] = {}
    if "dread" in policy:
        rewards = by_prompt(policy, "dread")
        truth = Truth(by_prompt(run.of_model(REFERENCE), "dread"), rewards, by_prompt(policy, "kl")).measures(weights)
        values |= {GAIN: truth["gain"], EFFICIENCY: truth["kl_efficiency"], "dread": weights @ rewards.mean(axis=1)}
    for name, column in ((KL, "kl"), ("adherence", "adherence"), ("ended", "ended")):
        if column in policy:
            values[name] = weights @ by_prompt(policy, column).astype(float).mean(axis=1)
    values[REWARD_ACCURACY] = pair_weights @ run.pairs["correct"].to_numpy()
    return values


def differences(before: Run, after: Run) -> dict[str, Difference]:
    """The measures that both runs have. Runs on the same prompts (or pairs) are resampled together, others independently."""
    estimates, resamples = [], []
    for number, run in enumerate((before, after)):
        weights = []
        for own, others in ((run.prompts, before.prompts), (list(run.pairs["id"]), list(before.pairs["id"]))):
            weights.append(bootstrap_weights(len(own), stream=0 if own == others else number))
        estimates.append(measures(run, *(np.full((1, w.shape[1]), 1 / w.shape[1]) for w in weights)))
        resamples.append(measures(run, *weights))
    found = {}
    for name in NAMES:
        if name in estimates[0] and name in estimates[1]:
            with np.errstate(invalid="ignore"):
                draws = resamples[1][name] - resamples[0][name]
            values = (float(estimate[name][0]) for estimate in estimates)
            found[name] = Difference(*values, *percentile_interval(draws))
    return found


def lines(before: Run, after: Run) -> list[str]:
    """The comparison of two runs."""
    found = differences(before, after)
    samples = len(after.of_model(POLICY)) // len(after.prompts)
    header = f"{after.name} against {before.name}: {len(after.prompts)} test prompts, {samples} samples each, temperature 1, no top-p"
    rows = [header, f"{'':16}{before.name:>18.16}{after.name:>18.16}  difference (95 %)"]
    for name, difference in found.items():
        rows.append(f"{name:16}{_number(difference.before):>18}{_number(difference.after):>18}  {_shown(difference)}")
    ceiling = after.pairs["ceiling"].mean()
    if ceiling < 1:
        rows[-1] += f"; ceiling {ceiling:.3f}"
    return [*rows, conclusion(found, len(after.prompts))]


def conclusion(found: dict[str, Difference], prompts: int) -> str:
    """Better, worse, or cannot tell, and what would settle it.

    Better is what improves something and worsens nothing, beyond noise. What counts is gain, kl_efficiency, adherence and the share
    that ended; KL itself only while the efficiency is unknown, and reward accuracy only if there is no true reward. A gain that
    differs by less than EQUAL_GAIN does not count against the efficiency.
    """
    signs = {name: difference.sign for name, difference in found.items()}
    counted = [name for name in (GAIN, EFFICIENCY, "adherence", "ended") if name in found]
    if GAIN not in found:
        counted.append(REWARD_ACCURACY)
    if EFFICIENCY not in found or not found[EFFICIENCY].known:
        counted, signs[KL] = [name for name in counted if name != EFFICIENCY] + [KL], -signs[KL]
    elif signs[EFFICIENCY] and abs(found[GAIN].after - found[GAIN].before) < EQUAL_GAIN * abs(found[GAIN].before):
        counted.remove(GAIN)
    equal_gain = f"; gain ({_change(found[GAIN])}) counts as equal" if GAIN not in counted and signs.get(GAIN) else ""
    better, worse = (
        ", ".join(f"{name} ({_change(found[name])})" for name in counted if signs[name] == sign) for sign in (1, -1)
    )
    if all(difference.low == difference.high == 0 for difference in found.values() if difference.known):
        return "Equal: nothing differs."
    if better and worse:
        return f"Cannot tell, a trade: better in {better}; worse in {worse}{equal_gain}. Compare at equal gain (dpo.beta, dpo.lr). {SEEDS}"
    if better or worse:
        return f"{'Better' if better else 'Worse'} in {better or worse}{equal_gain}. {SEEDS}"
    return f"Cannot tell: all within noise. {_needed(found, counted, prompts)}{SEEDS}"


def _needed(found: dict[str, Difference], counted: list[str], prompts: int) -> str:
    """How many prompts would tell the clearest of the differences in four of five studies, if it is as large as it looks."""
    factors = {
        name: POWER * ((found[name].high - found[name].low) / 2 / (found[name].after - found[name].before)) ** 2
        for name in counted
        if found[name].known and found[name].after != found[name].before
    }
    if not factors:
        return ""
    name = min(factors, key=factors.get)
    count = math.ceil(factors[name] * prompts)
    return f"About {count:,} prompts would tell a difference in {name} of this size (sample.prompts, sft.test_rows). "


def _change(difference: Difference) -> str:
    return f"{_number(difference.before)} to {_number(difference.after)}"


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "unknown"


def _shown(difference: Difference) -> str:
    if not difference.known:
        return "unknown: the optimum is not known that far; more sample.sft_samples"
    change = difference.after - difference.before
    noise = "" if difference.sign else "   equal" if difference.low == difference.high == 0 else "   within noise"
    return f"{change:+.3g} ({difference.low:+.3g} to {difference.high:+.3g}){noise}"
