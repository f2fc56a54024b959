"""L1 compared with zeroing small weights, where both make as many weights zero.

No share of zeros is the same in two methods, and between two that were tried the accuracy need not follow a straight
line, so nothing is read off between them. A network counts as better where it is clearly more accurate than one with
no more zeros than it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from exercise.claims import Claim
from exercise.formatting import Verdict, all_hold, corrected_verdicts, format_difference
from exercise.questions.sparsity import measuring as m
from exercise.questions.sparsity.points import Point, by_zeros
from trainlab.statistics import Difference, difference

MOST = 0.5  # share of zeros from which on a network is called sparse: most of its weights are zero
ALIKE = 0.01  # shares of zeros that are no further apart count as equal; a choice
_ALONE, _AS_LONG = "zeroing alone", "zeroing with as much training"


@dataclass(frozen=True)
class Match:
    """A network of one method compared with a network of another.

    Attributes:
        first: the one that is asked about.
        second: the other one.
        between: in validation accuracy, the first less the second.
        said: by Holm's correction over all that belong to a claim.
    """

    first: Point
    second: Point
    between: Difference
    said: Verdict

    @property
    def better(self) -> bool | None:
        """Whether the first is, with as many zeros or more; False where the second is; None where neither is shown."""
        if self.said == "higher" and _has_as_many(self.first, self.second) and not self.first.diverged:
            return True
        if self.said == "lower" and _has_as_many(self.second, self.first) and not self.second.diverged:
            return False
        return None


def claims(points: Sequence[Point]) -> list[Claim]:
    """That a sparser network comes of L1 than of zeroing, left at that or trained on for as long."""
    return [
        _claim(points, f"L1 is more accurate than {name} at as many zeros", method)
        for method, name in ((m.PLAIN, _ALONE), (m.TUNED, _AS_LONG))
    ]


def _claim(points: Sequence[Point], says: str, other: str) -> Claim:
    found = match_points(points, m.L1, other)
    if not found:
        return Claim(says, f"there are no two networks with {100 * MOST:.0f} % zeros or more to compare", None)
    by_point: dict[str, list[Match]] = {}
    for one in found:
        by_point.setdefault(one.first.setting, []).append(one)
    verdicts = [_verdict(of) for of in by_point.values()]
    return Claim(says, "; ".join(map(_describe_matches, by_point.values())), all_hold(*verdicts))


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
    said = corrected_verdicts(between)
    return [Match(*pair, of, word) for pair, of, (word, _) in zip(pairs, between, said, strict=True)]


def format_share(point: Point) -> str:
    """ "16.6 %", "20 %"; never "0 %" or "100 %" of what is neither."""
    share = point.summary("zeros").mean
    text = f"{100 * share:.1f}"
    is_rounded = text in ("0.0", "100.0") and share not in (0, 1)
    return f"{text if is_rounded else text.removesuffix('.0')} %"


def _has_as_many(first: Point, second: Point) -> bool:
    return first.summary("zeros").mean >= second.summary("zeros").mean - ALIKE


def _verdict(found: Sequence[Match]) -> bool | None:
    verdicts = [one.better for one in found]
    return False if False in verdicts else True if True in verdicts else None


def _describe_matches(found: Sequence[Match]) -> str:
    """What decides, or what does not."""
    verdict = _verdict(found)
    shown = [one for one in found if one.better is verdict]
    parts = [f"{format_difference(one.between)} points compared with it at {_place(one)}" for one in shown]
    neither = ": not shown which is better" if verdict is None else ""
    return f"at {format_share(found[0].first)} zeros {' and '.join(parts)}{neither}"


def _place(one: Match) -> str:
    """How many zeros the second has compared with the first: "fewer (50 %)"."""
    as_many, no_more = _has_as_many(one.second, one.first), _has_as_many(one.first, one.second)
    word = "as many" if as_many and no_more else "more" if as_many else "fewer"
    return f"{word} ({format_share(one.second)})"
