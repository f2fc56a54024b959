"""Search spaces: an interval, evenly spaced steps or a choice for each key, as distributions of Optuna.

Needs Optuna, so only searches import it.
"""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

LOG_FROM = 100.0  # ratio of the ends from which an interval is searched on a log scale
_DIGITS = 4  # of a sampled number, which becomes part of a folder's name
_ENUMERABLE = 1000
SCALES = ("log", "linear")

Value = float | int | str
Params = Mapping[str, Value]
Dimension = FloatDistribution | IntDistribution | CategoricalDistribution


@dataclass(frozen=True)
class Space:
    """Overrides, some of them with a dimension instead of a value.

    Attributes:
        parts: overrides and (key, dimension) pairs, in the given order.
    """

    parts: tuple[str | tuple[str, Dimension], ...]

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """Searched dimensions by key."""
        return dict(part for part in self.parts if not isinstance(part, str))

    @property
    def fixed(self) -> list[str]:
        """Overrides that all trials share."""
        return [part for part in self.parts if isinstance(part, str)]

    def overrides(self, params: Params) -> list[str]:
        """Overrides of a trial."""
        return [part if isinstance(part, str) else f"{part[0]}={params[part[0]]}" for part in self.parts]

    def corners(self) -> Iterator[Params]:
        """Params that cover both ends and all choices of every dimension, with the others at their first value."""
        first = {key: ends(dimension)[0] for key, dimension in self.dimensions.items()}
        yield first
        for key, dimension in self.dimensions.items():
            yield from ({**first, key: value} for value in ends(dimension)[1:])

    def without(self, dropped: Mapping[str, Collection[Value]]) -> "Space":
        """The space without the values ``dropped`` of its choices, by key."""

        def left(key: str, dimension: Dimension) -> Dimension:
            if not isinstance(dimension, CategoricalDistribution):
                return dimension
            return CategoricalDistribution([value for value in dimension.choices if value not in dropped.get(key, ())])

        return Space(tuple(part if isinstance(part, str) else (part[0], left(*part)) for part in self.parts))

    def unseen(self, seen: Collection[Params]) -> list[Params] | None:
        """All params that are not in ``seen``; None if there are too many."""
        values = [every_value(dimension) for dimension in self.dimensions.values()]
        if math.prod(math.inf if one is None else len(one) for one in values) > _ENUMERABLE:
            return None
        every = [dict(zip(self.dimensions, one, strict=True)) for one in itertools.product(*(v or () for v in values))]
        return [params for params in every if params not in seen]


def ends(dimension: Dimension) -> Sequence[Any]:
    """The lowest and the highest number, or all values of a choice."""
    return dimension.choices if isinstance(dimension, CategoricalDistribution) else (dimension.low, dimension.high)


def every_value(dimension: Dimension) -> Sequence[Any] | None:
    """All values; None for an interval of real numbers."""
    if isinstance(dimension, CategoricalDistribution):
        return dimension.choices
    if dimension.step is None:
        return None
    count = round((dimension.high - dimension.low) / dimension.step) + 1
    return [rounded(dimension, dimension.low + i * dimension.step) for i in range(count)]


def rounded(dimension: Any, value: Any) -> Value:
    """A sampled ``value`` as it is used: short, as a part of a folder's name, and one of a few thousand different ones.

    Numbers at even steps lose the rounding error of adding up the steps.
    """
    if isinstance(dimension, CategoricalDistribution):
        return str(value)
    if isinstance(dimension, IntDistribution):
        return int(value)
    if dimension.step:
        return float(f"{value:.10g}")
    if dimension.log:
        narrow = max(0, -math.floor(math.log10(dimension.high / dimension.low - 1)))
        shorter = float(f"{value:.{_DIGITS + narrow}g}")
    else:
        shorter = round(float(value), _DIGITS - 1 - math.floor(math.log10(dimension.high - dimension.low)))
    return min(max(shorter, dimension.low), dimension.high)


def describe(dimension: Dimension) -> str:
    """What values there are, such as "1e-05 to 0.01 (log)"."""
    if isinstance(dimension, CategoricalDistribution):
        return " or ".join(map(str, dimension.choices))
    whole, span = isinstance(dimension, IntDistribution), f"{dimension.low:g} to {dimension.high:g}"
    if dimension.step and not (whole and dimension.step == 1):
        return f"{span} in steps of {dimension.step:g}"
    kinds = ["whole"] * whole + ["log"] * dimension.log
    return span + (f" ({', '.join(kinds)})" if kinds else "")


def interval(key: str, low: float, high: float, tags: Collection[str] = ()) -> Dimension:
    """An interval, on a log scale if tagged, or if not tagged and its positive ends are far apart.

    Raises:
        ValueError: the interval is empty, not positive on a log scale, or has an unknown tag.
    """
    given = f"{'int(' * isinstance(low, int)}interval({low}, {high}){')' * isinstance(low, int)}"
    if unknown := sorted(set(tags) - set(SCALES)):
        raise ValueError(f"the tag of an interval must be log or linear, got {unknown[0]}; set {key}=tag(log, {given})")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"an interval must go from a number to a higher one, got {given}; set {key}")
    log = low > 0 and high / low >= LOG_FROM if not tags else "log" in tags
    if log and low <= 0:
        raise ValueError(f"an interval on a log scale must start above 0, got {given}; set {key}")
    return IntDistribution(low, int(high), log) if isinstance(low, int) else FloatDistribution(low, high, log)


def steps(values: Sequence[float]) -> Dimension:
    """Evenly spaced ``values``, ascending or descending."""
    ordered = sorted(values)
    step = (ordered[-1] - ordered[0]) / (len(ordered) - 1) if len(ordered) > 1 else 1
    if all(isinstance(value, int) for value in ordered):
        return IntDistribution(int(ordered[0]), int(ordered[-1]), step=int(step))
    low, high, step = (float(f"{number:.10g}") for number in (ordered[0], ordered[-1], step))
    return FloatDistribution(low, high, step=step)
