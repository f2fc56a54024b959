"""Student's t distribution, by the continued fraction of the incomplete beta function (DLMF 8.17.22).

SciPy has it too, but where SciPy is installed torchmetrics imports much of it, and every training starts later.
"""

import math
from functools import cache

_TINY = 1e-300  # stands for a zero that would be divided by
_PRECISION = 1e-15


def two_sided_p(t: float, df: float) -> float:
    """Probability of a value at least as far from 0 as ``t``, with ``df`` > 0 degrees of freedom."""
    return incomplete_beta(df / 2, 0.5, df / (df + t * t))


@cache
def quantile(level: float, df: float) -> float:
    """The t that has ``level``, in (0, 1), of the distribution between -t and t."""
    low, high = 0.0, 1.0
    while two_sided_p(high, df) > 1 - level:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        if two_sided_p(middle, df) > 1 - level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularized, I_x(a, b), for a, b > 0 and x in [0, 1]."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / a / _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """1 + d1 / (1 + d2 / (1 + ...)), by Lentz's method."""
    value = c = 1.0
    d = 0.0
    for i in range(1, 10_000):
        m = i // 2
        if i % 2:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / ((1 + numerator * d) or _TINY)
        c = (1 + numerator / c) or _TINY
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value
