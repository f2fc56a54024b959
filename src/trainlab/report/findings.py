"""Everything a report says, before it is formatted as a page."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

from trainlab.report.comparisons import MAX_DESCRIBED, Pair, by_metric, compare_all
from trainlab.report.descriptions import (
    describe_convergence,
    describe_epoch_cost,
    describe_not_compared,
    describe_pair,
    describe_pairs,
)
from trainlab.report.formatting import capitalized, format_interval
from trainlab.report.groups import OTHER_METRIC, Group, differing_hold_out, differing_keys, group_runs, why_not_compared
from trainlab.report.provenance import provenance_warnings, summarize_provenance
from trainlab.report.runs import LONG_EPOCH, Run, kinds_of, relative_path
from trainlab.report.search import Search, read_search
from trainlab.tasks.reported import TaskMetrics

MAX_ASKED = 4  # groups: up to this many, the three questions are answered for each pair; above, best against others
MAX_AGAINST_BEST = 20
MAX_CHOOSABLE = 24  # groups in the page's choice of two: 552 ordered pairs
MAX_MC_DROPOUT_IN_FULL = 3  # runs: with more, only the sentence on accuracy of each
MAX_MC_DROPOUT_RUNS = 20
QUESTIONS = ("Is it converging faster?", "Is the model better?", "What does an epoch cost?")
_QUESTIONS_NOTE = (
    "Each of the second group compared with the first. The mark to reach is the first one's best {label}, seed by seed "
    "where the second has the same seed, otherwise the mean. That mark favours the second group, and of two equal "
    "models the share is below 1: the first is timed at its own {lowest} {name}, the second at the first {name} that "
    "is as {low}. So whether it is faster is said of a mark that is the same to both: the {higher} of the two best "
    "{values}. Ratios are geometric means. Times are of training and validation, those of an epoch medians. ± and "
    "intervals are 95 %, and not corrected for the number of questions."
)
_NOISE_NOTE = (
    "± is half the width of the 95 % interval of the difference. Groups with the same seeds are compared seed by seed "
    "(paired t-test), others by Welch's t-test; p is corrected for the number of pairs by Holm's "
    "method, and below 0.05 a difference counts."
)
_SAME_HELD_OUT = (
    "The seeds vary the training; the images held out for validation are the same, so nothing is said here of other "
    "images."
)
_OTHER_HELD_OUT = (
    "Groups that hold other images out for validation are compared by Welch's t-test, those of other images not at all."
)
_FOLDS = (
    "Of groups with folds, each fold counts once, by the mean over its seeds. A fold is validated on images that no "
    "other is, but any two are trained on mostly the same ones. So the variance of a mean over k folds is taken to be "
    "1 / k + 1 / (k - 1) times that of a fold, instead of 1 / k (Nadeau and Bengio, 2003)."
)


@dataclass
class Findings:
    """What the runs under ``folders`` show.

    Attributes:
        keys: settings that differ between the runs.
        groups: those with a completed run first, by mean validation loss.
        pairs: all pairs of groups with a completed run.
        provenance: command, code, versions, machine and data, each with its values.
        best: the completed run with the best primary metric.
        kinds: metrics of the runs, one for those that are ranked together, those of the most runs first.
        search: that the runs of the first folder are trials of, if any.
    """

    folders: list[Path]
    runs: list[Run]
    keys: list[str]
    groups: list[Group]
    pairs: list[Pair]
    provenance: list[tuple[str, list[str]]]
    warnings: list[str]
    best: Run | None
    kinds: list[TaskMetrics]
    search: Search | None = None

    @property
    def compared(self) -> list[Group]:
        """Groups with a completed run that has the metric to compare by."""
        return [group for group in self.groups if group.compared]

    @property
    def metrics(self) -> TaskMetrics:
        """All metrics of the runs; the primary one, and the one that is compared by, are those of the most runs."""
        return TaskMetrics.merged(self.kinds)

    @property
    def evaluated_with_mc_dropout(self) -> list[Run]:
        """Runs with a comparison of MC dropout and deterministic predictions."""
        return [run for run in self.runs if run.mc_dropout]

    @property
    def has_folds(self) -> bool:
        """Whether runs of a group hold different folds out for validation."""
        return any(group.num_folds for group in self.groups)

    def asked(self) -> list[tuple[Group, Group]]:
        """Pairs, the baseline first, for which the three questions are answered in print."""
        return [(worse, better) for better, worse in self._described(MAX_ASKED)[:MAX_AGAINST_BEST]]

    def start(self) -> tuple[Group, Group]:
        """The pair that the page shows first: of several seeds, if there is one."""
        asked = self.asked()
        return next((pair for pair in asked if min(len(pair[0].runs), len(pair[1].runs)) > 1), asked[0])

    def answers(self, first: Group, second: Group) -> list[str]:
        """To ``QUESTIONS``, of the second compared with the first."""
        if why_not_compared(first, second) == OTHER_METRIC:
            return [describe_not_compared(first, second)] * len(QUESTIONS)
        return [
            describe_convergence(first, second),
            describe_pair(self.pair(first, second)),
            describe_epoch_cost(first, second),
        ]

    def pair(self, first: Group, second: Group) -> Pair:
        """The comparison of two groups, in the order in which it was made."""
        return self._pairs[frozenset((first.label, second.label))]

    @cached_property
    def _pairs(self) -> dict[frozenset[str], Pair]:
        return {frozenset((pair.first.label, pair.second.label)): pair for pair in self.pairs}

    def describe_title(self) -> str:
        """The report's name: that of its folders."""
        names = [folder.resolve().name for folder in self.folders]
        return f"Report: {', '.join(names[:4])}{' and others' if len(names) > 4 else ''}"

    def describe_statuses(self) -> str:
        """How many runs there are, by status."""
        counts = Counter(run.status for run in self.runs)
        statuses = ", ".join(f"{n} {status}" for status, n in counts.most_common())
        groups = f" {len(self.groups)} groups of settings." if len(self.groups) > 1 else ""
        return f"{len(self.runs)} run{'s' if len(self.runs) > 1 else ''}: {statuses}.{groups}"

    def describe_best(self) -> str:
        """The metrics of the run with the best primary metric, or why there is none."""
        if self.best is None:
            if any(run.status == "completed" for run in self.runs):
                return f"No completed run has a finite {self.metrics.primary.label}, so there is no best one."
            return "No run is completed, so there is no best one."
        m, metrics = self.best.result.metrics, self.best.metrics
        others = [f", {of.name} {of.format(m[of.key])}" for of in metrics.every[1:] if of.key in m]
        at = f" at epoch {m['best_epoch'] + 1} of {m.get('epochs', '-')}" if "best_epoch" in m else ""
        tested = metrics.compared_by.test
        test = f" {capitalized(tested.label)} †: {tested.format(m[tested.key])}." if tested.key in m else ""
        primary = f"{capitalized(metrics.primary.label)} {metrics.primary.format(m[metrics.primary.key])}"
        return f"{primary}{''.join(others)}{at}.{test}"

    def describe_best_group(self) -> str:
        """What to expect of the best run's settings: it was chosen among others, and has a seed of several."""
        assert self.best
        group = next((group for group in self.groups if self.best.folder in group.folders), None)
        several = len(self.runs) > 1
        optimistic = "The figures of a best run are optimistic: it was chosen by them. " if several else ""
        if group is None or not (reached := group.comparison).n:
            return optimistic.strip()
        if reached.n == 1:
            return f"{optimistic}It is the one {group.unit} of {group.label}."
        metric = group.metrics.compared_by
        mean = f"mean {metric.name} is {format_interval(reached, metric.spec)}"
        return f"{optimistic}It is one of {reached.n} {group.unit}s of {group.label}, whose {mean}."

    def describe_differences(self) -> list[str]:
        """Which differences are larger than the noise."""
        described = [self.pair(a, b) for a, b in self._described(MAX_DESCRIBED)]
        metrics = dict.fromkeys(pair.metric for pair in described)
        return [said for of in metrics for said in describe_pairs([pair for pair in described if pair.metric == of])]

    def describe_ranking(self) -> str:
        """What the runs are ranked by."""
        return f"Ranking, by {' and '.join(dict.fromkeys(kind.primary.label for kind in self.kinds))}"

    def questions_note(self) -> str:
        """How the three questions are answered."""
        of = self.metrics.primary
        direction = {"lowest": "highest", "low": "high", "higher": "lower"}
        words = {low: of.by_mode(low, high) for low, high in direction.items()}
        return _QUESTIONS_NOTE.format(label=of.label, name=of.name, values=of.values, **words)

    def noise_note(self) -> str:
        """How differences are tested, and what the noise is made of."""
        digests = {group.digests for group in self.compared}
        is_same = len(digests) == 1 and len(*digests) == 1 and not differing_hold_out(self.compared)
        note = f"By {'; by '.join(map(_describe_choice, self.kinds))}. {_NOISE_NOTE}"
        if self.has_folds:
            return f"{note} {_OTHER_HELD_OUT} {_FOLDS}"
        return f"{note} {_SAME_HELD_OUT if is_same else _OTHER_HELD_OUT}"

    def describe_mc_dropout(self, root: Path) -> list[str]:
        """What can be claimed of each run that was evaluated with MC dropout; folders relative to ``root``."""
        runs = self.evaluated_with_mc_dropout
        sentences = []
        for run in runs[:MAX_MC_DROPOUT_RUNS]:
            assert run.mc_dropout
            of_run = f"{relative_path(run.folder, root)}: " if len(runs) > 1 else ""
            kept = run.mc_dropout.sentences if len(runs) <= MAX_MC_DROPOUT_IN_FULL else run.mc_dropout.sentences[:1]
            sentences += [f"{of_run}{sentence}." for sentence in kept]
        return sentences

    def _described(self, at_most: int) -> list[tuple[Group, Group]]:
        pairs: list[tuple[Group, Group]] = []
        for alike in by_metric(self.groups):
            few = len(alike) <= at_most
            pairs += combinations(alike, 2) if few else ((alike[0], other) for other in alike[1:])
        return pairs


def analyze(folders: Sequence[Path], runs: Sequence[Run]) -> Findings:
    """Group and compare ``runs``."""
    groups = group_runs(runs)
    search: Search | None = None
    damage: list[str] = []
    try:
        search = read_search(folders[0])
    except ValueError as error:
        damage = [str(error)]
    keys = differing_keys([run for run in runs if not run.problem])
    extra = [key for group in groups for key in group.values if key not in keys]
    return Findings(
        list(folders),
        list(runs),
        [*keys, *dict.fromkeys(extra)],
        groups,
        compare_all(groups),
        summarize_provenance(runs),
        damage + _warnings(groups, runs) + provenance_warnings(runs, groups),
        best_run(runs),
        kinds_of(runs),
        search,
    )


def best_run(runs: Sequence[Run]) -> Run | None:
    """The completed run with the best primary metric, of those with that of the most runs."""
    kind = kinds_of(runs)[0].kind
    comparable = (run for run in runs if run.is_completed and run.metrics.kind == kind)
    return min(comparable, key=lambda run: run.rank, default=None)


def _describe_choice(metrics: TaskMetrics) -> str:
    """ "validation accuracy at the epoch with the lowest validation loss"."""
    primary = metrics.primary
    at = "" if primary == metrics.compared_by else f" at the epoch with the {primary.by_mode('lowest', 'highest')}"
    return f"{metrics.compared_by.label}{f'{at} {primary.label}' if at else ' at its best epoch'}"


def _warnings(groups: Sequence[Group], runs: Sequence[Run]) -> list[str]:
    found = []
    if pruned := sum(run.status == "pruned" for run in runs):
        found.append(f"Ended early by the search, so listed but counted nowhere: {pruned} of {len(runs)} runs.")
    if debug := sum(run.status == "debug" for run in runs):
        found.append(f"Debug runs, so listed but counted nowhere: {debug} of {len(runs)} runs.")
    if unfinished := sum(run.status not in ("completed", "debug", "pruned") for run in runs):
        found.append(f"Not completed, so listed but counted nowhere: {unfinished} of {len(runs)} runs.")
    if continued := sum(bool(run.continued) for run in runs):
        found.append(f"Continued from runs with other settings, so listed but counted nowhere: {continued} runs.")
    if without := [run for run in runs if run.status == "completed" and not math.isfinite(run.rank)]:
        metrics = ", ".join(dict.fromkeys(run.metrics.primary.label for run in without))
        found.append(f"Completed, but cannot be compared (no finite {metrics}): {len(without)} of {len(runs)} runs.")
    if len(kinds := kinds_of(runs)) > 1:
        compared, chosen = (
            ", ".join(dict.fromkeys(of.label for of in by)) for by in zip(*(of.kind for of in kinds), strict=True)
        )
        found.append(
            f"The runs differ in their metrics: groups are compared only where that is by the same one ({compared}), "
            f"and runs are ranked among those with the same primary metric ({chosen})."
        )
    if keys := differing_hold_out([group for group in groups if group.runs]):
        found.append(
            f"The groups differ in {', '.join(keys)}, so they do not hold the same images out for validation: a "
            "difference between such groups may come from the images, and they are not paired by seed."
        )
    if slow := sum(run.is_completed and run.had_a_long_epoch for run in runs):
        found.append(
            f"{slow} run{'s have' if slow > 1 else ' has'} an epoch more than {LONG_EPOCH} times "
            f"{'their' if slow > 1 else 'its'} median: something else ran, the machine slept, or the first epoch was "
            "compiled; seconds are not to be trusted."
        )
    if incomplete := [group.label for group in groups if group.runs and group.others]:
        found.append(
            f"Some seeds of {', '.join(incomplete[:5])}{' and others' if len(incomplete) > 5 else ''} are not "
            "completed: what remains may be the luckier ones."
        )
    if repeats := sum(len(group.repeats) for group in groups):
        found.append(f"Runs that repeat the settings and the seed of another: {repeats}. Each seed counts once.")
    return found
