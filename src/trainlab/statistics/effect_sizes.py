"""Ratios with their intervals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from trainlab.statistics.tests import Overlaps, difference


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
    return Ratio(_exp(change.mean), _exp(low), _exp(high))


def _exp(value: float) -> float:
    return math.exp(value) if not value > 700 else math.inf  # intervals of two values can be as wide as that
