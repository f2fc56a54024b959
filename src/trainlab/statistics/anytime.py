"""Intervals that hold however often one looks: the anytime-valid t interval, and what it decides.

A usual 95 % interval holds for a number of values that is fixed beforehand. Whoever looks after each value and stops at
the first interval without 0 finds a difference sooner or later, also where there is none. The intervals here cover the
mean of independent normal values, with a probability of at least 1 - alpha, after all numbers of values at once.

After each value, the evidence against a mean is the likelihood ratio of the t statistic: of all effect sizes (mean over
standard deviation), normal with variance ``PRIOR`` around 0, over none. It is a martingale under that mean, so that it
ever reaches 1 / alpha with a probability of at most alpha (Ville's inequality); the interval has the means for which it
does not. This is a normal mixture with the right Haar prior of the standard deviation: Lai, T. L. (1976), On
confidence sequences, Annals of Statistics 4 (2), 265 to 280; Wang, H. and Ramdas, A. (2025), Anytime-valid t-tests and
confidence sequences for Gaussian means with unknown variance, Sequential Analysis, arXiv 2310.03722.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from trainlab.statistics.intervals import FLOAT_NOISE, interval

PRIOR = 1.0  # variance of the effect size
_MOST = 10_000  # values that are foreseen


@dataclass(frozen=True)
class Sequential:
    """The mean of values that come one after the other, and what they decide.

    Attributes:
        n: number of values.
        mean: of all of them; NaN without any.
        sd: their standard deviation; NaN for fewer than two.
        low, high: the intersection of the intervals after each of them, infinite while there is no bound; NaN where it
            is empty, which happens to the true mean with a probability of at most alpha. Then nothing is decided.
        apart: number of values after which 0 was outside for the first time; None if it never was.
        within: that after which the interval lay between -margin and margin; None if it never did.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    apart: int | None
    within: int | None

    @property
    def has_noise(self) -> bool:
        """Whether the values differ by more than rounding, which an interval is made of."""
        return self.sd > FLOAT_NOISE * abs(self.mean)

    @property
    def decided(self) -> int | None:
        """Number of values after which it was decided whether the mean is not 0 or is within the margin."""
        return min((n for n in (self.apart, self.within) if n is not None), default=None)


def sequential(values: Sequence[float], alpha: float, margin: float = 0.0) -> Sequential:
    """The mean of ``values`` with its anytime-valid interval.

    Args:
        values: in an order that does not depend on them, such as by seed.
        alpha: probability that the interval misses the mean after any number of values.
        margin: means between -margin and margin count as equivalent to 0; 0 for none.
    """
    low, high, apart, within = -math.inf, math.inf, None, None
    for n in range(2, len(values) + 1):
        found = interval(values[:n])
        if found.sd <= FLOAT_NOISE * max(map(abs, values[:n])):
            continue  # equal values do not show how large the noise is
        half = half_width(n, alpha) * found.sd
        low, high = max(low, found.mean - half), min(high, found.mean + half)
        if apart is None and (low > 0 or high < 0):
            apart = n
        if within is None and -margin < low and high < margin:
            within = n
    whole = interval(values)
    if low > high:
        return Sequential(whole.n, whole.mean, whole.sd, math.nan, math.nan, None, None)
    return Sequential(whole.n, whole.mean, whole.sd, low, high, apart, within)


def half_width(n: int, alpha: float) -> float:
    """Half of the interval for the mean of ``n`` values, over their standard deviation; infinite without a bound."""
    if n < 2:
        return math.inf
    r = 1 / (1 + n * PRIOR)
    k = (alpha * math.sqrt(r)) ** (-2 / n)
    return math.sqrt((n - 1) * (k - 1) / (1 - k * r) / n) if k * r < 1 else math.inf


def fewest(alpha: float) -> int:
    """Number of values before which there is no bound, whatever they are."""
    return next(n for n in count(2) if half_width(n, alpha) < math.inf)


def foreseen(found: Sequential, alpha: float, margin: float = 0.0) -> int | None:
    """Number of values, of all, that decide if mean and standard deviation stay as they are.

    None for more than 10,000, and where the values show no noise.
    """
    if not found.has_noise or math.isnan(found.low):
        return None
    for n in range(found.n + 1, _MOST + 1):
        half = half_width(n, alpha) * found.sd
        low, high = max(found.low, found.mean - half), min(found.high, found.mean + half)
        if low > 0 or high < 0 or (-margin < low and high < margin):
            return n
    return None
