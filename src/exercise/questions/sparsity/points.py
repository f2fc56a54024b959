"""What each method at each setting measures, whether accuracy is kept, and L1 compared with zeroing small weights.

No share of zeros is the same in two methods, and between two that were tried the accuracy need not follow a straight
line, so nothing is interpolated. A network counts as better where it is clearly more accurate than one with no more
zeros than it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from exercise.claims import Claim
from exercise.formatting import all_hold, corrected_verdicts, format_difference, loses_nothing
from exercise.questions.sparsity import measuring as m
from exercise.store import Evidence, Measured
from trainlab.statistics import Difference, Interval, difference, interval

MOST = 0.5  # share of zeros from which on a network is called sparse: most of its weights are zero
ALIKE = 0.01  # shares of zeros that are no further apart count as equal; a choice


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
        NotAvailable: a measurement was not taken.
    """
    found = []
    for measurement in m.MEASUREMENTS:
        for method, settings in evidence.measured(measurement.name).items():
            for setting, seeds in settings.items():
                finite = {int(seed): figures for seed, figures in seeds.items() if figures}
                found.append(Point(method, setting, finite, len(seeds) - len(finite)))
    return found


def of_methods(points: Sequence[Point], *methods: str) -> list[Point]:
    """Those of these methods that have a network with finite weights."""
    return [point for point in points if point.method in methods and point.seeds]


def baseline(points: Sequence[Point]) -> Point | None:
    """The dense network that all are compared with: the more accurate of the two, on validation images."""
    return max(of_methods(points, m.DENSE), key=lambda point: point.summary("val_acc").mean, default=None)


def change(point: Point, base: Point, figure: str = "val_acc") -> Difference:
    """In validation accuracy, or another figure, a fraction."""
    return difference(point.of(figure), base.of(figure))


def keeps(point: Point, base: Point) -> bool | None:
    """Whether it keeps the accuracy of the dense network; None where that is undecided, as where a seed diverged."""
    found = loses_nothing(change(point, base))
    return None if found and point.diverged else found


def largest_kept(points: Sequence[Point], method: str, base: Point) -> Point | None:
    """The setting of ``method`` with most zeros that keeps the accuracy, as does any with fewer.

    Settings are tried in that order up to the first that does not, so that none of the method is picked out of many.
    """
    kept = [*takewhile(lambda point: keeps(point, base), by_zeros(points, method))]
    return kept[-1] if kept else None


def first_lost(points: Sequence[Point], method: str, base: Point) -> Point | None:
    """The setting of ``method`` with fewest zeros that loses accuracy, as does any with more."""
    lost = [*takewhile(lambda point: keeps(point, base) is False, reversed(by_zeros(points, method)))]
    return lost[-1] if lost else None


def smallest_kept(points: Sequence[Point], base: Point) -> Point | None:
    """The smallest file of all that keep the accuracy."""
    kept = [point for point in points if point.seeds and keeps(point, base)]
    return min(kept, key=lambda point: point.summary("bytes").mean, default=None)


def by_zeros(points: Sequence[Point], method: str) -> list[Point]:
    """The networks of ``method``, the one with fewest zeros first."""
    return sorted(of_methods(points, method), key=lambda point: point.summary("zeros").mean)


@dataclass(frozen=True)
class Match:
    """A network of one method compared with a network of another.

    Attributes:
        first: the one in question.
        second: the other one.
        between: in validation accuracy, the first less the second.
        better: whether the first is, with as many zeros or more; False where the second is; None where neither is
            shown by Holm's correction over all that belong to a claim.
    """

    first: Point
    second: Point
    between: Difference
    better: bool | None


def claims(points: Sequence[Point]) -> list[Claim]:
    """That a sparser network comes of L1 than of zeroing, left at that or trained on for as long."""
    others = {m.PLAIN: "zeroing alone", m.TUNED: "zeroing with as much training"}
    found = []
    for method, name in others.items():
        by_point: dict[str, list[Match]] = {}
        for one in match_points(points, m.L1, method):
            by_point.setdefault(one.first.setting, []).append(one)
        figures = f"there are no two networks with {100 * MOST:.0f} % zeros or more to compare"
        verdict: bool | None = None
        if by_point:
            texts, verdicts = zip(*map(_judge, by_point.values()), strict=True)
            figures, verdict = "; ".join(texts), all_hold(*verdicts)
        found.append(Claim(f"L1 is more accurate than {name} at as many zeros", figures, verdict))
    return found


def match_points(points: Sequence[Point], method: str, other: str) -> list[Match]:
    """Each sparse network of ``method`` compared with the nearest of ``other`` with no more zeros, and no fewer."""
    theirs = by_zeros(points, other)
    pairs = []
    for first in by_zeros(points, method):
        if first.summary("zeros").mean < MOST:
            continue
        fewer = [second for second in theirs if _has_as_many(first, second)][-1:]
        more = [second for second in theirs if _has_as_many(second, first)][:1]
        pairs += [(first, second) for second in (more if more == fewer else [*fewer, *more])]
    between = [difference(first.of("val_acc"), second.of("val_acc")) for first, second in pairs]
    verdicts = corrected_verdicts(between)
    found = []
    for (first, second), of, (verdict, _) in zip(pairs, between, verdicts, strict=True):
        winner, loser = (first, second) if verdict == "higher" else (second, first)
        is_shown = verdict in ("higher", "lower") and _has_as_many(winner, loser) and not winner.diverged
        found.append(Match(first, second, of, (winner is first) if is_shown else None))
    return found


def format_share(point: Point) -> str:
    """ "16.6 %", "20 %"; never "0 %" or "100 %" of what is neither."""
    share = point.summary("zeros").mean
    text = f"{100 * share:.1f}"
    is_rounded = text in ("0.0", "100.0") and share not in (0, 1)
    return f"{text if is_rounded else text.removesuffix('.0')} %"


def _has_as_many(first: Point, second: Point) -> bool:
    return first.summary("zeros").mean >= second.summary("zeros").mean - ALIKE


def _judge(found: Sequence[Match]) -> tuple[str, bool | None]:
    """What decides about a network, or what does not, and whether it is better."""
    verdicts = [one.better for one in found]
    verdict = False if False in verdicts else True if True in verdicts else None
    parts = []
    for one in (one for one in found if one.better is verdict):
        as_many, no_more = _has_as_many(one.second, one.first), _has_as_many(one.first, one.second)
        zeros = f"{'as many' if as_many and no_more else 'more' if as_many else 'fewer'} ({format_share(one.second)})"
        parts.append(f"{format_difference(one.between)} points compared with it at {zeros}")
    neither = ": not shown which is better" if verdict is None else ""
    return f"at {format_share(found[0].first)} zeros {' and '.join(parts)}{neither}", verdict
