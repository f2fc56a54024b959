"""Two groups of a sweep with `seed=auto`, compared over as many seeds as there are, and what that decides."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path

from trainlab.report.formatting import format_amount, unit_of_gap
from trainlab.statistics import NO_SPREAD, Sequential, sequential
from trainlab.statistics.anytime import fewest, foreseen
from trainlab.tasks.metrics import Metric


@dataclass(frozen=True)
class Rules:
    """What is fixed before the first seed.

    Attributes:
        metric: that groups are compared by.
        margin: groups that differ by less are equivalent; of a percentage in points.
        alpha: probability of any false decision, of all pairs together.
        baseline: the group that all others are compared with; None to compare all pairs.
        groups: overrides that decide what each group trains, without the seed, by the group's name.
    """

    metric: Metric
    margin: float
    alpha: float
    baseline: str | None
    groups: Mapping[str, Sequence[str]]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names of the groups that are compared."""
        return pairs_of(self.groups, self.baseline)

    @property
    def alpha_of_pair(self) -> float:
        """Probability of a false decision of each pair."""
        return self.alpha / len(self.pairs)

    @property
    def scaled_margin(self) -> float:
        """The margin in the unit of the metric's values."""
        return self.margin / 100 if self.metric.is_percentage else self.margin

    def describe_margin(self) -> str:
        """ "1 point of validation accuracy"."""
        unit = f"point{'s' * (self.margin != 1)} of " if self.metric.is_percentage else "in "
        return f"{self.margin:g} {unit}{self.metric.label}"


def pairs_of(groups: Collection[str], baseline: str | None) -> list[tuple[str, str]]:
    """The pairs of ``groups`` that are compared, those with ``baseline`` alone if there is one."""
    if baseline is None:
        return [*combinations(groups, 2)]
    return [(baseline, name) for name in groups if name != baseline]


@dataclass(frozen=True)
class Competitor:
    """The runs of a group, by seed.

    Attributes:
        values: the metric, of the runs that completed with a finite one.
        lost: status of the runs that ended without: diverged or failed.
        seconds: that runs took; of a member of a population its share.
        folders: of all seeds that were planned.
        images: digests of those that the completed runs saw.
    """

    name: str
    values: Mapping[int, float]
    lost: Mapping[int, str]
    seconds: Mapping[int, float]
    folders: Mapping[int, Path]
    images: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """Two groups, compared seed by seed, in the order of the seeds.

    Counted are the seeds up to the first that has not ended in both groups. A seed that was lost in either has no
    difference, but it counts against the group that lost it: none is called better than one that completed a seed which
    it lost, and only groups that lost the same seeds are called equivalent.

    Attributes:
        first, second: the groups, first the one that is ahead where both completed.
        found: the differences, by how much the first one is better.
        seeds: those that both completed.
        ended: number of seeds that have ended in both.
        rules: of all comparisons.
    """

    first: Competitor
    second: Competitor
    found: Sequential
    seeds: Sequence[int]
    ended: Sequence[int]
    rules: Rules = field(repr=False)

    @cached_property
    def lost_seeds(self) -> tuple[frozenset[int], frozenset[int]]:
        """Counted seeds that each group lost."""
        first, second = (frozenset(seed for seed in self.ended if seed in of.lost) for of in (self.first, self.second))
        return first, second

    @property
    def lost(self) -> tuple[int, int]:
        """Number of counted seeds that each group lost."""
        first, second = map(len, self.lost_seeds)
        return first, second

    def bars(self, name: str) -> bool:
        """Whether the group of this name is one of the two and lost a seed that the other one completed.

        Then it is not called better: of its values those that it lost may be the worst.
        """
        first, second = self.lost_seeds
        return (name == self.first.name and not first <= second) or (name == self.second.name and not second <= first)

    @cached_property
    def is_better(self) -> bool:
        """Whether it is decided that the first is better."""
        return (
            not self.shows_nothing
            and self.found.apart is not None
            and self.found.low > 0
            and not self.bars(self.first.name)
        )

    @cached_property
    def is_equivalent(self) -> bool:
        """Whether it is decided that both are within the margin."""
        first, second = self.lost_seeds
        return not self.shows_nothing and self.found.within is not None and first == second

    @property
    def is_withheld(self) -> bool:
        """Whether the differences are decided, and lost seeds are against saying so."""
        return not self.shows_nothing and self.found.decided is not None and not self.decided_after

    @property
    def shows_nothing(self) -> bool:
        """Whether of the seeds that a decision takes at least none completed in both, or all differences are equal.

        Also where they saw different images.
        """
        if self._saw_other_images:
            return True
        without_noise = self.found.n == 0 or (self.found.n > 1 and not self.found.has_noise)
        return without_noise and len(self.ended) >= fewest(self.rules.alpha_of_pair)

    @property
    def _saw_other_images(self) -> bool:
        return len(self.first.images | self.second.images) > 1

    @property
    def is_open(self) -> bool:
        """Whether more seeds may decide it: not where its interval is empty, which more of them do not mend."""
        return self.found.decided is None and not math.isnan(self.found.low) and not self.shows_nothing

    @property
    def decided_after(self) -> int | None:
        """Number of seeds after which it was decided, with those that were lost."""
        marks = [self.found.apart] * self.is_better + [self.found.within] * self.is_equivalent
        known = [mark for mark in marks if mark is not None]
        return self.ended.index(self.seeds[min(known) - 1]) + 1 if known else None

    @cached_property
    def foreseen(self) -> int | None:
        """Number of seeds that would decide an undecided pair if mean and spread stay; None where that is not known."""
        needed = foreseen(self.found, self.rules.alpha_of_pair, self.rules.scaled_margin) if self.is_open else None
        return needed - self.found.n if needed else None

    @property
    def cost(self) -> tuple[int, float]:
        """Number of runs of both groups, and their seconds, up to the decision, or so far."""
        counted = self.ended[: self.decided_after]
        seconds = [of.seconds.get(seed, 0.0) for of in (self.first, self.second) for seed in counted]
        return len(seconds), sum(seconds)

    @property
    def word(self) -> str:
        """What is decided: of the first group, compared with the second."""
        found = ["better"] * self.is_better + ["equivalent"] * self.is_equivalent
        return ", ".join(found) or ("undecided" if self.is_open else "not claimed")

    def word_against(self, baseline: str | None) -> str:
        """What is decided, of the other group compared with ``baseline``; `word` where that is not the first one."""
        return self.word.replace("better", "worse") if self.first.name == baseline else self.word

    def describe(self) -> str:
        """What is decided, in a sentence."""
        if not self.decided_after:
            return self._describe_undecided()
        first, second, margin = self.first.name, self.second.name, self.rules.describe_margin()
        by, interval = self._describe_gap(), self.describe_interval()
        after = f"decided after {count_of_seeds(self.decided_after)}{self._where_both_completed()}."
        if self.is_better:
            both = f", less than the margin of {margin}: better and equivalent" if self.is_equivalent else ""
            return f"{first} is better than {second} by {by} ({interval}){both}, {after}"
        return f"{first} and {second} are equivalent: less than {margin} apart ({by}, {interval}), {after}"

    def _describe_undecided(self) -> str:
        """Why nothing is decided, and how many more seeds an undecided pair would need."""
        first, second, n = self.first.name, self.second.name, len(self.ended)
        if not self.found.n:
            of = f" of {n}" if n else ""
            return f"{first} and {second}: no seed{of} has completed in both{self._lost_in_brackets()}."
        by = self._describe_gap()
        if self._saw_other_images:
            return f"{first} and {second}: nothing is decided, as they saw different images."
        if self.shows_nothing:
            equal = f"all {self.found.n} differences are equal ({by}), so there is {NO_SPREAD}"
            return f"{first} and {second}: nothing is decided, as {equal}."
        if math.isnan(self.found.low):
            contradiction = "intervals after fewer and after more seeds exclude each other"
            return f"{first} and {second}: nothing is decided, as {contradiction}."
        ahead = f"{first} is {by} ahead of {second}" if self.found.mean else f"{first} and {second} are equal"
        ahead += f" ({self.describe_interval()}){self._where_both_completed()}"
        if self.is_withheld:
            who, other = (first, second) if self.bars(first) else (second, first)
            return f"{ahead}: nothing is claimed, as {who} lost seeds that {other} completed."
        more = f"; about {self.foreseen} more would decide if mean and spread stay" if self.foreseen else ""
        return f"{ahead}: undecided after {count_of_seeds(n)}{more}."

    def _describe_gap(self) -> str:
        """How far the first is ahead; below 0 where earlier seeds decided that it is better and all together do not."""
        return f"{format_bound(self.found.mean, self.rules.metric)}{unit_of_gap(self.rules.metric)}"

    def _where_both_completed(self) -> str:
        return f", where both completed{self._lost_in_brackets()}" if any(self.lost) else ""

    def _lost_in_brackets(self) -> str:
        """ " (selu lost 2 of 12 seeds, bn none)"; "" if none was lost."""
        names = (self.first.name, self.second.name)
        (most, first), (least, second) = sorted(zip(self.lost, names, strict=True), reverse=True)
        return (
            f" ({first} lost {most} of {count_of_seeds(len(self.ended))}, {second} {least or 'none'})" if most else ""
        )

    def describe_interval(self) -> str:
        """ "95 % interval 1.2 to 3.4": of how far the first is ahead; in points of a percentage."""
        if not math.isfinite(self.found.low):
            return "no interval yet"
        low, high = (format_bound(bound, self.rules.metric) for bound in (self.found.low, self.found.high))
        return f"{1 - self.rules.alpha:.0%} interval {low} to {high}".replace("%", " %", 1)


def format_bound(of: float, metric: Metric) -> str:
    """A bound of a difference with its sign, of a percentage in points."""
    text = format_amount(abs(of), metric)
    return f"-{text}" if of < 0 and text.strip("0.") else text


def count_of_seeds(n: int | None) -> str:
    """ "7 seeds"."""
    return f"{n} seed{'' if n == 1 else 's'}"


def compare(first: Competitor, second: Competitor, rules: Rules) -> Decision:
    """Compare the runs of two groups."""
    ended: list[int] = []
    for seed in sorted(first.folders.keys() | second.folders.keys()):
        if not all(seed in of.values or seed in of.lost for of in (first, second)):
            break
        ended.append(seed)
    seeds = [seed for seed in ended if seed in first.values and seed in second.values]
    rank, metric = rules.metric.rank, [(first.values[seed], second.values[seed]) for seed in seeds]
    ahead = [rank(other) - rank(own) for own, other in metric]
    found = sequential(ahead, rules.alpha_of_pair, rules.scaled_margin)
    if found.high < 0 or (found.mean < 0 and not found.low > 0):
        first, second = second, first
        found = sequential([-by for by in ahead], rules.alpha_of_pair, rules.scaled_margin)
    return Decision(first, second, found, seeds, ended, rules)
