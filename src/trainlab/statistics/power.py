"""How large a difference n seeds detect, and how many seeds a difference needs: Student's t, by its noncentral form."""

import math

from trainlab.statistics.intervals import noncentral_t_cdf, t_quantile
from trainlab.statistics.tests import ALPHA, welch_df

POWER = 0.8  # probability that a true difference is found significant
MAX_SEEDS = 10_000
Seeds = int | tuple[int, int]  # of each group, or of the first and of the second


def power_of(difference: float, sd: float, n: Seeds, tests: int = 1, paired: bool = True) -> float:
    """Probability that a true ``difference`` is found significant.

    Args:
        difference: of the means of two groups, in the unit of ``sd``.
        sd: standard deviation of the differences of pairs; if not ``paired``, of the values of each group.
        n: seeds of each group, or of the first and of the second if they are not ``paired``; at least two.
        tests: whose p-values are corrected together (Bonferroni, as in Holm's first step).
        paired: whether the groups have the same seeds. Otherwise the test is `welch`, of groups with the same spread,
            whose degrees of freedom are taken to be those of equal variances: with 3 and 3 seeds power is 0.1 too high.
    """
    df, error = _df_and_error(sd, n, paired)
    t, shift = t_quantile(df, tests), abs(difference) / error
    return noncentral_t_cdf(-t, df, -shift) + noncentral_t_cdf(-t, df, shift)


def detectable_difference(sd: float, n: Seeds, tests: int = 1, paired: bool = True, power: float = POWER) -> float:
    """The smallest true difference that ``n`` seeds find significant with probability ``power``.

    Arguments as for `power_of`.

    Raises:
        ValueError: fewer than two seeds, two numbers of seeds for pairs, or a power that is not above the significance
            level and below 1.
    """
    from scipy.optimize import brentq

    _check(n, paired, power)
    high = 1.0
    while power_of(high, 1.0, n, tests, paired) < power:  # of differences in units of sd
        high *= 2
    return sd * float(brentq(lambda d: power_of(d, 1.0, n, tests, paired) - power, 0, high))


def seeds_needed(difference: float, sd: float, tests: int = 1, paired: bool = True, power: float = POWER) -> int | None:
    """The fewest seeds of each group that find a true ``difference`` significant with probability ``power``.

    Arguments as for `power_of`. None if it takes more than ``MAX_SEEDS``.
    """
    _check(2, paired, power)

    def suffices(n: int) -> bool:
        return power_of(difference, sd, n, tests, paired) >= power

    low, enough = 1, 2
    while not suffices(enough):
        if enough == MAX_SEEDS:
            return None
        low, enough = enough, min(2 * enough, MAX_SEEDS)
    while enough - low > 1:
        middle = (low + enough) // 2
        low, enough = (low, middle) if suffices(middle) else (middle, enough)
    return enough


def _df_and_error(sd: float, n: Seeds, paired: bool) -> tuple[float, float]:
    """Degrees of freedom and standard error of a difference of means."""
    first, second = n if isinstance(n, tuple) else (n, n)
    if paired:
        return first - 1, sd / math.sqrt(first)
    return welch_df(1 / first, first, 1 / second, second), sd * math.sqrt(1 / first + 1 / second)


def _check(n: Seeds, paired: bool, power: float) -> None:
    if isinstance(n, tuple) and paired and n[0] != n[1]:
        raise ValueError(f"pairs are of as many seeds of each group, got {n[0]} and {n[1]}")
    if (min(n) if isinstance(n, tuple) else n) < 2:
        raise ValueError(f"a test takes at least two seeds of each group, got {n}")
    if not ALPHA < power < 1:
        raise ValueError(f"power must be above the significance level, {ALPHA}, and below 1, got {power}")
