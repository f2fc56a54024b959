"""What the measurements say of each method at each setting, and whether that loses accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trainlab.exercise.evidence import Evidence, Measured
from trainlab.exercise.questions.sparsity.measuring import DENSE, MEASUREMENTS
from trainlab.exercise.wording import verdict
from trainlab.report.statistics import Difference, Interval, difference, interval

MARGIN = 0.01  # of accuracy, a mean loss of more is one, however large the noise
Keeps = Literal["keeps", "loses", "unknown"]


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


def change(point: Point, base: Point) -> Difference:
    """In validation accuracy, a fraction."""
    return difference(point.of("val_acc"), base.of("val_acc"))


def keeps(point: Point, base: Point) -> Keeps:
    """Whether it loses nothing: not distinguishably less accurate, and not by more than the margin on average."""
    between = change(point, base)
    if between.method == "none":
        return "unknown"
    return "loses" if verdict(between) == "lower" or between.mean < -MARGIN else "keeps"


def largest_kept(points: Sequence[Point], method: str, base: Point) -> Point | None:
    """The setting of ``method`` with most zeros that loses nothing, nor does any with fewer."""
    best = None
    of_method = [point for point in points if point.method == method and point.seeds]
    for point in sorted(of_method, key=lambda point: point.summary("zeros").mean):
        if keeps(point, base) != "keeps":
            break
        best = point
    return best


def smallest_kept(points: Sequence[Point], base: Point) -> Point | None:
    """The smallest file of all that lose nothing."""
    kept = [point for point in points if point.seeds and keeps(point, base) == "keeps"]
    return min(kept, key=lambda point: point.summary("bytes").mean, default=None)
