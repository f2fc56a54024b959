"""What a report says first: which group is best, by how much, and whether the others are significantly worse."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainlab.report.comparisons import Pair, by_metric
from trainlab.report.formatting import format_estimate, format_gap, format_points
from trainlab.report.groups import OTHER_IMAGES, Group
from trainlab.statistics import NO_SPREAD

MAX_NAMED = 3


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

    @property
    def worse(self) -> list[Group]:
        """Those that are significantly worse than the best."""
        return [pair.ordered()[1] for pair in self.pairs if pair.is_clear and pair.ordered()[0] is self.best]

    def describe_best(self) -> str:
        """The best, with mean, interval and number of seeds."""
        best, metric = self.best, self.best.metrics.compared_by
        found = best.comparison
        units = f"{found.n} {best.unit}{'s' if found.n > 1 else ''}"
        value = format_estimate(found, metric)
        mean, spread, half = value.partition(" ± ")
        points = " points" if metric.is_percentage else ""
        of = f"± {half}{points}, 95 % interval over {units}" if spread else units
        return f"{'Best: ' if len(self.groups) > 1 else ''}{best.label}, {metric.label} {mean} ({of})."

    def describe_others(self) -> str:
        """Whether the others are significantly worse, and by how much the next is; "" if there is none."""
        if not self.pairs:
            return ""
        tested, worse = [pair for pair in self.pairs if pair.is_tested], self.worse
        untested = len(self.pairs) - len(tested)
        said = f"{self._describe_next()}."
        if tested:
            said = f"{self._describe_worse(tested, len(worse))}; {said}"
        if untested:
            which = f"{untested} of the others" if tested else "Differences"
            said += f" {which} cannot be tested: {self._describe_reasons()}."
        return said[:1].upper() + said[1:]

    def _describe_worse(self, tested: Sequence[Pair], worse: int) -> str:
        """How many of the others are significantly worse; which are, or which are not, where these are few."""
        others = len(self.pairs)
        similar = [_other(pair, self.best).label for pair in tested if not pair.is_clear]
        if others == 1:
            return f"the other group is {'' if worse else 'not '}significantly worse"
        if not worse:
            return "no other group is significantly worse"
        if worse == others:
            return f"{'both' if others == 2 else f'all {others}'} other groups are significantly worse"
        if worse + len(similar) == others and len(similar) <= min(worse, MAX_NAMED):
            return f"all other groups but {_listed(similar)} are significantly worse"
        if worse <= MAX_NAMED:
            names = _listed([group.label for group in self.worse])
            return f"only {names} {'are' if worse > 1 else 'is'} significantly worse"
        return f"{worse} of {others} other groups {'are' if worse > 1 else 'is'} significantly worse"

    def _describe_next(self) -> str:
        """By how much the next group is behind."""
        pair = self.pairs[0]
        metric, by, half = pair.metric, abs(pair.difference.mean), pair.difference.half_width
        named = "it" if len(self.pairs) == 1 and pair.is_tested else f"the next, {self.groups[1].label},"
        if by == 0:
            return f"{named} is equal"
        if not pair.is_tested:
            return f"{named} is {format_gap(by, metric)} behind"
        if metric.is_percentage:
            return f"{named} is {format_points(by)} ± {format_points(half)} points behind"
        return f"{named} is {metric.format(by)} ± {metric.format(half)} behind"

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


def _other(pair: Pair, group: Group) -> Group:
    return pair.second if pair.first is group else pair.first


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
