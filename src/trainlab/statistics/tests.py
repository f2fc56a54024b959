"""Tests of differences: Student's t (paired, Welch's, equivalence), McNemar's over images, Holm's correction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trainlab.statistics.intervals import FLOAT_NOISE, interval, t_quantile, t_two_sided_p

ALPHA = 0.05  # significance level
Method = Literal["paired", "Welch", "none"]
NO_SPREAD = "no spread to measure the noise with"
NOT_FINITE = "a value is not finite"


@dataclass(frozen=True)
class Difference:
    """Mean of the first minus the second with half the width of its 95 % interval and the two-sided p.

    Attributes:
        method: `none` if no test can be made: then ``half_width``, ``p`` and ``df`` are NaN.
        seeds: those that were paired.
        reason: why no test can be made.
        df: degrees of freedom of the t-distribution.
    """

    mean: float
    half_width: float
    p: float
    method: Method
    seeds: tuple[int, ...] = ()
    reason: str = ""
    df: float = math.nan

    @property
    def error(self) -> float:
        """The standard error of ``mean``; NaN if no test can be made."""
        return self.half_width / t_quantile(self.df)

    @classmethod
    def untested(cls, mean: float, reason: str) -> "Difference":
        """One that no test can be made of, for ``reason``."""
        return cls(mean, math.nan, math.nan, "none", reason=reason)


Overlaps = tuple[float, float]  # of two sides, as `interval` takes each
_NONE = (0.0, 0.0)


def difference(
    first: Mapping[int, float], second: Mapping[int, float], pairable: bool = True, overlaps: Overlaps = _NONE
) -> Difference:
    """Compare values by seed: paired if both have the same seeds, otherwise Welch's test on all of them.

    The same seed draws the same order of batches, so pairing removes that part of the noise.

    Args:
        pairable: false if the values of a seed have no more in common than others, as on other images.
        overlaps: of the two sides, if they are of folds; see `interval`.
    """
    if not first or not second:
        return Difference.untested(math.nan, "no value")
    if min(len(first), len(second)) < 2:
        return Difference.untested(interval([*first.values()]).mean - interval([*second.values()]).mean, "one seed")
    if pairable and first.keys() == second.keys():
        seeds = tuple(sorted(first))
        return paired([first[s] for s in seeds], [second[s] for s in seeds], seeds, max(overlaps))
    return welch([*first.values()], [*second.values()], overlaps)


def paired(
    first: Sequence[float], second: Sequence[float], seeds: tuple[int, ...] = (), overlap: float = 0.0
) -> Difference:
    """Student's t-test on the differences of at least two pairs; untested if they are all equal."""
    change = interval([a - b for a, b in zip(first, second, strict=True)], overlap)
    error = change.sd / math.sqrt(change.n) * math.sqrt(1 + change.n * overlap)
    if reason := _why_untested(error, [*first, *second]):
        return Difference.untested(change.mean, reason)
    p = t_two_sided_p(change.mean / error, change.n - 1)
    return Difference(change.mean, change.half_width, p, "paired", seeds, df=change.n - 1)


def welch(first: Sequence[float], second: Sequence[float], overlaps: Overlaps = _NONE) -> Difference:
    """Welch's t-test, for unequal variances; at least two values each; untested if neither side varies.

    Its degrees of freedom follow from the measured variances. With fewer than three values on a side, three against
    more, or more than twice as many on one side as on the other, they are too many too often: of equal groups, up to
    12 % differ with 2 and 10 values. Then they are those of the smaller side, with which at most 5 % do (Mickey and
    Brown, 1966).
    """
    a, b = interval(first), interval(second)
    variance_a, variance_b = (  # of the means
        of.sd**2 / of.n * (1 + of.n * overlap) for of, overlap in zip((a, b), overlaps, strict=True)
    )
    error = math.sqrt(variance_a + variance_b)
    mean = a.mean - b.mean
    if reason := _why_untested(error, [*first, *second]):
        return Difference.untested(mean, reason)
    df = welch_df(variance_a, a.n, variance_b, b.n)
    return Difference(mean, t_quantile(df) * error, t_two_sided_p(mean / error, df), "Welch", df=df)


def welch_df(variance_a: float, n_a: int, variance_b: float, n_b: int) -> float:
    """Degrees of freedom of `welch`: the variances are those of the means of ``n_a`` and ``n_b`` values."""
    fewer, more = sorted((n_a, n_b))
    if fewer < 3 or (fewer == 3 and more > 3) or more > 2 * fewer:
        return fewer - 1
    return satterthwaite(variance_a, n_a, variance_b, n_b)


def satterthwaite(variance_a: float, n_a: int, variance_b: float, n_b: int) -> float:
    """Degrees of freedom of the sum of two variances that were measured on ``n_a`` and ``n_b`` values."""
    # from fractions of the sum, so that small variances do not underflow
    u, v = variance_a / (variance_a + variance_b), variance_b / (variance_a + variance_b)
    return 1 / (u**2 / (n_a - 1) + v**2 / (n_b - 1))


def equivalence_p(found: Difference, margin: float) -> float:
    """p of two one-sided t-tests (Schuirmann, 1987): below 0.05 where the true difference lies within ``margin`` of 0.

    That is where the 90 % interval does. NaN where there is no test of the difference.

    Raises:
        ValueError: the margin is not positive.
    """
    from scipy.special import stdtr

    if not margin > 0:
        raise ValueError(f"margin must be above 0, got {margin}")
    return float(stdtr(found.df, (abs(found.mean) - margin) / found.error)) if found.method != "none" else math.nan


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test.

    Of the images that one of two equally good classifiers has right and the other wrong, either has an even chance, so
    that the counts are binomial.

    Args:
        only_first: number of images that only the first one has right.
        only_second: number of images that only the second one has right.
    """
    from scipy.stats import binomtest

    n = only_first + only_second
    return float(binomtest(only_first, n, 0.5).pvalue) if n else 1.0


def holm(ps: Sequence[float], tests: int = 0) -> list[float]:
    """Holm's step-down adjustment of p-values; a NaN, of a pair that was not tested, stays and does not count.

    Args:
        tests: number of all tests, if there are others than those with ``ps``; these are taken for the least clear
            ones, by which no p is too small.
    """
    order = sorted((i for i, p in enumerate(ps) if not math.isnan(p)), key=lambda i: ps[i])
    adjusted, highest = list(ps), 0.0
    tests = max(tests, len(order))
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (tests - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


def _why_untested(error: float, values: Sequence[float]) -> str:
    """Why a mean of ``values`` cannot be compared with its standard error; "" if it can.

    An error that is zero but for rounding would make any difference significant.
    """
    if not math.isfinite(error):
        return NOT_FINITE
    return NO_SPREAD if error <= FLOAT_NOISE * max(map(abs, values)) else ""
