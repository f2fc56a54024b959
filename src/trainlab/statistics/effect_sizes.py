"""Sizes of a difference besides its mean: the ratio, Hedges' g and the probability that one is better."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from trainlab.statistics.intervals import LEVEL, interval, noncentral_t_cdf
from trainlab.statistics.tests import Overlaps, difference, satterthwaite

MAX_T = 1e4


@dataclass(frozen=True)
class Ratio:
    """First over second with its 95 % interval, and the two-sided p of 1 (NaN where there are none)."""

    value: float
    low: float
    high: float
    p: float = math.nan

    @property
    def is_clear(self) -> bool:
        """Whether 1 is outside the interval."""
        return self.low > 1 or self.high < 1


def ratio(
    first: Mapping[int, float], second: Mapping[int, float], pairable: bool = True, overlaps: Overlaps = (0.0, 0.0)
) -> Ratio:
    """Geometric mean of first over second, its interval that of the difference of the logarithms.

    NaN where a value is not positive and finite; without an interval where ``difference`` has none.
    """
    values = [*first.values(), *second.values()]
    if not all(0 < value < math.inf for value in values):
        return Ratio(math.nan, math.nan, math.nan)
    log_first, log_second = ({seed: math.log(value) for seed, value in side.items()} for side in (first, second))
    change = difference(log_first, log_second, pairable, overlaps)
    low, high = change.mean - change.half_width, change.mean + change.half_width
    return Ratio(_exp(change.mean), _exp(low), _exp(high), change.p)


@dataclass(frozen=True)
class EffectSize:
    """A difference in units of the spread over seeds, and as a probability, each with its 95 % interval.

    Attributes:
        g: Hedges' g. The unit is the standard deviation of the differences of pairs; without pairs the root of the mean
            of the two variances.
        probability: that a run of the first has a higher value than one of the second, of the same seed if they are
            paired, where values are normal. 0.5 where g is 0.
    """

    g: float
    g_low: float
    g_high: float
    probability: float
    probability_low: float
    probability_high: float


def effect_size(
    first: Mapping[int, float], second: Mapping[int, float], pairable: bool = True, overlaps: Overlaps = (0.0, 0.0)
) -> EffectSize:
    """Hedges' g and the probability of superiority; arguments as for `difference`.

    Without pairs, g is corrected for the degrees of freedom of its unit, which `welch` may take fewer of (Delacre and
    others, 2021). The intervals are those of the noncentrality of t, which is exact for pairs of normal values (Cumming
    and Finch, 2001; without pairs: Delacre and others). They exclude 0, and 0.5, where the test of ``difference`` is
    significant. NaN where that has no test, or fewer than two degrees of freedom.
    """
    found = difference(first, second, pairable, overlaps)
    if not found.df >= 2:
        return EffectSize(*[math.nan] * 6)
    if found.method == "paired":
        unit, df = interval([first[seed] - second[seed] for seed in found.seeds]).sd, found.df
        of_one = unit
    else:
        a, b = interval([*first.values()]), interval([*second.values()])
        of_one, df = math.hypot(a.sd, b.sd), satterthwaite(a.sd**2, a.n, b.sd**2, b.n)
        unit = of_one / math.sqrt(2)
    low, high = (found.error * bound for bound in noncentrality_interval(found.mean / found.error, found.df))
    g = hedges_correction(df) * found.mean / unit
    probabilities = (_normal_cdf(of / of_one) for of in (g * unit, low, high))
    return EffectSize(g, low / unit, high / unit, *probabilities)


def hedges_correction(df: float) -> float:
    """What a standardized difference is multiplied by to be unbiased (Hedges, 1981), for more than one ``df``."""
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def noncentrality_interval(t: float, df: float) -> tuple[float, float]:
    """The 95 % interval of the noncentrality of a t-distribution with ``df`` degrees of freedom that ``t`` is from."""
    from scipy.optimize import brentq

    if abs(t) > MAX_T:  # SciPy's distribution ends a little further out; there the bounds are in proportion to t
        low, high = noncentrality_interval(math.copysign(MAX_T, t), df)
        return low * abs(t) / MAX_T, high * abs(t) / MAX_T

    def bound(q: float) -> float:
        def miss(noncentrality: float) -> float:
            return noncentral_t_cdf(t, df, noncentrality) - q

        reach = 1.0
        while miss(t - reach) < 0:
            reach *= 2
        low, reach = t - reach, 1.0
        while miss(t + reach) > 0:
            reach *= 2
        return float(brentq(miss, low, t + reach))

    return bound((1 + LEVEL) / 2), bound((1 - LEVEL) / 2)


def _normal_cdf(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2


def _exp(value: float) -> float:
    return math.exp(value) if not value > 700 else math.inf  # intervals of two values can be as wide as that
