"""What a report says first: which group is best, by how much, and whether the others are significantly worse."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from trainlab.report.comparisons import Pair, by_metric
from trainlab.report.effects import describe_detectable
from trainlab.report.formatting import (
    capitalized,
    format_amount,
    format_estimate,
    format_gap,
    format_metric,
    format_p,
    listed,
)
from trainlab.report.groups import OTHER_IMAGES, Group
from trainlab.report.plots.confusion import read_confusion
from trainlab.report.runs import Run
from trainlab.statistics import NO_SPREAD
from trainlab.tasks.metrics import Metric

MAX_NAMED = 3
BEST, WORSE, UNDECIDED, UNTESTED = "best", "significantly worse", "undecided", "not tested"
EQUIVALENT = "equivalent"  # to the best, within a margin
BASELINE, BETTER, NOT_CLAIMED = "baseline", "significantly better", "not claimed"  # of sweeps with decisions


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
        """By label: ``BEST``, or whether the group is worse: ``WORSE``, ``EQUIVALENT``, ``UNDECIDED`` or ``UNTESTED``.

        Sentence, chart and tables have this same decision: by the p that is corrected for the number of pairs. A group
        that is worse may be equivalent, too.
        """
        return {self.best.label: BEST} | {
            group.label: _verdict(pair) for group, pair in zip(self.groups[1:], self.pairs, strict=True)
        }

    @cached_property
    def _undecided(self) -> tuple[list[Pair], list[Pair]]:
        """Pairs with the undecided groups: ahead of all that are significantly worse, and further behind."""
        first_worse = next((i for i, pair in enumerate(self.pairs) if pair.is_clear), len(self.pairs))
        parts = self.pairs[:first_worse], self.pairs[first_worse:]
        close, far = ([pair for pair in part if pair.is_tested and not pair.is_clear] for part in parts)
        return close, far

    @property
    def _open(self) -> list[Pair]:
        """Of the pairs with the undecided groups near the best, those that are not equivalent."""
        return [pair for pair in self._undecided[0] if not pair.is_equivalent]

    @cached_property
    def _tied(self) -> list[Pair]:
        """Pairs with the undecided groups as near as the next, or within half the interval of the best.

        None where the next one is not undecided: then the best has a lead, or nothing is tested.
        """
        close, _ = self._undecided
        if not close or close[0] is not self.pairs[0]:
            return []
        found = self.best.comparison
        reach = max(found.half_width if found.has_spread else 0, _gap(close[0]))
        return [pair for pair in close if _gap(pair) <= reach]

    def describe_best(self) -> str:
        """The best, with mean, interval and number of seeds; first how near others are where none is ahead of all."""
        best, metric = self.best, self.best.metrics.compared_by
        found = best.comparison
        units = best.count_units(found.n)
        mean, spread, half = format_estimate(found, metric).partition(" ± ")
        points = " points" if metric.is_percentage else ""
        if spread:
            units = f"± {half}{points}, 95 % interval over {units}"
        elif found.n > 1:
            units = f"the same for all {units}"
        value = f"{metric.label} {mean} ({units})"
        if self._tied:
            return f"No clear winner: {self._describe_tied()} the best, {best.label}, with {value}."
        return f"{'Best: ' if len(self.groups) > 1 else ''}{best.label}, {value}."

    def describe_others(self) -> str:
        """Whether the others are significantly worse, and by how much the next is; "" if there is none."""
        if not self.pairs:
            return ""
        counts, (close, far) = Counter(self.verdicts.values()), self._undecided
        worse, untested = counts[WORSE], counts[UNTESTED]
        parts = [self._describe_next()]
        if self._tied:
            parts += [self._describe_worse(worse)] if len(self.pairs) > 1 else []
        elif untested < len(self.pairs):
            parts.insert(0, f"{self._describe_worse(worse)}{f', {len(close)} undecided' if close else ''}")
        equivalent = [pair for pair in self.pairs if pair.is_equivalent]
        said = f"{'; '.join(parts)}.{self._describe_equivalent(equivalent)}"
        if self._open:
            pair = self._open[0]
            which = "" if pair is self.pairs[0] else f"{_other(pair, self.best).label} is undecided: "
            said += f" {which}{describe_detectable(pair) or f'More {self.best.unit}s may decide.'}"
        if far and not self._tied:
            groups = "group further behind is" if len(far) == 1 else "groups further behind are"
            said += f" {len(far)} {groups} undecided; more {self.best.unit}s may decide."
        if untested:
            which = f"{untested} of the others" if untested < len(self.pairs) else "Differences"
            said += f" {which} cannot be tested: {self._describe_reasons()}."
        return capitalized(said)

    def _describe_equivalent(self, pairs: Sequence[Pair]) -> str:
        """How many groups are within the margin of the best; "" if none is."""
        if not pairs or not pairs[0].margin:
            return ""
        one = (
            "The other group is"
            if len(self.pairs) == 1
            else f"{len(pairs)} group{'s are' if len(pairs) > 1 else ' is'}"
        )
        return f" {one} equivalent to the best: less than {format_gap(pairs[0].margin, pairs[0].metric)} apart."

    def _describe_tied(self) -> str:
        """How near the best the groups are that it is not clearly ahead of."""
        metric = self.best.metrics.compared_by
        if len(self._tied) > 1:
            reach = max(map(_gap, self._tied))
            return f"{len(self._tied)} groups are within {format_gap(reach, metric)} of"
        by = _gap(self._tied[0])
        return f"{self.groups[1].label} is {f'{format_gap(by, metric)} behind' if by else 'as good as'}"

    def _describe_worse(self, worse: int) -> str:
        """How many of the others are significantly worse."""
        others = len(self.pairs)
        if others == 1:
            return f"the other group is {'' if worse else 'not '}significantly worse"
        if not worse:
            return f"no {'' if self._tied else 'other '}group is significantly worse"
        if worse == others:
            return f"{'both' if others == 2 else f'all {others}'} other groups are significantly worse"
        return f"{worse} of {others} other groups {'are' if worse > 1 else 'is'} significantly worse"

    def _describe_next(self) -> str:
        """By how much the next group is behind, and the p of that."""
        pair = self.pairs[0]
        if len(self._tied) == 1:  # the sentence on the best says by how much
            return f"the difference is not significant ({_describe_p(pair)})"
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


def describe_only(run: Run, name: str) -> tuple[str, str]:
    """What a run alone reached, and its settings, which ``name`` names."""
    m, metrics = run.result.metrics, run.metrics
    of_test, tested = read_confusion(run), metrics.compared_by.test
    amounts = {metrics.compared_by: run.val_size, tested: int(of_test[1].sum()) if of_test else None}

    def describe(of: Metric, label: str) -> str:
        amount = amounts.get(of) if of.is_percentage else None
        return f"{label} {format_metric(m[of.key], of)}{f' of {amount} images' if amount else ''}"

    first, *others = (describe(of, of.label) for of in metrics.ranked if of.key in m)
    others += [describe(tested, f"{tested.label} †")] if tested.key in m else []
    rest = f"{capitalized('; '.join(others))}. " if others else ""
    return f"{capitalized(first)}{_describe_epochs(run)}.", f"{rest}Settings: {name}, seed {run.seed}."


def _describe_epochs(run: Run) -> str:
    """ " at epoch 13, the lowest validation loss; stopped early after 23 of 100 epochs"; "" if no epoch is the best."""
    m, primary = run.result.metrics, run.metrics.primary
    if "best_epoch" not in m:
        return ""
    epoch, chosen_by = m["best_epoch"] + 1, f"the {primary.by_mode('lowest', 'highest')} {primary.label}"
    planned = run.settings.get("trainer.max_epochs")
    if m.get("stop_reason") == "early stopping" and isinstance(planned, int) and planned > 0:
        return f" at epoch {epoch}, {chosen_by}; stopped early after {m.get('epochs', '-')} of {planned} epochs"
    return f" at epoch {epoch} of {m.get('epochs', '-')}, {chosen_by}"


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


def _verdict(pair: Pair) -> str:
    if pair.is_clear:
        return WORSE
    return EQUIVALENT if pair.is_equivalent else UNDECIDED if pair.is_tested else UNTESTED


def _gap(pair: Pair) -> float:
    return abs(pair.difference.mean)


def _describe_gap(pair: Pair) -> str:
    """ "6.3 points behind (p = 0.057, corrected)"; of a significant difference with half its interval."""
    metric, by = pair.metric, _gap(pair)
    if by == 0:
        return "equal"
    if not pair.is_tested:
        return f"{format_gap(by, metric)} behind"
    spread = f" ± {format_amount(pair.difference.half_width, metric)}" if pair.is_clear else ""
    gap = f"{format_amount(by, metric)}{spread}{' points' if metric.is_percentage else ''}"
    return f"{gap} behind ({_describe_p(pair)})"


def _describe_p(pair: Pair) -> str:
    """ "p = 0.057, corrected": for the number of pairs, where there are several."""
    text = format_p(pair.p)
    p = f"p {text}" if text.startswith("<") else f"p = {text}"
    return f"{p}, corrected" if pair.tests > 1 else p


def _other(pair: Pair, group: Group) -> Group:
    return pair.second if pair.first is group else pair.first
