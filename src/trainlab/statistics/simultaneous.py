"""Intervals of several differences that hold together."""

import math
from collections.abc import Sequence

from trainlab.statistics.intervals import t_quantile
from trainlab.statistics.tests import ALPHA, Difference, holm


def holm_intervals(differences: Sequence[Difference], all_tests: int = 0) -> list[tuple[float, float]]:
    """Intervals that all contain the true difference in 95 % of cases, and exclude 0 where `holm` has p below 0.05.

    Where some differences are significant and others not, nothing more than its sign can be said of a significant one
    at this level: its interval ends at 0 and at infinity. The others are corrected for their own number. Where all are
    significant, each has Bonferroni's interval, cut at 0 (Strassburger and Bretz, 2008). NaN for those without a test.

    Args:
        differences: that intervals are wanted of.
        all_tests: number of all tests, as for `holm`.
    """
    ps = holm([one.p for one in differences], all_tests)
    known = sum(not math.isnan(p) for p in ps)
    tests = max(all_tests, known)
    open_ = sum(p >= ALPHA for p in ps) + tests - known
    found = []
    for one, p in zip(differences, ps, strict=True):
        if math.isnan(p):
            found.append((math.nan, math.nan))
            continue
        half = t_quantile(one.df, open_ or tests) * one.error
        low, high = one.mean - half, one.mean + half
        if p < ALPHA:  # its sign is certain
            low, high = (-math.inf, math.inf) if open_ else (low, high)
            low, high = (max(low, 0.0), high) if one.mean > 0 else (low, min(high, 0.0))
        found.append((low, high))
    return found


def bonferroni_intervals(differences: Sequence[Difference]) -> list[tuple[float, float]]:
    """Intervals that all contain the true difference in 95 % of cases, each wider for their number.

    Other than those of `holm_intervals`, all have both bounds. NaN for differences without a test.
    """
    tests = sum(one.method != "none" for one in differences)
    halves = (math.nan if one.method == "none" else t_quantile(one.df, tests) * one.error for one in differences)
    return [(one.mean - half, one.mean + half) for one, half in zip(differences, halves, strict=True)]
