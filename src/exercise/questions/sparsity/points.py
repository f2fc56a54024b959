"""What the measurements say of each method at each setting, and whether that keeps the accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exercise.formatting import loses_nothing
from exercise.questions.sparsity.measuring import DENSE, MEASUREMENTS
from exercise.store import Evidence, Measured
from trainlab.statistics import Difference, Interval, difference, interval


@dataclass(frozen=True)
class Point:
    """A method at a setting.

    Attributes:
        seeds: figures by seed, of those whose weights stayed finite.
        diverged: how many did not.
    """

    method: str
    setting: str
    seeds: Mapping[int, Measured]
    diverged: int = 0

    def of(self, figure: str) -> dict[int, float]:
        """A figure by seed."""
        return {seed: float(figures[figure]) for seed, figures in self.seeds.items()}

    def summary(self, figure: str) -> Interval:
        """Its mean over the seeds."""
        return interval([*self.of(figure).values()])

    def layers(self) -> list[float]:
        """Share of zeros in each layer, mean over the seeds."""
        return [sum(column) / len(column) for column in zip(*(f["layers"] for f in self.seeds.values()), strict=True)]


def points_of(evidence: Evidence) -> list[Point]:
    """All that was measured.

    Raises:
        NotYet: a measurement was not taken.
    """
    found = []
    for measurement in MEASUREMENTS:
        for method, settings in evidence.measured(measurement.name).items():
            found += [_point(method, setting, seeds) for setting, seeds in settings.items()]
    return found


def _point(method: str, setting: str, seeds: dict[str, Any]) -> Point:
    finite = {int(seed): figures for seed, figures in seeds.items() if figures}
    return Point(method, setting, finite, len(seeds) - len(finite))


def baseline(points: Sequence[Point]) -> Point | None:
    """The dense network that all are held against: the more accurate of the two, on validation images."""
    dense = [point for point in points if point.method == DENSE and point.seeds]
    return max(dense, key=lambda point: point.summary("val_acc").mean, default=None)


def change(point: Point, base: Point, figure: str = "val_acc") -> Difference:
    """In validation accuracy, or another figure, a fraction."""
    return difference(point.of(figure), base.of(figure))


def keeps(point: Point, base: Point) -> bool | None:
    """Whether it keeps the accuracy of the dense network; None where that cannot be told, as where a seed diverged."""
    found = loses_nothing(change(point, base))
    return None if found and point.diverged else found


def largest_kept(points: Sequence[Point], method: str, base: Point) -> Point | None:
    """The setting of ``method`` with most zeros that keeps the accuracy, as does any with fewer.

    Settings are tried in that order up to the first that does not, so that none of the method is picked out of many.
    """
    best = None
    for point in by_zeros(points, method):
        if not keeps(point, base):
            break
        best = point
    return best


def first_lost(points: Sequence[Point], method: str, base: Point) -> Point | None:
    """The setting of ``method`` with fewest zeros that loses accuracy, as does any with more."""
    found = None
    for point in reversed(by_zeros(points, method)):
        if keeps(point, base) is not False:
            break
        found = point
    return found


def smallest_kept(points: Sequence[Point], base: Point) -> Point | None:
    """The smallest file of all that keep the accuracy."""
    kept = [point for point in points if point.seeds and keeps(point, base)]
    return min(kept, key=lambda point: point.summary("bytes").mean, default=None)


def by_zeros(points: Sequence[Point], method: str) -> list[Point]:
    """The networks of ``method``, the one with fewest zeros first."""
    of_method = [point for point in points if point.method == method and point.seeds]
    return sorted(of_method, key=lambda point: point.summary("zeros").mean)
