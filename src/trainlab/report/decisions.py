"""A sweep that adds seeds until its groups are compared, as `decisions.json` in its folder has it, and what it decided.

All of it follows from the margin and the like, which are fixed before the first seed, and from the results of the runs.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trainlab.report.decision import Competitor, Decision, Rules, compare, count_of_seeds
from trainlab.report.formatting import format_amount, listed, unit_of_gap
from trainlab.report.records import read_record
from trainlab.runs.format import FORMAT, check_format
from trainlab.runs.numbers import format_duration
from trainlab.runs.result import Result, is_number
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import describe_metric, read_metric

FILE = "decisions.json"
_METHOD = (
    "Decisions: seeds are added until each pair is decided. Groups are compared seed by seed, in the order of the "
    "seeds, by the anytime-valid t interval of their differences (normal mixture with the right Haar prior: Lai, 1976; "
    "Wang and Ramdas, 2025), which holds after all numbers of seeds at once, intersected over them. Its error "
    "probability is {alpha:g}{pairs}. Better: 0 is outside; equivalent: it lies within the margin; both may hold."
)
_LOST = (
    "A seed that diverged, failed or has no finite metric in a group is lost: it has no difference, and counts against "
    "that group. None is called better than one that completed a seed which it lost, and only groups that lost the "
    "same seeds are called equivalent. Seeds after the first that has not ended in both groups are not counted yet."
)
_OTHER_INTERVALS = (
    "Intervals of means and ratios, and the significance of ratios, assume a fixed number of seeds. Here it depends on "
    "the results, so these intervals are somewhat too narrow, and ratios are claimed too often."
)
# Of the groups compared with a baseline, as the answer has them.
_ORDER = (
    *("better", "better, equivalent", "worse", "worse, equivalent"),
    *("equivalent", "undecided", "not claimed"),
)
_ENDED = ("completed", "diverged", "failed")


@dataclass(frozen=True)
class Decisions:
    """All pairs that a sweep compares, and what it decided of them."""

    rules: Rules
    competitors: Mapping[str, Competitor]

    @cached_property
    def pairs(self) -> list[Decision]:
        """Every pair that is compared."""
        return [compare(self.competitors[a], self.competitors[b], self.rules) for a, b in self.rules.pairs]

    @property
    def open(self) -> list[Decision]:
        """Pairs that more seeds may decide."""
        return [pair for pair in self.pairs if pair.is_open]

    def of(self, first: Collection[Path], second: Collection[Path]) -> Decision | None:
        """The comparison of the groups whose runs are in these folders; None where there is none."""
        return self.between(self.name_of(first), self.name_of(second))

    def between(self, first: str | None, second: str | None) -> Decision | None:
        """The comparison of two groups by their names; None where there is none."""
        names = {first, second}
        return next((pair for pair in self.pairs if {pair.first.name, pair.second.name} == names), None)

    def name_of(self, folders: Collection[Path]) -> str | None:
        """Name of the group that has runs in these folders."""
        own = {folder.resolve() for folder in folders}
        return next((name for name, of in self.competitors.items() if own & {*of.folders.values()}), None)

    def worse_than(self, name: str) -> set[str]:
        """Names of the groups that one is better than."""
        return {pair.second.name for pair in self.pairs if pair.is_better and pair.first.name == name}

    @cached_property
    def undefeated(self) -> list[str]:
        """Names of the groups that none is better than."""
        worse = {other for name in self.competitors for other in self.worse_than(name)}
        return [name for name in self.competitors if name not in worse]

    @cached_property
    def leading(self) -> str | None:
        """Of the groups that none is better than, the one with the best mean over the seeds that all these completed.

        Over the seeds of each where there is no such seed; None if no run completed.
        """
        found = {name: of.values for name, of in self.competitors.items() if of.values}
        found = {name: found[name] for name in found if name in self.undefeated} or found
        common = set.intersection(*map(set[int], found.values())) if found else set[int]()

        def mean(name: str) -> float:
            values = [value for seed, value in found[name].items() if seed in common or not common]
            return self.rules.metric.rank(sum(values) / len(values))

        return min(found, key=mean, default=None)

    @property
    def reference(self) -> str | None:
        """Name of the group that the others are shown against: the baseline, or the leading one."""
        return self.rules.baseline or self.leading

    def may_be_best(self, name: str) -> bool:
        """Whether no group is better than this one, and in no comparison lost seeds are against its being better."""
        return name in self.undefeated and not any(pair.bars(name) for pair in self.pairs)

    def answer(self) -> tuple[str, str]:
        """What was decided, first in one sentence."""
        if len(self.pairs) == 1:
            return self.pairs[0].describe(), self._describe_cost()
        first = self._describe_baseline() if self.rules.baseline else self._describe_best()
        return first, f"{self._describe_counts()} {self._describe_cost()}"

    def _describe_best(self) -> str:
        names = [*self.competitors]
        top = self.undefeated
        worse = [name for name in names if name not in top]
        if not top:
            return "The decisions contradict each other: of each group another one is better."
        if len(top) == 1 and len(self.worse_than(top[0])) == len(names) - 1:
            by = self._describe_range([pair for pair in self.pairs if pair.first.name == top[0]])
            return f"{top[0]} is better than each of the other {len(names) - 1} groups, by {by}."
        if len(top) == 1:
            return f"No group is better than {top[0]}, and each of the others is worse than some other."
        among = [pair for pair in self.pairs if pair.first.name in top and pair.second.name in top]
        if all(pair.is_equivalent for pair in among):
            than = f", and no group is better than {'either' if len(top) == 2 else 'any'} of them" if worse else ""
            return f"{listed(top)} are equivalent, less than {self.rules.describe_margin()} apart{than}."
        rest = f"; each of the other {len(worse)} groups is worse than some group" if len(worse) > 1 else ""
        rest = f"; {worse[0]} is worse" if len(worse) == 1 else rest
        return f"It is not decided which of {listed(top)} is best{rest}."

    def _describe_baseline(self) -> str:
        """How each group compares with the baseline."""
        baseline = self.rules.baseline
        found: dict[str, list[Decision]] = {}
        for pair in self.pairs:
            found.setdefault(pair.word_against(baseline), []).append(pair)
        texts = [self._describe_alike(word, found[word]) for word in sorted(found, key=_ORDER.index)]
        return f"Compared with {baseline}, {'; '.join(texts)}."

    def _describe_alike(self, word: str, pairs: Sequence[Decision]) -> str:
        """ "relu and tanh are worse by 1.2 to 4.1 points"."""
        names = [({pair.first.name, pair.second.name} - {self.rules.baseline}).pop() for pair in pairs]
        if word == "not claimed":
            return f"nothing is claimed of {listed(names)}"
        text = f"{listed(names)} {'are' if len(names) > 1 else 'is'} {word.replace(', ', ' and ')}"
        return f"{text} by {self._describe_range(pairs)}" if pairs[0].is_better else text

    def _describe_range(self, pairs: Sequence[Decision]) -> str:
        """ "1.2 to 4.1 points": by how much the first groups are ahead."""
        by = [format_amount(pair.found.mean, self.rules.metric) for pair in pairs]
        least, most = (pick(by, key=float) for pick in (min, max))
        return f"{least}{f' to {most}' if least != most else ''}{unit_of_gap(self.rules.metric)}"

    def _describe_counts(self) -> str:
        """ "2 of 3 pairs are decided; 1 is undecided after 30 seeds."."""
        decided = [pair for pair in self.pairs if pair.decided_after]
        if len(decided) == len(self.pairs):
            return f"{'Both' if len(decided) == 2 else f'All {len(decided)}'} pairs are decided."
        parts = [f"{len(decided)} of {len(self.pairs)} pairs {'is' if len(decided) == 1 else 'are'} decided"]
        if self.open:
            needed = [pair.foreseen for pair in self.open if pair.foreseen]
            more = f" (about {min(needed)} more would decide the next pair)" if needed else ""
            seeds = count_of_seeds(max(len(pair.ended) for pair in self.open))
            parts.append(f"{len(self.open)} undecided after {seeds}{more}")
        rest = len(self.pairs) - len(decided) - len(self.open)
        return f"{'; '.join(parts + [f'of {rest} nothing is claimed'] * (rest > 0))}."

    def _describe_cost(self) -> str:
        """The runs of all groups and their time, and by what margin was decided."""
        each = [of.seconds.get(seed, 0.0) for of in self.competitors.values() for seed in (*of.values, *of.lost)]
        return (
            f"Equivalent means less than {self.rules.describe_margin()} apart, a margin fixed before the first seed. "
            f"{len(each)} runs took {format_duration(sum(each))} of training."
        )

    def method_notes(self) -> list[str]:
        """How it is decided."""
        pairs = len(self.pairs)
        return [
            _METHOD.format(alpha=self.rules.alpha, pairs=f", divided by the {pairs} pairs" if pairs > 1 else ""),
            _LOST,
            _OTHER_INTERVALS,
        ]


def chosen_by_results(folders: Sequence[Path], runs: Collection[Path]) -> list[str]:
    """A warning where the number of seeds of some ``runs`` depends on their results, and ``folders`` are others too."""
    found = [parent for parent in {folder.parent: None for folder in runs} if (parent / FILE).exists()]
    if not found or (len(folders) == 1 and folders[0].resolve() == found[0].resolve()):
        return []
    names = listed([parent.name for parent in found])
    return [
        f"In {names} seeds were added until groups were decided, so that p-values and intervals of means are too "
        f"optimistic for these groups here; a report on {'it' if len(found) == 1 else 'each'} alone has the decisions."
    ]


def read_decisions(folder: Path) -> Decisions | None:
    """What the sweep in ``folder`` decided; None if it is an ordinary one.

    Raises:
        ValueError: the file is damaged.
    """

    def read(content: Any) -> Decisions:
        check_format(content["format"])
        rules, groups = read_rules(content), content["groups"]
        folders = {
            name: {int(seed): folder.resolve() / of for seed, of in about["folders"].items()}
            for name, about in groups.items()
        }
        return Decisions(rules, {name: _read(name, of, rules.metric) for name, of in folders.items()})

    return read_record(folder / FILE, read, "there is no section on its decisions")


def read_rules(content: Mapping[str, Any]) -> Rules:
    """Those of the content of `decisions.json`.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is damaged.
    """
    metric = read_metric(content["metric"]["key"], content["metric"])
    margin, alpha, baseline = (content[key] for key in ("margin", "alpha", "baseline"))
    groups = {name: tuple(about["overrides"]) for name, about in content["groups"].items()}
    if not (is_number(margin) and margin > 0 and is_number(alpha) and 0 < alpha < 1 and len(groups) > 1):
        raise ValueError(f"margin {margin!r}, alpha {alpha!r}, {len(groups)} groups")
    if baseline is not None and baseline not in groups:
        raise ValueError(f"baseline {baseline!r}")
    return Rules(metric, float(margin), float(alpha), baseline, groups)


def content_of(rules: Rules, folders: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """The content of `decisions.json`; the inverse of reading.

    Args:
        rules: fixed before the first seed.
        folders: of the runs of each group by seed, relative to that of the sweep.
    """
    return {
        "format": FORMAT,
        "margin": rules.margin,
        "alpha": rules.alpha,
        "baseline": rules.baseline,
        "metric": {"key": rules.metric.key, **describe_metric(rules.metric)},
        "groups": {
            name: {"overrides": [*overrides], "folders": {str(seed): of for seed, of in folders[name].items()}}
            for name, overrides in rules.groups.items()
        },
    }


def _read(name: str, folders: Mapping[int, Path], metric: Metric) -> Competitor:
    values, lost, seconds, images = dict[int, float](), dict[int, str](), dict[int, float](), set[str]()
    for seed, folder in folders.items():
        try:
            result = Result.read(folder, to_train=False)
        except (OSError, ValueError):
            lost[seed] = "unreadable"
            continue
        if result is None or result.status not in _ENDED:
            continue
        value, took = _finite(result.metrics.get(metric.key)), _finite(result.time.get("total_s"))
        if result.status == "completed" and value is not None:
            values[seed] = value
            images |= {str(digest) for digest in [result.provenance.get("data_digest")] if digest is not None}
        else:
            lost[seed] = result.status
        if took is not None:
            seconds[seed] = took
    return Competitor(name, values, lost, seconds, folders, frozenset(images))


def _finite(value: Any) -> float | None:
    return float(value) if is_number(value) and math.isfinite(value) else None
