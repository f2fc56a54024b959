"""Comparisons of all pairs of groups by validation accuracy."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from trainlab.report.groups import Group, differing_hold_out, overlaps_of, saw_other_images
from trainlab.statistics import ALPHA, Difference, difference, holm

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
