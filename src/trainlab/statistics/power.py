"""How large a difference n seeds detect, and how many seeds a difference needs: Student's t, by its noncentral form."""

import math

from trainlab.statistics.intervals import noncentral_t_cdf, t_quantile
from trainlab.statistics.tests import ALPHA

POWER = 0.8  # probability that a true difference is found significant
MAX_SEEDS = 10_000


def power_of(difference: float, sd: float, n: int, tests: int = 1, paired: bool = True) -> float:
    """Probability that a true ``difference`` is found significant.

    Args:
        difference: of the means of two groups, in the unit of ``sd``.
        sd: standard deviation of the differences of pairs; if not ``paired``, of the values of each group.
        n: seeds of each group, at least two.
        tests: whose p-values are corrected together (Bonferroni, as in Holm's first step).
        paired: whether the groups have the same seeds.
    """
    df, error = _df_and_error(sd, n, paired)
    t, shift = t_quantile(df, tests), abs(difference) / error
    return noncentral_t_cdf(-t, df, -shift) + noncentral_t_cdf(-t, df, shift)


def detectable_difference(sd: float, n: int, tests: int = 1, paired: bool = True, power: float = POWER) -> float:
    """The smallest true difference that ``n`` seeds find significant with probability ``power``.

    Arguments as for `power_of`.

    Raises:
        ValueError: fewer than two seeds, or a power that is not above the significance level and below 1.
    """
    from scipy.optimize import brentq

    _check(n, power)
    high = 1.0
    while power_of(high, 1.0, n, tests, paired) < power:  # of differences in units of sd
        high *= 2
    return sd * float(brentq(lambda d: power_of(d, 1.0, n, tests, paired) - power, 0, high))


def seeds_needed(difference: float, sd: float, tests: int = 1, paired: bool = True, power: float = POWER) -> int | None:
    """The fewest seeds of each group that find a true ``difference`` significant with probability ``power``.

    Arguments as for `power_of`. None if it takes more than ``MAX_SEEDS``.
    """
    _check(2, power)

    def suffices(n: int) -> bool:
        return power_of(difference, sd, n, tests, paired) >= power

    enough = 2
    while not suffices(enough):
        enough *= 2
        if enough > MAX_SEEDS:
            return None
    low = enough // 2
    while enough - low > 1:
        middle = (low + enough) // 2
        low, enough = (low, middle) if suffices(middle) else (middle, enough)
    return enough


def _df_and_error(sd: float, n: int, paired: bool) -> tuple[int, float]:
    """Degrees of freedom and standard error of a difference of means."""
    return (n - 1, sd / math.sqrt(n)) if paired else (2 * (n - 1), sd * math.sqrt(2 / n))


def _check(n: int, power: float) -> None:
    if n < 2:
        raise ValueError(f"a test takes at least two seeds of each group, got {n}")
    if not ALPHA < power < 1:
        raise ValueError(f"power must be above the significance level, {ALPHA}, and below 1, got {power}")
