"""Comparisons of pairs of groups: by validation accuracy, and whether one converges faster than another."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np

from trainlab.report.curves import Curve
from trainlab.report.groups import Group, differing_hold_out, overlaps_of, saw_other_images
from trainlab.statistics import ALPHA, Difference, Interval, Ratio, difference, holm, ratio

MAX_DESCRIBED = 8  # groups: up to this many, each pair has a sentence; above, the best against the others
OTHER_IMAGES = "other images"


@dataclass(frozen=True)
class Pair:
    """Validation accuracy of one group minus another's.

    Attributes:
        difference: in accuracy, a fraction; not corrected.
        p: Holm's, over ``tests`` tests; NaN where none could be made.
    """

    first: Group
    second: Group
    difference: Difference
    p: float = float("nan")
    tests: int = 0

    @property
    def is_clear(self) -> bool:
        """Whether the difference is larger than the noise."""
        return self.p < ALPHA

    @property
    def is_tested(self) -> bool:
        """Whether there is a test of it."""
        return self.difference.method != "none"

    def ordered(self) -> tuple[Group, Group, float]:
        """The more accurate group, the other one, and by how much."""
        if self.difference.mean >= 0:
            return self.first, self.second, self.difference.mean
        return self.second, self.first, -self.difference.mean


def compare_all(groups: Sequence[Group]) -> list[Pair]:
    """All pairs of groups with a completed run, in the order of the groups.

    Holm's correction is over the pairs that the report describes: all pairs of few groups, of many those with the
    first. Any other pair is corrected over all pairs.
    """
    compared = [group for group in groups if group.of("metrics", "val_acc")]
    pairs = [Pair(a, b, _difference(a, b)) for a, b in combinations(compared, 2)]
    corrected = _corrected(pairs, range(len(pairs)))
    if len(compared) > MAX_DESCRIBED:
        described = [i for i, pair in enumerate(pairs) if pair.first is compared[0]]
        for i, pair in zip(described, _corrected(pairs, described), strict=True):
            corrected[i] = pair
    return corrected


def _difference(first: Group, second: Group) -> Difference:
    if saw_other_images(first, second):
        gap = first.summary("metrics", "val_acc").mean - second.summary("metrics", "val_acc").mean
        return Difference.untested(gap, OTHER_IMAGES)
    pairable = not differing_hold_out([first, second])
    return difference(
        first.of("metrics", "val_acc"), second.of("metrics", "val_acc"), pairable, overlaps_of(first, second)
    )


def _corrected(pairs: Sequence[Pair], family: Collection[int]) -> list[Pair]:
    chosen = [pairs[i] for i in family]
    tests = sum(pair.is_tested for pair in chosen)
    ps = holm([pair.difference.p for pair in chosen])
    return [replace(pair, p=p, tests=tests) for pair, p in zip(chosen, ps, strict=True)]


@dataclass(frozen=True)
class TimeToReach:
    """Epochs and seconds that the runs of a group took to reach a loss, over those that did.

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
    """How soon two groups reach the best validation loss of the first, and a loss that is the same to both.

    Attributes:
        target: mean over the first one's seeds of its best validation loss.
        epochs_ratio, seconds_ratio: what the second takes to it over what the first takes. NaN if a run never
            reached it, since those that did would be a choice. Of two equal models it is below 1: the first is timed at
            its own lowest loss, the second at the first one that is as low.
        common: the higher of the two best losses, seed by seed where both have the same seeds (then this is the mean),
            otherwise of all runs, so that each run reaches it.
        common_epochs_ratio, common_seconds_ratio: the same to that loss; below 1 where the second is faster.
    """

    target: float
    first: TimeToReach
    second: TimeToReach
    epochs_ratio: Ratio
    seconds_ratio: Ratio
    common: float
    common_epochs_ratio: Ratio
    common_seconds_ratio: Ratio


def compare_convergence(first: Group, second: Group) -> Convergence | None:
    """Compare two groups; None if one has no run with a validation loss by epoch.

    A run of the second has to reach the best loss of the first one's run with the same seed, or the first one's
    mean where that has no such seed.
    """
    curves = {seed: run.curve for seed, run in first.runs.items() if run.curve}
    targets = {seed: curve.best_val_loss for seed, curve in curves.items() if math.isfinite(curve.best_val_loss)}
    others = {seed: run.curve for seed, run in second.runs.items() if run.curve}
    if not targets or not others:
        return None
    pairable = not differing_hold_out([first, second])
    mean = sum(targets.values()) / len(targets)
    own = {seed: time_to_reach(curves[seed], target) for seed, target in targets.items()}
    other = {
        seed: time_to_reach(curve, targets.get(seed, mean) if pairable else mean) for seed, curve in others.items()
    }
    over = partial(_over, first, second, pairable=pairable)
    other_bests = {s: c.best_val_loss for s, c in others.items() if math.isfinite(c.best_val_loss)}
    marks = _common(targets, other_bests, pairable)
    own_to_common = {seed: time_to_reach(curves[seed], marks[seed]) for seed in targets}
    other_to_common = {seed: time_to_reach(others[seed], marks[seed]) for seed in other_bests}
    return Convergence(
        mean,
        _reached(own, first),
        _reached(other, second),
        over(own, other, 0),
        over(own, other, 1),
        sum(marks.values()) / len(marks),
        over(own_to_common, other_to_common, 0),
        over(own_to_common, other_to_common, 1),
    )


def time_to_reach(curve: Curve, target: float) -> tuple[float, float] | None:
    """Epochs and seconds until the validation loss is ``target`` or lower; None if it never is."""
    there = np.flatnonzero(curve.by_name["val/loss"] <= target)
    if not len(there):
        return None
    return float(curve.epochs[there[0]]), float(curve.seconds[there[0]])


Found = dict[int, tuple[float, float] | None]


def _common(first: dict[int, float], second: dict[int, float], pairable: bool) -> dict[int, float]:
    """The loss to reach by seed."""
    if pairable and first.keys() == second.keys():
        return {seed: max(first[seed], second[seed]) for seed in first}
    return dict.fromkeys([*first, *second], max(*first.values(), *second.values(), -math.inf))


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
