"""Search spaces: an interval, evenly spaced steps or a choice for each key."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOG_FROM = 100.0  # ratio of the ends from which an interval is searched on a log scale
_DIGITS = 4  # of a sampled number, which becomes part of a folder's name
_ENUMERABLE = 1000
SCALES = ("log", "linear")

Value = float | int | str
Params = Mapping[str, Value]


@dataclass(frozen=True)
class Interval:
    """Numbers from ``low`` to ``high``, both included; integers if ``whole``."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __str__(self) -> str:
        kinds = ["whole"] * self.whole + ["log"] * self.log
        return f"{self.low:g} to {self.high:g}" + (f" ({', '.join(kinds)})" if kinds else "")

    @property
    def values(self) -> Sequence[Value] | None:
        """All values of an integer interval; None for others."""
        return range(int(self.low), int(self.high) + 1) if self.whole else None

    @property
    def ends(self) -> tuple[Value, ...]:
        """The lowest and the highest."""
        return (self.low, self.high)

    def rounded(self, value: Any) -> Value:
        """``value`` rounded so that the interval has a few thousand different values."""
        if self.whole:
            return int(value)
        if self.log:
            narrow = max(0, -math.floor(math.log10(self.high / self.low - 1)))
            shorter = float(f"{value:.{_DIGITS + narrow}g}")
        else:
            shorter = round(float(value), _DIGITS - 1 - math.floor(math.log10(self.high - self.low)))
        return min(max(shorter, self.low), self.high)


@dataclass(frozen=True)
class Steps:
    """Numbers ``step`` apart, from ``low`` to ``high``."""

    low: float
    high: float
    step: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} in steps of {self.step:g}"

    @property
    def whole(self) -> bool:
        """Whether all are integers."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step))

    @property
    def values(self) -> Sequence[Value]:
        """All values."""
        count = round((self.high - self.low) / self.step) + 1
        return [self.rounded(self.low + i * self.step) for i in range(count)]

    @property
    def ends(self) -> tuple[Value, ...]:
        """The lowest and the highest."""
        return (self.low, self.high)

    def rounded(self, value: Any) -> Value:
        """``value`` without the rounding error of adding up steps."""
        return int(value) if self.whole else float(f"{value:.10g}")


@dataclass(frozen=True)
class Choice:
    """One of several values without order, as written in an override."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return " or ".join(self.values)

    @property
    def ends(self) -> tuple[Value, ...]:
        """All values."""
        return self.values

    def rounded(self, value: Any) -> Value:
        """``value``."""
        return str(value)


Dimension = Interval | Steps | Choice


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
        first = {key: dimension.ends[0] for key, dimension in self.dimensions.items()}
        yield first
        for key, dimension in self.dimensions.items():
            yield from ({**first, key: value} for value in dimension.ends[1:])

    def without(self, dropped: Mapping[str, Collection[Value]]) -> "Space":
        """The space without the values ``dropped`` of its choices, by key."""

        def left(key: str, dimension: Dimension) -> Dimension:
            if not isinstance(dimension, Choice):
                return dimension
            return Choice(tuple(value for value in dimension.values if value not in dropped.get(key, ())))

        return Space(tuple(part if isinstance(part, str) else (part[0], left(*part)) for part in self.parts))

    def unseen(self, seen: Collection[Params]) -> list[Params] | None:
        """All params that are not in ``seen``; None if there are too many."""
        values = [dimension.values for dimension in self.dimensions.values()]
        if math.prod(math.inf if one is None else len(one) for one in values) > _ENUMERABLE:
            return None
        every = [dict(zip(self.dimensions, one, strict=True)) for one in itertools.product(*(v or () for v in values))]
        return [params for params in every if params not in seen]


@dataclass(frozen=True)
class Settings:
    """How a space is searched.

    Attributes:
        trials: number of trials.
        sampler: "tpe" or "random".
        seed: seed of the sampler.
        pruner: "none", "median" or "hyperband".
        max_epochs: epochs of the longest trial.
        objective: metric of ``METRICS`` to optimize, taken from a trial's best checkpoint.
    """

    trials: int
    sampler: str
    seed: int
    pruner: str
    max_epochs: int
    objective: str = "val/loss"


def interval(key: str, low: float, high: float, tags: Collection[str] = ()) -> Interval:
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
    return Interval(low, high, log, isinstance(low, int))


def steps(values: Sequence[float]) -> Steps:
    """Evenly spaced ``values``, ascending or descending."""
    ordered = sorted(values)
    step = (ordered[-1] - ordered[0]) / (len(ordered) - 1) if len(ordered) > 1 else 1
    if all(isinstance(value, int) for value in ordered):
        return Steps(ordered[0], ordered[-1], int(step))
    return Steps(ordered[0], ordered[-1], float(f"{step:.10g}"))
