"""Every group against every other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from trainlab.report.groups import Group
from trainlab.report.statistics import Difference, difference, holm

ALPHA = 0.05


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

    def ordered(self) -> tuple[Group, Group, float]:
        """The more accurate group, the other one, and by how much."""
        if self.difference.mean >= 0:
            return self.first, self.second, self.difference.mean
        return self.second, self.first, -self.difference.mean


def compare_all(groups: Sequence[Group]) -> list[Pair]:
    """All pairs of groups with a completed run, in the order of the groups, with Holm's correction over all tests."""
    accuracies = [(group, accuracy) for group in groups if (accuracy := group.of("metrics", "val_acc"))]
    pairs = [Pair(a, b, difference(of_a, of_b)) for (a, of_a), (b, of_b) in combinations(accuracies, 2)]
    corrected = holm([pair.difference.p for pair in pairs])
    tests = sum(pair.difference.method != "none" for pair in pairs)
    return [replace(pair, p=p, tests=tests) for pair, p in zip(pairs, corrected, strict=True)]
