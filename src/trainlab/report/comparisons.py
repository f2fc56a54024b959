"""Comparisons of pairs of groups: by the metric of their task, and whether one converges faster than another."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np

from trainlab.report.curves import Curve
from trainlab.report.groups import Group, differing_hold_out, overlaps_of, why_not_compared
from trainlab.statistics import ALPHA, Difference, Interval, Ratio, difference, equivalence_p, holm, ratio
from trainlab.tasks.metrics import Metric

MAX_PAIRS = 500_000  # of groups; of more, those of the best with each other one, and those of the first groups
MAX_GROUPS_OF_MANY = 100
RATIOS = 3  # of a pair: epochs and seconds to a value, seconds of an epoch
RATIO_ALPHA = 0.005  # of all ratios together, so that all claims of a report are false in at most 5.5 % of sweeps


@dataclass(frozen=True)
class Pair:
    """The metric that two groups are compared by, of one minus another's.

    Attributes:
        difference: in that metric; not corrected.
        p: corrected for ``tests`` pairs, by Holm's method without a margin, by Bonferroni's with one; NaN where no test
            could be made.
        margin: in the unit of the metric; groups that differ by less are equivalent. None if none is set.
        p_equivalent: of the test of equivalence, corrected by Bonferroni's method.
    """

    first: Group
    second: Group
    difference: Difference
    p: float = float("nan")
    tests: int = 0
    margin: float | None = None
    p_equivalent: float = float("nan")

    @property
    def metric(self) -> Metric:
        """What they are compared by."""
        return self.first.metrics.compared_by

    @property
    def is_clear(self) -> bool:
        """Whether the difference is larger than the noise."""
        return self.p < ALPHA

    @property
    def correction(self) -> str:
        """The method by which its p is corrected."""
        return "Holm" if self.margin is None else "Bonferroni"

    @property
    def is_equivalent(self) -> bool:
        """Whether the difference is less than the margin."""
        return self.p_equivalent < ALPHA

    @property
    def is_tested(self) -> bool:
        """Whether there is a test of it."""
        return self.difference.method != "none"

    def ordered(self) -> tuple[Group, Group, float]:
        """The better group, the other one, and by how much."""
        by = abs(self.difference.mean)
        return (self.first, self.second, by) if self.ahead >= 0 else (self.second, self.first, by)

    @property
    def ahead(self) -> float:
        """By how much the first group is better."""
        return -self.metric.rank(self.difference.mean)


def compare_all(groups: Sequence[Group], margin: float | None = None) -> list[Pair]:
    """All pairs of groups with a completed run and the same metric to compare by, in the order of the groups.

    P-values are corrected over all of them. If there are more than ``MAX_PAIRS``, only those of the first group with
    each other one and of the first ``MAX_GROUPS_OF_MANY`` are compared, and corrected for the number of all.

    Args:
        groups: as `group_runs` returns them.
        margin: differences of less make groups equivalent; of percentages in points.

    Raises:
        ValueError: the margin is not above 0.
    """
    return [pair for alike in by_metric(groups) for pair in _compare(alike, margin)]


def by_metric(groups: Sequence[Group]) -> list[list[Group]]:
    """The groups that have a value of the metric that they are compared by, divided by that metric."""
    found: dict[Metric, list[Group]] = {}
    for group in groups:
        if group.compared:
            found.setdefault(group.metrics.compared_by, []).append(group)
    return [*found.values()]


def _compare(compared: Sequence[Group], margin: float | None) -> list[Pair]:
    """All pairs, whose p-values are corrected together: the best group was chosen by the same runs.

    With a margin, two things can be claimed of a pair, at most one of them falsely: so Bonferroni's correction for the
    number of pairs holds for both. Holm's is not valid for both together.
    """
    pairs = [Pair(a, b, _difference(a, b)) for a, b in _pairs_of(compared)]
    tests = sum(pair.is_tested for pair in pairs) + count_pairs(len(compared)) - len(pairs)
    if margin is None:
        ps = holm([pair.difference.p for pair in pairs], tests)
        return [replace(pair, p=p, tests=tests) for pair, p in zip(pairs, ps, strict=True)]
    found = []
    for pair in pairs:
        scaled = margin / 100 if pair.metric.is_percentage else margin
        p, equivalent = pair.difference.p, equivalence_p(pair.difference, scaled)
        p, equivalent = min(tests * p, 1.0), min(tests * equivalent, 1.0)  # NaN stays
        found.append(replace(pair, p=p, tests=tests, margin=scaled, p_equivalent=equivalent))
    return found


def count_pairs(groups: int) -> int:
    """Number of all pairs of as many groups."""
    return groups * (groups - 1) // 2


def _pairs_of(groups: Sequence[Group]) -> Iterator[tuple[Group, Group]]:
    """All pairs; of too many those of the first group with each other one, and those of some groups after it."""
    if count_pairs(len(groups)) <= MAX_PAIRS:
        yield from combinations(groups, 2)
        return
    yield from ((groups[0], other) for other in groups[1:])
    yield from combinations(groups[1:MAX_GROUPS_OF_MANY], 2)


def _difference(first: Group, second: Group) -> Difference:
    if reason := why_not_compared(first, second):
        return Difference.untested(first.comparison.mean - second.comparison.mean, reason)
    pairable = not differing_hold_out([first, second])
    return difference(first.compared, second.compared, pairable, overlaps_of(first, second))


@dataclass(frozen=True)
class TimeToReach:
    """Epochs and seconds that the runs of a group took to reach a value of the primary metric, over those that did.

    Attributes:
        each: epochs and seconds of each of those runs, the fewest epochs first.
    """

    epochs: Interval
    seconds: Interval
    never: int
    n: int
    each: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Convergence:
    """How soon two groups reach the best value of the first, and one that is the same to both, of the primary metric.

    Attributes:
        metric: that metric, the validation loss by default.
        target: mean over the first one's seeds of its best value.
        common: the worse of the two best values, seed by seed where both have the same seeds (then this is the mean),
            otherwise of all runs, so that each run reaches it.
        epochs_ratio, seconds_ratio: what the second takes to ``common`` over what the first takes; below 1 where the
            second is faster. There is none to ``target``, which favours the second: the first is timed at its own best
            value, the second at the first one that is as good.
    """

    metric: Metric
    target: float
    first: TimeToReach
    second: TimeToReach
    common: float
    epochs_ratio: Ratio
    seconds_ratio: Ratio


def compare_convergence(first: Group, second: Group) -> Convergence | None:
    """Compare two groups; None if one has no run with the first one's primary metric by epoch.

    A run of the second has to reach the best value of the first one's run with the same seed, or the first one's
    mean where that has no such seed.
    """
    metric = first.metrics.primary
    curves, others = ({seed: run.curve for seed, run in of.runs.items() if run.curve} for of in (first, second))
    targets, other_bests = _bests(curves, metric), _bests(others, metric)
    if not targets or not others or second.metrics.primary != metric:
        return None
    pairable = not differing_hold_out([first, second])
    mean = sum(targets.values()) / len(targets)
    reach = partial(time_to_reach, metric=metric)
    own = {seed: reach(curves[seed], target) for seed, target in targets.items()}
    other = {seed: reach(curve, targets.get(seed, mean) if pairable else mean) for seed, curve in others.items()}
    over = partial(_over, first, second, pairable=pairable)
    marks = _common(targets, other_bests, pairable, metric)
    own_to_common = {seed: reach(curves[seed], marks[seed]) for seed in targets}
    other_to_common = {seed: reach(others[seed], marks[seed]) for seed in other_bests}
    return Convergence(
        metric,
        mean,
        _reached(own, first),
        _reached(other, second),
        sum(marks.values()) / len(marks),
        over(own_to_common, other_to_common, 0),
        over(own_to_common, other_to_common, 1),
    )


def time_to_reach(curve: Curve, target: float, metric: Metric) -> tuple[float, float] | None:
    """Epochs and seconds until ``metric`` is ``target`` or better; None if it never is."""
    there = np.flatnonzero(metric.rank(curve.of(metric.key)) <= metric.rank(target))
    if not len(there):
        return None
    return float(curve.epochs[there[0]]), float(curve.seconds[there[0]])


Found = dict[int, tuple[float, float] | None]


def _bests(curves: Mapping[int, Curve], metric: Metric) -> dict[int, float]:
    found = {seed: curve.best(metric) for seed, curve in curves.items()}
    return {seed: best for seed, best in found.items() if math.isfinite(best)}


def _common(first: dict[int, float], second: dict[int, float], pairable: bool, metric: Metric) -> dict[int, float]:
    """The value to reach by seed."""
    if pairable and first.keys() == second.keys():
        return {seed: max(first[seed], second[seed], key=metric.rank) for seed in first}
    return dict.fromkeys([*first, *second], max([*first.values(), *second.values()], key=metric.rank))


def _reached(found: Found, group: Group) -> TimeToReach:
    did = {key: value for key, value in found.items() if value}
    epochs = group.interval_of({key: e for key, (e, _) in did.items()})
    seconds = group.interval_of({key: s for key, (_, s) in did.items() if math.isfinite(s)})
    return TimeToReach(epochs, seconds, len(found) - len(did), len(found), tuple(sorted(did.values())))


def _over(first: Group, second: Group, own: Found, other: Found, which: int, pairable: bool) -> Ratio:
    """What the second group takes over what the first takes: epochs (``which`` 0) or seconds (1)."""
    if None in other.values() or not other:
        return Ratio(math.nan, math.nan, math.nan)
    theirs, ours = (
        group.by_unit({key: value[which] for key, value in found.items() if value})
        for group, found in ((second, other), (first, own))
    )
    return ratio(theirs, ours, pairable, overlaps_of(second, first))
