"""95 % intervals: of shares, of means over prompts, and by a bootstrap over prompts. No torch."""

import math
from functools import cache

import numpy as np

Z_95 = 1.959963984540054  # the 97.5 % point of the standard normal distribution
DRAWS = 1000  # bootstrap draws: the ends of an interval then vary by about a twentieth of its width


def wilson_interval(successes: float, count: float) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927): (low, high). `successes` may be fractional: a tie counts one half."""
    share = successes / count
    centre = share + Z_95**2 / (2 * count)
    spread = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    scale = 1 + Z_95**2 / count
    # The bounds of 0 and n successes are 0 and 1; the formula misses them by rounding.
    low = (centre - spread) / scale if successes > 0 else 0.0
    high = (centre + spread) / scale if successes < count else 1.0
    return low, high


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over prompts of one value a prompt [P], and its 95 % normal interval: (mean, low, high). Width 0 for a single prompt.

    With several samples a prompt, `values` are the prompts' means: samples of one prompt are not independent, prompts are.
    """
    mean = float(values.mean())
    spread = Z_95 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return mean, mean - spread, mean + spread


def share_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over prompts of one share a prompt [P], each in [0, 1], and its 95 % interval: (share, low, high).

    Wilson's interval, with the number of independent observations that would give the variance between prompts; at least that of
    prompts, so that shares of 0 and 1 have an interval too.
    """
    share = float(values.mean())
    variance = float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
    count = max(share * (1 - share) / variance, len(values)) if variance else len(values)
    return share, *wilson_interval(share * count, count)


@cache
def bootstrap_weights(prompts: int, draws: int = DRAWS, stream: int = 0) -> np.ndarray:
    """The weights of the prompts in bootstrap resamples of whole prompts (Efron 1979): [draws, prompts], rows sum to 1.

    One prompt fewer is drawn than there are, which gives a mean the variance that its unbiased estimate has. Always the same for equal
    arguments, so that two runs on the same prompts can be compared resample by resample; runs on different prompts need different
    `stream`s. Drawn once for each, and read only.
    """
    rng = np.random.default_rng(stream)
    count = max(prompts - 1, 1)
    weights = rng.multinomial(count, np.full(prompts, 1 / prompts), size=draws) / count
    weights.flags.writeable = False
    return weights


def percentile_interval(draws: np.ndarray) -> tuple[float, float]:
    """The central 95 % of bootstrap draws [B], which may be infinite: (low, high)."""
    low, high = np.quantile(draws, (0.025, 0.975), method="inverted_cdf")
    return float(low), float(high)
