"""How much of the implicit reward is about length? No torch."""

import numpy as np

from picollm.evaluation.calibration import log_odds
from picollm.evaluation.intervals import bootstrap_weights, percentile_interval


def length_measures(
    margins: np.ndarray, dread: np.ndarray, words: np.ndarray, p_chosen: np.ndarray
) -> dict[str, float]:
    """Of P pairs: the policy's implicit margins, the differences (chosen - rejected) of dread and of the number of words, and the
    rule's probability of the label, each [P].

    Margins are fitted by least squares as a dread + b words; no intercept, for the order of a pair is arbitrary.

    - `length_share`, with its 95 % interval: b^2 sum(words^2) / (a^2 sum(dread^2) + b^2 sum(words^2)), the share of the fitted margin
      that is about length;
    - `length_slope`: b, the implicit reward of a word;
    - `length_share_target`, `length_slope_target`: the same of the rule's own log-odds. Where a policy's share is larger, it makes more
      of length than the rule does; the sign of `length_slope` says which way.

    Empty if the two differences are proportional, for then none can be told from the other, or if all margins are 0. The interval is
    absent if no resample has a fit, the target's share if its log-odds are all 0.
    """
    whole = np.full((1, len(margins)), 1 / len(margins))
    slope, share = _fit(whole, margins, dread, words)
    if np.isnan(share[0]):
        return {}
    target_slope, target_share = _fit(whole, log_odds(p_chosen), dread, words)
    numbers = {
        "length_share": float(share[0]),
        "length_slope": float(slope[0]),
        "length_slope_target": float(target_slope[0]),
    }
    drawn = _fit(bootstrap_weights(len(margins)), margins, dread, words)[1]
    known = drawn[~np.isnan(drawn)]
    if len(known):
        numbers |= dict(zip(("length_share_low", "length_share_high"), percentile_interval(known), strict=True))
    if not np.isnan(target_share[0]):
        numbers["length_share_target"] = float(target_share[0])
    return numbers


def _fit(
    weights: np.ndarray, values: np.ndarray, dread: np.ndarray, words: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The slope of words and its share for each row of weights [B, P]: two arrays [B], NaN where the fit is not unique or is 0."""
    dd, dw, ww = weights @ dread**2, weights @ (dread * words), weights @ words**2
    dv, wv = weights @ (dread * values), weights @ (words * values)
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = np.where(dd * ww - dw**2 > 1e-9 * dd * ww, dd * ww - dw**2, np.nan)
        of_dread, of_words = (ww * dv - dw * wv) / determinant, (dd * wv - dw * dv) / determinant
        return of_words, of_words**2 * ww / (of_dread**2 * dd + of_words**2 * ww)
