"""Groups of a report on a sweep with `seed=auto`: their order, names, verdicts and differences are of its decisions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from trainlab.report.answer import BASELINE, BEST, BETTER, EQUIVALENT, NOT_CLAIMED, UNDECIDED, UNTESTED, WORSE
from trainlab.report.comparisons import Pair
from trainlab.report.decisions import Decisions
from trainlab.report.groups import Group
from trainlab.statistics import Difference

ELSEWHERE = "it is not among the comparisons that were fixed before the first seed"
IN_DECISIONS = "see the decisions, as the number of seeds depends on the results"


def as_decided(groups: Sequence[Group], decisions: Decisions) -> list[Group]:
    """``groups`` by the names that the decisions have for them, the baseline or the leading one first."""
    names = [decisions.name_of(group.folders) for group in groups]
    counts = Counter(names)
    found = [
        replace(group, label=name) if name is not None and counts[name] == 1 else group
        for group, name in zip(groups, names, strict=True)
    ]
    return sorted(found, key=lambda group: decisions.name_of(group.folders) != decisions.reference)


def decided_verdicts(groups: Sequence[Group], decisions: Decisions) -> dict[str, str]:
    """What is decided of each group and the baseline or the leading one, by label.

    None is ``BEST`` where that cannot be claimed.
    """
    return {group.label: _verdict(decisions.name_of(group.folders), decisions) for group in groups}


def _verdict(name: str | None, decisions: Decisions) -> str:
    baseline, reference = decisions.rules.baseline, decisions.reference
    if name is None or reference is None:
        return UNTESTED
    if name == reference:
        return BASELINE if baseline else BEST if decisions.may_be_best(name) else NOT_CLAIMED
    of = decisions.between(name, reference)
    if of is None:
        return UNTESTED
    if of.is_better:
        return WORSE if of.second.name == name else BETTER if baseline else NOT_CLAIMED
    return EQUIVALENT if of.is_equivalent else UNDECIDED if of.is_open else NOT_CLAIMED


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
