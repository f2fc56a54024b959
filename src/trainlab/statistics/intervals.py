"""The mean of a few values with its 95 % interval, by Student's t, and a share of runs with its exact one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

LEVEL = 0.95  # of every interval in this package
FLOAT_NOISE = 1e-12  # relative; values that are equal differ by this much after arithmetic


@dataclass(frozen=True)
class Interval:
    """Mean of ``n`` values, their standard deviation and half the width of the mean's 95 % interval.

    The last two are NaN for fewer than two values, the mean for none.
    """

    mean: float
    sd: float
    half_width: float
    n: int

    @property
    def has_spread(self) -> bool:
        """Whether there are several values that differ by more than rounding."""
        return self.half_width > FLOAT_NOISE * abs(self.mean)


def interval(values: Sequence[float], overlap: float = 0.0) -> Interval:
    """The mean of ``values`` with its interval.

    Args:
        values: independent of each other, or of the folds of a cross-validation.
        overlap: of folds, which share training images, test over training images: 1 / (k - 1) for k folds. The variance
            of the mean is then taken to be (1 / n + overlap) times that of the values (Nadeau and Bengio, 2003).
    """
    n = len(values)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return Interval(mean, sd, t_quantile(n - 1) * sd / math.sqrt(n) * math.sqrt(1 + n * overlap), n)


@cache
def t_quantile(df: float, tests: int = 1) -> float:
    """The t of a two-sided interval of Student's distribution with ``df`` degrees of freedom.

    Args:
        tests: the interval's level is such that as many of them hold together with ``LEVEL`` (Bonferroni).
    """
    from scipy.special import stdtrit

    return -float(stdtrit(df, (1 - LEVEL) / 2 / tests))


def share_interval(count: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a probability, from ``count`` successes in ``n`` independent runs.

    By the binomial distribution (Clopper and Pearson, 1934): 5 of 5 leaves 0.48 to 1.

    Raises:
        ValueError: ``count`` is not between 0 and ``n``, or there are no runs.
    """
    from scipy.special import betaincinv

    if not 0 <= count <= n or n == 0:
        raise ValueError(f"count must be between 0 and the number of runs, at least one, got {count} of {n}")
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    return low, float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0


def t_two_sided_p(t: float, df: float) -> float:
    """Probability of a value at least as far from 0 as ``t``, with ``df`` degrees of freedom."""
    from scipy.special import stdtr

    return 2 * float(stdtr(df, -abs(t)))


def noncentral_t_cdf(t: float, df: float, noncentrality: float) -> float:
    """Probability of a value below ``t`` of the noncentral t-distribution; SciPy's NaN in its far tails is 0 or 1."""
    from scipy.special import nctdtr

    found = float(nctdtr(df, noncentrality, t))
    return found if not math.isnan(found) else float(noncentrality < t)
