"""Intervals and tests over few values, as a sweep over seeds gives them. Student's t throughout; level 95 %."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trainlab.report.student import quantile, two_sided_p

LEVEL = 0.95
NAN = math.nan
Method = Literal["paired", "Welch", "none"]
NO_SPREAD = "no spread to measure the noise with"
_FLOAT_NOISE = 1e-12  # of the values: what is left of equal differences after their subtraction


@dataclass(frozen=True)
class Interval:
    """Mean of ``n`` values, their standard deviation and half the width of the mean's 95 % interval.

    The last two are NaN for fewer than two values, the mean for none.
    """

    mean: float
    sd: float
    half_width: float
    n: int


@dataclass(frozen=True)
class Difference:
    """Mean of the first minus the second with half the width of its 95 % interval and the two-sided p.

    Attributes:
        method: `none` where no test can be made: then ``half_width`` and ``p`` are NaN.
        seeds: those that were paired.
        reason: why no test can be made.
    """

    mean: float
    half_width: float
    p: float
    method: Method
    seeds: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Ratio:
    """First over second with its 95 % interval (NaN where there is none)."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether 1 is outside the interval."""
        return self.low > 1 or self.high < 1


def interval(values: Sequence[float]) -> Interval:
    """The mean of ``values`` with its interval."""
    n = len(values)
    if n == 0:
        return Interval(NAN, NAN, NAN, 0)
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, NAN, NAN, 1)
    sd = math.sqrt(_variance(values, mean))
    return Interval(mean, sd, quantile(LEVEL, n - 1) * sd / math.sqrt(n), n)


def difference(first: Mapping[int, float], second: Mapping[int, float], pairable: bool = True) -> Difference:
    """Compare values by seed: paired where both have the same seeds, otherwise Welch's test on all of them.

    The same seed draws the same order of batches, so pairing takes that part of the noise out.

    Args:
        pairable: false where the values of a seed have no more in common than others, as on other images.
    """
    if not first or not second:
        return Difference(NAN, NAN, NAN, "none", reason="no value")
    if min(len(first), len(second)) < 2:
        return Difference(
            interval([*first.values()]).mean - interval([*second.values()]).mean, NAN, NAN, "none", reason="one seed"
        )
    if pairable and first.keys() == second.keys():
        seeds = tuple(sorted(first))
        return paired([first[s] for s in seeds], [second[s] for s in seeds], seeds)
    return welch([*first.values()], [*second.values()])


def paired(first: Sequence[float], second: Sequence[float], seeds: tuple[int, ...] = ()) -> Difference:
    """Student's t-test on the differences of at least two pairs; none where they are all alike."""
    between = interval([a - b for a, b in zip(first, second, strict=True)])
    error = between.sd / math.sqrt(between.n)
    if _is_nothing(error, [*first, *second]):
        return Difference(between.mean, NAN, NAN, "none", reason=NO_SPREAD)
    return Difference(
        between.mean, between.half_width, two_sided_p(between.mean / error, between.n - 1), "paired", seeds
    )


def welch(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Welch's t-test, for unequal variances; at least two values each; none where neither side varies."""
    a, b = interval(first), interval(second)
    share_a, share_b = a.sd**2 / a.n, b.sd**2 / b.n
    error = math.sqrt(share_a + share_b)
    mean = a.mean - b.mean
    if _is_nothing(error, [*first, *second]):
        return Difference(mean, NAN, NAN, "none", reason=NO_SPREAD)
    # Welch and Satterthwaite's degrees of freedom; as shares of the sum, so that small variances do not underflow
    u, v = share_a / (share_a + share_b), share_b / (share_a + share_b)
    df = 1 / (u**2 / (a.n - 1) + v**2 / (b.n - 1))
    return Difference(mean, quantile(LEVEL, df) * error, two_sided_p(mean / error, df), "Welch")


def ratio(first: Mapping[int, float], second: Mapping[int, float], pairable: bool = True) -> Ratio:
    """Geometric mean of first over second, its interval that of the difference of the logarithms.

    NaN where a value is not positive and finite; without an interval where ``difference`` has none.
    """
    values = [*first.values(), *second.values()]
    if not all(0 < value < math.inf for value in values):
        return Ratio(NAN, NAN, NAN)
    ours, theirs = ({seed: math.log(value) for seed, value in side.items()} for side in (first, second))
    between = difference(ours, theirs, pairable)
    low, high = between.mean - between.half_width, between.mean + between.half_width
    return Ratio(_exp(between.mean), _exp(low), _exp(high))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p-values; NaN, where no test was made, stays and does not count."""
    order = sorted((i for i, p in enumerate(ps) if not math.isnan(p)), key=lambda i: ps[i])
    adjusted, highest = list(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


def _is_nothing(error: float, values: Sequence[float]) -> bool:
    """Whether a standard error is zero but for the rounding of ``values``; a mean over it would claim anything."""
    return error <= _FLOAT_NOISE * max(map(abs, values))


def _variance(values: Sequence[float], mean: float) -> float:
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _exp(value: float) -> float:
    return math.exp(value) if not value > 700 else math.inf  # intervals of two values can be as wide as that
