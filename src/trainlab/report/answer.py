"""What a report says first: which group is best, by how much, and whether the others are significantly worse."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from trainlab.report.comparisons import Pair, by_metric
from trainlab.report.formatting import capitalized, format_amount, format_estimate, format_gap, format_p, listed
from trainlab.report.groups import OTHER_IMAGES, Group
from trainlab.report.runs import Run
from trainlab.statistics import NO_SPREAD

MAX_NAMED = 3
BEST, WORSE, UNDECIDED, UNTESTED = "best", "significantly worse", "undecided", "not tested"


@dataclass(frozen=True)
class Standing:
    """Groups that are compared by the same metric, and what can be said of the best.

    Attributes:
        groups: the best first.
        pairs: of the best with each of the others, in their order.
    """

    groups: Sequence[Group]
    pairs: Sequence[Pair]

    @property
    def best(self) -> Group:
        """That with the best mean."""
        return self.groups[0]

    @cached_property
    def verdicts(self) -> dict[str, str]:
        """By label: ``BEST``, or whether the group is worse: ``WORSE``, ``UNDECIDED`` or ``UNTESTED``.

        Sentence, chart and tables have this same decision: by the p that Holm's method corrects.
        """
        return {self.best.label: BEST} | {
            group.label: WORSE if pair.is_clear else UNDECIDED if pair.is_tested else UNTESTED
            for group, pair in zip(self.groups[1:], self.pairs, strict=True)
        }

    def describe_best(self) -> str:
        """The best, with mean, interval and number of seeds."""
        best, metric = self.best, self.best.metrics.compared_by
        found = best.comparison
        units = f"{found.n} {best.unit}{'s' if found.n > 1 else ''}"
        mean, spread, half = format_estimate(found, metric).partition(" ± ")
        points = " points" if metric.is_percentage else ""
        if spread:
            units = f"± {half}{points}, 95 % interval over {units}"
        elif found.n > 1:
            units = f"the same for all {units}"
        return f"{'Best: ' if len(self.groups) > 1 else ''}{best.label}, {metric.label} {mean} ({units})."

    def describe_others(self) -> str:
        """Whether the others are significantly worse, and by how much the next is; "" if there is none."""
        if not self.pairs:
            return ""
        counts = Counter(self.verdicts.values())
        worse, undecided, untested = (counts[verdict] for verdict in (WORSE, UNDECIDED, UNTESTED))
        parts = [self._describe_worse(worse, undecided)] if untested < len(self.pairs) else []
        if worse and undecided == 1:
            pair = next(pair for pair in self.pairs if pair.is_tested and not pair.is_clear)
            parts[0] += f": {_other(pair, self.best).label}, {_describe_gap(pair)}"
        else:
            parts.append(self._describe_next())
        said = f"{'; '.join(parts)}.{' More seeds may decide.' if undecided else ''}"
        if untested:
            which = f"{untested} of the others" if untested < len(self.pairs) else "Differences"
            said += f" {which} cannot be tested: {self._describe_reasons()}."
        return capitalized(said)

    def _describe_worse(self, worse: int, undecided: int) -> str:
        """How many of the others are significantly worse, and how many undecided."""
        others = len(self.pairs)
        if others == 1:
            return f"the other group is {'' if worse else 'not '}significantly worse"
        if not worse:
            return "no other group is significantly worse"
        if worse == others:
            return f"{'both' if others == 2 else f'all {others}'} other groups are significantly worse"
        said = f"{worse} of {others} other groups {'are' if worse > 1 else 'is'} significantly worse"
        return f"{said}, {undecided} undecided" if undecided else said

    def _describe_next(self) -> str:
        """By how much the next group is behind, and the p of that."""
        pair = self.pairs[0]
        named = "it" if len(self.pairs) == 1 and pair.is_tested else f"the next, {self.groups[1].label},"
        return f"{named} is {_describe_gap(pair)}"

    def _describe_single(self, unit: str) -> str:
        single = [group.label for group in self.groups if len(group.compared) == 1]
        named = ", ".join(single) if len(single) <= MAX_NAMED else f"{len(single)} groups"
        of = "each" if len(single) == len(self.groups) else f"of {named}"
        return f"one {unit} {of}; run more (seed=1,2,3)"

    def _describe_reasons(self) -> str:
        """Why pairs are not tested, and what to do about it."""
        units = dict.fromkeys(group.unit for group in self.groups if len(group.compared) == 1)
        reasons = {
            "one seed": self._describe_single(" or ".join(units)),
            NO_SPREAD: f"there is {NO_SPREAD}",
            OTHER_IMAGES: "the groups saw different images",
        }
        found = dict.fromkeys(pair.difference.reason for pair in self.pairs if not pair.is_tested)
        return "; ".join(reasons.get(reason, reason) for reason in found)


def standings(groups: Sequence[Group], pairs: Sequence[Pair]) -> list[Standing]:
    """One for each metric that groups are compared by, that of the most runs first."""
    found = []
    for alike in by_metric(groups):
        best = alike[0]
        with_best = {_other(pair, best).label: pair for pair in pairs if pair.first is best or pair.second is best}
        found.append(Standing(alike, [with_best[group.label] for group in alike[1:]]))
    return found


def describe_lost(groups: Sequence[Group]) -> str:
    """The groups without a completed run, and how their runs ended; "" if each has one."""
    lost = [group for group in groups if not group.runs and group.others]
    if not lost:
        return ""
    if len(lost) > MAX_NAMED:
        return f"No run of {len(lost)} other groups completed."
    return f"No run of {listed([f'{group.label} ({count_statuses(group.others)})' for group in lost], 'or')} completed."


def count_statuses(runs: Sequence[Run]) -> str:
    """ "2 diverged, 1 failed"."""
    return ", ".join(f"{n} {status}" for status, n in Counter(run.status for run in runs).most_common())


def _describe_gap(pair: Pair) -> str:
    """ "6.3 points behind (p = 0.057, corrected over 3 pairs)"; of a significant difference with half its interval."""
    metric, by = pair.metric, abs(pair.difference.mean)
    if by == 0:
        return "equal"
    if not pair.is_tested:
        return f"{format_gap(by, metric)} behind"
    text = format_p(pair.p)
    p = f"p {text}" if text.startswith("<") else f"p = {text}"
    corrected = f", corrected over {pair.tests} pairs" if pair.tests > 1 else ""
    spread = f" ± {format_amount(pair.difference.half_width, metric)}" if pair.is_clear else ""
    gap = f"{format_amount(by, metric)}{spread}{' points' if metric.is_percentage else ''}"
    return f"{gap} behind ({p}{corrected})"


def _other(pair: Pair, group: Group) -> Group:
    return pair.second if pair.first is group else pair.first
