"""Is one run better than another? Differences of what evaluate measured, with paired intervals, and a sentence."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import yaml

from picollm.core.errors import DataError
from picollm.evaluation.intervals import bootstrap_weights, percentile_interval
from picollm.evaluation.tables import POLICY, REFERENCE, by_prompt
from picollm.evaluation.truth import Truth

SAMPLES, PAIRS = "metrics/details/samples.csv", "metrics/details/pairs.csv"
WORKSPACE = "workspace"
# What is compared, in the order of the lines.
GAIN, EFFICIENCY, KL, REWARD_ACCURACY = "gain", "kl_efficiency", "KL, nats", "reward accuracy"
NAMES = (GAIN, KL, EFFICIENCY, "reward", "adherence", "ended", REWARD_ACCURACY)
OF_RULE = (GAIN, EFFICIENCY, "reward", REWARD_ACCURACY)
# Efficiencies compare at equal gain: gains that differ by less than this share of the larger count as equal.
EQUAL_GAIN = 0.1
Z_POWER = NormalDist().inv_cdf(0.8)
# Why a difference is unknown, and what to change.
ONE_PROMPT = "one prompt has no interval; more sample.prompts"
ONE_PAIR = "one pair has no interval; more preferences.test_rows"
FLAT = "SFT's reward hardly varies within a prompt; more sample.sft_samples"
SMALL_GAIN = "a gain is unknown or below the width of its interval; more sample.prompts"
BEYOND = "the optimum is not known that far; more sample.sft_samples"
OTHER_REFERENCES = (
    "The SFT samples of the two runs differ, so their SFT models may: what is relative to SFT (gain, KL, kl_efficiency) "
    "then has different references."
)
OTHER_RULES = (
    "No verdict: the two runs have different rules (preferences.rule), so gain, kl_efficiency, reward and reward accuracy do not "
    "compare, and are left out."
)
CAVEATS = (
    "Choosing among several runs by these test prompts is optimistic. "
    "This is of one training run each; -S dpo.seed=2 and 3 show how far seeds vary."
)


@dataclass(frozen=True)
class Run:
    """What evaluate measured of one revision: its samples and pairs of the test split, and the rule of its labels."""

    name: str
    samples: pd.DataFrame
    pairs: pd.DataFrame
    rule: dict[str, float] | None

    def of_model(self, model: str) -> pd.DataFrame:
        return self.samples[self.samples["model"] == model]

    @property
    def prompts(self) -> list[str]:
        return list(dict.fromkeys(self.of_model(POLICY)["id"]))


@dataclass(frozen=True)
class Difference:
    """One measure of two runs, the 95 % interval of their difference, and why that is unknown if it is."""

    before: float
    after: float
    low: float
    high: float
    unknown: str = ""

    def sign(self, tests: int = 1) -> int:
        """1 if it rose, -1 if it fell, 0 if neither is certain or it is unknown. As one of several tests that share an error of 5 %
        (Bonferroni), the interval is wider by as much as a normal distribution's."""
        if self.unknown:
            return 0
        widening = (_z(tests) / _z(1) - 1) * (self.high - self.low) / 2
        return int(self.low - widening > 0) - int(self.high + widening < 0)

    @property
    def agrees(self) -> bool:
        """Whether the runs agree in it; of what is unknown in both, that it is."""
        if self.unknown:
            return np.array_equal([self.before], [self.after], equal_nan=True)
        return self.low == self.high == 0


def verdict(revisions: list[str], against: str) -> str:
    """The comparison of each revision with `against`, or of the workspace if there are none: about ten lines each."""
    baseline = read_run(against)
    return "\n\n".join("\n".join(lines(baseline, read_run(name))) for name in revisions or [WORKSPACE])


def read_run(revision: str) -> Run:
    """What evaluate wrote at a Git revision or experiment, or in the workspace. Raises DataError if it is not there."""
    tables = [pd.read_csv(io.StringIO(_read(path, revision)), dtype={"id": str}) for path in (SAMPLES, PAIRS)]
    rule = yaml.safe_load(_read("params.yaml", revision))["preferences"].get("rule")
    return Run(revision, *(table[table["split"] == "test"] for table in tables), rule)


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
    if "reward" in policy:
        rewards = by_prompt(policy, "reward")
        truth = Truth(by_prompt(run.of_model(REFERENCE), "reward"), rewards, by_prompt(policy, "kl")).measures(weights)
        values |= {GAIN: truth["gain"], EFFICIENCY: truth["kl_efficiency"], "reward": weights @ rewards.mean(axis=1)}
    for name, column in ((KL, "kl"), ("adherence", "adherence"), ("ended", "ended")):
        if column in policy:
            values[name] = weights @ by_prompt(policy, column).astype(float).mean(axis=1)
    values[REWARD_ACCURACY] = pair_weights @ run.pairs["correct"].to_numpy()
    return values


def differences(before: Run, after: Run) -> dict[str, Difference]:
    """The measures that both runs have, those of the true reward only if it is of one rule. Runs on the same prompts (or pairs) are
    resampled together, others independently."""
    measured = []
    for number, run in enumerate((before, after)):
        weights = []
        for own, others in ((run.prompts, before.prompts), (list(run.pairs["id"]), list(before.pairs["id"]))):
            stream = 0 if own == others else number
            weights.append(np.vstack([np.full(len(own), 1 / len(own)), bootstrap_weights(len(own), stream=stream)]))
        measured.append(measures(run, *weights))
    found = {}
    names = NAMES if before.rule == after.rule else [name for name in NAMES if name not in OF_RULE]
    for name in names:
        if all(name in values for values in measured):
            units = min(len(run.pairs if name == REWARD_ACCURACY else run.prompts) for run in (before, after))
            found[name] = _difference(name, *(values[name] for values in measured), units)
    return found


def _difference(name: str, before: np.ndarray, after: np.ndarray, units: int) -> Difference:
    """The difference of a measure over so many prompts or pairs, from its estimate and resamples [1 + B] in both runs."""
    with np.errstate(invalid="ignore"):
        draws = after[1:] - before[1:]
    low, high = (_lowest(draws), -_lowest(-draws)) if units > 1 else (-math.inf, math.inf)
    numbers = (float(before[0]), float(after[0]), low, high)
    if np.isfinite(numbers).all():
        return Difference(*numbers)
    if units == 1:
        return Difference(*numbers, ONE_PAIR if name == REWARD_ACCURACY else ONE_PROMPT)
    if name == GAIN:
        return Difference(*numbers, FLAT)
    return Difference(*numbers, SMALL_GAIN if np.isnan(numbers).any() else BEYOND)


def _lowest(draws: np.ndarray) -> float:
    """The lower end of the 95 % interval of draws, of which nan, infinite less infinite, may be anything."""
    return percentile_interval(np.where(np.isnan(draws), -np.inf, draws))[0]


def lines(before: Run, after: Run) -> list[str]:
    """The comparison of two runs."""
    found = differences(before, after)
    prompts, samples = (
        f"{new}" if new == old else f"{new} against {old}"
        for new, old in zip(_sizes(after), _sizes(before), strict=True)
    )
    header = (
        f"{after.name} against {before.name}: {prompts} test prompts, {samples} samples each, temperature 1, no top-p"
    )
    rows = [header, f"{'':16}{before.name:>18.16}{after.name:>18.16}  difference (95 %)"]
    for name, difference in found.items():
        rows.append(f"{name:16}{_number(difference.before):>18}{_number(difference.after):>18}  {_shown(difference)}")
    ceiling = after.pairs["ceiling"].mean()
    if ceiling < 1 and REWARD_ACCURACY in found:
        rows[-1] += f"; ceiling {ceiling:.3f}"
    old, new = (run.of_model(REFERENCE).reset_index(drop=True) for run in (before, after))
    if before.rule != after.rule:
        return [*rows, OTHER_RULES]
    if not old.equals(new):
        rows.append(OTHER_REFERENCES)
    return [*rows, *conclusion(found, len(after.prompts))]


def _sizes(run: Run) -> tuple[int, int]:
    """The number of prompts, and of the policy's samples of each."""
    return len(run.prompts), len(run.of_model(POLICY)) // len(run.prompts)


def conclusion(found: dict[str, Difference], prompts: int) -> list[str]:
    """Better, worse, or cannot tell, and what would settle it; below it what decided.

    Better is what improves something and worsens nothing, beyond noise. What counts is gain, kl_efficiency, adherence and the share
    that ended; KL itself only while the efficiency is unknown, and reward accuracy only if there is no true reward. These measures
    share an error of 5 %. A gain that differs by less than EQUAL_GAIN does not count against the efficiency.
    """
    if all(difference.agrees for difference in found.values()):
        return ["Equal: nothing differs."]
    price = EFFICIENCY if EFFICIENCY in found and not found[EFFICIENCY].unknown else KL
    counted = [name for name in (GAIN, price, "adherence", "ended") if name in found]
    if GAIN not in found:
        counted.append(REWARD_ACCURACY)
    signs = {name: found[name].sign(len(counted)) * (-1 if name == KL else 1) for name in counted}
    equal_gain = ""
    if signs.get(EFFICIENCY) and signs[GAIN] and _is_equal_gain(found[GAIN]):
        signs[GAIN], equal_gain = 0, f"; gain ({_change(found[GAIN])}) counts as equal"
    better, worse = (
        ", ".join(f"{name} ({_change(found[name])})" for name in counted if signs[name] == sign) for sign in (1, -1)
    )
    if better and worse:
        text = f"Cannot tell, a trade: better in {better}; worse in {worse}{equal_gain}. Compare at equal gain (dpo.beta, dpo.lr)."
    elif better or worse:
        text = f"{'Better' if better else 'Worse'} in {better or worse}{equal_gain}."
    else:
        text = f"Cannot tell: all that counts is within noise.{_needed(found, counted, prompts)}"
    level = f"{100 - 5 / len(counted):.4g} %"
    decides = f"What counts: {', '.join(counted)}, each if its {level} interval excludes 0 (together about 5 % false verdicts)."
    return [text, decides, CAVEATS]


def _is_equal_gain(gain: Difference) -> bool:
    return abs(gain.after - gain.before) < EQUAL_GAIN * max(abs(gain.before), abs(gain.after))


def _needed(found: dict[str, Difference], counted: list[str], prompts: int) -> str:
    """How many prompts would tell the clearest of the differences in four of five studies, if it is as large as it looks."""
    z = _z(len(counted)) + Z_POWER
    factors = {
        name: (z / _z(1) * (found[name].high - found[name].low) / 2 / (found[name].after - found[name].before)) ** 2
        for name in counted
        if not found[name].unknown and found[name].after != found[name].before
    }
    if not factors:
        return ""
    name = min(factors, key=factors.get)
    count = math.ceil(factors[name] * prompts)
    return f" About {count:,} prompts would tell a difference in {name} of this size (sample.prompts, sft.test_rows)."


def _z(tests: int) -> float:
    """How many standard errors a difference needs as one of several tests that share an error of 5 %."""
    return NormalDist().inv_cdf(1 - 0.025 / tests)


def _change(difference: Difference) -> str:
    return f"{_number(difference.before)} to {_number(difference.after)}"


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "unknown"


def _shown(difference: Difference) -> str:
    if difference.unknown:
        return f"unknown: {difference.unknown}"
    change = difference.after - difference.before
    noise = "" if difference.sign() else "   equal" if difference.agrees else "   within noise"
    return f"{change:+.3g} ({difference.low:+.3g} to {difference.high:+.3g}){noise}"
