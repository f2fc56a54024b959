"""Groups of a report on a sweep with `seed=auto`: their order, verdicts and differences are those of its decisions."""

from collections.abc import Sequence
from dataclasses import replace

from trainlab.report.answer import BEST, EQUIVALENT, UNDECIDED, UNTESTED, WORSE
from trainlab.report.comparisons import Pair
from trainlab.report.decisions import Decisions
from trainlab.report.groups import Group
from trainlab.statistics import Difference

ELSEWHERE = "it is not among the comparisons that were fixed before the first seed"
IN_DECISIONS = "see the decisions, as the number of seeds depends on the results"


def leading_first(groups: Sequence[Group], decisions: Decisions) -> list[Group]:
    """``groups`` with the leading one first, the others in their order."""
    return sorted(groups, key=lambda group: decisions.name_of(group.folders) != decisions.leading)


def decided_verdicts(groups: Sequence[Group], decisions: Decisions) -> dict[str, str]:
    """What is decided of each group and the leading one, by label; none is ``BEST`` where that cannot be claimed."""
    return {group.label: _verdict(decisions.name_of(group.folders), decisions) for group in groups}


def _verdict(name: str | None, decisions: Decisions) -> str:
    leading = decisions.leading
    if name is None or leading is None:
        return UNTESTED
    if name == leading:
        return BEST if decisions.may_be_best(name) else UNTESTED
    of = decisions.between(name, leading)
    if of is None:
        return UNTESTED
    if of.is_better:
        return WORSE if of.second.name == name else UNTESTED
    return EQUIVALENT if of.is_equivalent else UNDECIDED if of.is_open else UNTESTED


def left_to(decisions: Decisions, pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs without a test, which would not hold for a number of seeds that was chosen by the results.

    The difference of those that are compared is that of the decision, over the seeds that both completed.
    """
    found = []
    for pair in pairs:
        of, mean, reason = decisions.of(pair.first.folders, pair.second.folders), pair.difference.mean, ELSEWHERE
        if of:
            is_first = of.first.name == decisions.name_of(pair.first.folders)
            mean, reason = -pair.metric.rank(of.found.mean if is_first else -of.found.mean), IN_DECISIONS
        found.append(replace(pair, difference=Difference.untested(mean, reason), p=float("nan"), tests=0))
    return found
