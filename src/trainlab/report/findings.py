"""Everything a report says, before it is formatted as a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

from trainlab.report.answer import BASELINE, Standing, count_statuses, describe_lost, describe_only, standings
from trainlab.report.comparisons import RATIO_ALPHA, RATIOS, Pair, by_metric, compare_all, count_pairs
from trainlab.report.decided import as_decided, decided_verdicts, left_to
from trainlab.report.decisions import Decisions, chosen_by_results, read_decisions
from trainlab.report.descriptions import (
    describe_convergence,
    describe_epoch_cost,
    describe_not_compared,
    describe_pair,
)
from trainlab.report.effects import describe_detectable, describe_effect, describe_equivalence
from trainlab.report.formatting import listed
from trainlab.report.groups import OTHER_METRIC, Group, group_runs, why_not_compared
from trainlab.report.labels import differing_keys
from trainlab.report.method_notes import method_notes
from trainlab.report.provenance import provenance_warnings, summarize_provenance
from trainlab.report.run_table import names_of
from trainlab.report.runs import Run, kinds_of
from trainlab.report.search import Search, describe_best_trial, read_search
from trainlab.report.warnings import describe_last_epochs, describe_repeats, run_warnings
from trainlab.tasks.reported import TaskMetrics

MAX_ASKED = 4  # groups: up to this many, the three questions are answered for each pair; above, best against others
MAX_AGAINST_BEST = 20
MAX_CHOOSABLE = 12  # groups in the page's choice of two: 132 ordered pairs
MAX_MC_DROPOUT_IN_FULL = 3  # runs: with more, only the sentence on accuracy of each
MAX_MC_DROPOUT_RUNS = 20
QUESTIONS = ("Is it converging faster?", "Is the model better?", "What does an epoch cost?")
_QUESTIONS_NOTE = (
    "Of A compared with B: the first answer times A until it is as good as the best {label} of B, of the same seed "
    "where B has it. That favours A, so ratios are to a value that both reach: the {higher} of the two best {values}. "
    "In brackets: the lowest and the highest seed. Times include validation; those of an epoch are medians. Ratios are "
    "geometric means, each with its own 95 % interval. Of the {ratios} ratios of all pairs some may differ from 1 by "
    "chance: one is significant only where its p, times {ratios} (Bonferroni's correction), is below {alpha}."
)


@dataclass
class Findings:
    """What the runs under ``folders`` show.

    Attributes:
        keys: settings that differ between the runs.
        groups: those with a completed run first, the best by the metric that they are compared by first; of a sweep
            with decisions, its baseline first, or the best of those that none is better than.
        pairs: all pairs of groups with a completed run.
        provenance: command, code, versions, machine and data, each with its values.
        best: the completed run that is best by that metric.
        kinds: metrics of the runs, one for those that are ranked together, those of the most runs first.
        search: that the runs of the first folder are trials of, if any.
        decisions: of a sweep that added seeds until its groups were compared, if the runs are of it; then no others
            are claimed.
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
    decisions: Decisions | None = None

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

    def describe_repetition(self) -> str:
        """What the runs of a group differ in: "the seed and the fold"."""
        varied = dict.fromkeys(f"the {name}" for group in self.groups for name in group.varied)
        return listed(["the seed", *(["the fold"] if self.has_folds else []), *varied])

    def asked(self) -> list[tuple[Group, Group]]:
        """Pairs, first the one that is compared with, for which the three questions are answered in print."""
        if self.baseline:
            return self._described(at_most=0)[:MAX_AGAINST_BEST]
        return [(worse, better) for better, worse in self._described(MAX_ASKED)[:MAX_AGAINST_BEST]]

    def start(self) -> tuple[Group, Group]:
        """The pair that the page shows first: of several seeds, if there is one."""
        asked = self.asked()
        return next((pair for pair in asked if min(len(pair[0].runs), len(pair[1].runs)) > 1), asked[0])

    def answers(self, first: Group, second: Group) -> list[str]:
        """To ``QUESTIONS``, of the second compared with the first."""
        if why_not_compared(first, second) == OTHER_METRIC:
            return [describe_not_compared(first, second)] * len(QUESTIONS)
        decided = self.decisions.of(first.folders, second.folders) if self.decisions else None
        return [
            describe_convergence(first, second, self.ratios),
            decided.describe() if decided else self._describe_which(self.pair(first, second)),
            describe_epoch_cost(first, second, self.ratios),
        ]

    @property
    def ratios(self) -> int:
        """How many ratios of epochs and times there are."""
        return RATIOS * sum(count_pairs(len(alike)) for alike in by_metric(self.groups))

    def _describe_which(self, pair: Pair) -> str:
        """Whether one of two groups is better, how much, and if not, what would show it."""
        open_ = not pair.is_clear and not pair.is_equivalent
        more = [describe_equivalence(pair), describe_effect(pair), describe_detectable(pair) if open_ else ""]
        return " ".join(filter(None, [describe_pair(pair), *more]))

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
        """How many runs and groups there are, and how the runs ended."""
        if self.only_run:
            return ""
        groups = f" in {len(self.groups)} groups" if len(self.groups) > 1 else ""
        said = f"{len(self.runs)} run{'s' if len(self.runs) > 1 else ''}{groups}"
        if all(run.status == "completed" for run in self.runs):
            return f"{said}, all completed."
        return f"{said}: {count_statuses(self.runs)}. Means and tests are of the completed ones."

    @cached_property
    def standings(self) -> list[Standing]:
        """The best of the groups, and what can be said of the others: for each metric that groups are compared by."""
        return standings(self.groups, self.pairs)

    @property
    def verdicts(self) -> dict[str, str]:
        """Whether each group is the best of theirs, worse, equivalent, undecided or not tested, by label."""
        if self.decisions and self.standings:
            return decided_verdicts(self.standings[0].groups, self.decisions)
        return {label: of for standing in self.standings for label, of in standing.verdicts.items()}

    @property
    def baseline(self) -> str:
        """Label of the group that decisions compare all others with; "" if there is none."""
        return next((label for label, verdict in self.verdicts.items() if verdict == BASELINE), "")

    @property
    def best_group(self) -> Group | None:
        """That of the best run of a search or a run alone, otherwise the best one; None if decisions claim none."""
        if self.search or self.only_run:
            of_best = (group for group in self.groups if self.best and self.best.folder in group.folders)
            return next(of_best, None)
        if self.decisions:
            name = self.decisions.leading
            is_best = name is not None and self.decisions.may_be_best(name)
            return next((g for g in self.groups if is_best and self.decisions.name_of(g.folders) == name), None)
        return self.standings[0].best if self.standings else None

    @property
    def only_run(self) -> Run | None:
        """The run, if there is one alone, and it is completed."""
        return self.best if len(self.runs) == 1 else None

    def answers_first(self) -> list[tuple[str, str]]:
        """What the report says first: the best, and whether the others are worse; for each metric of groups."""
        if self.only_run:
            return [describe_only(self.only_run, self.groups[0].label if self.groups else self.only_run.folder.name)]
        if self.decisions:
            return [self.decisions.answer()]
        if self.search and self.search.best:
            return [
                (describe_best_trial(self.search), "It is of one seed, and chosen among many: repeat it with more.")
            ]
        if not self.standings:
            completed = any(run.status == "completed" for run in self.runs)
            lacking = f"No completed run has a finite {self.metrics.primary.label}" if completed else ""
            return [(f"{lacking or 'No run is completed'}, so there is no best one.", "")]
        said = [(standing.describe_best(), standing.describe_others()) for standing in self.standings]
        best, others = said[-1]
        return [*said[:-1], (best, " ".join(filter(None, [others, describe_lost(self.groups)])))]

    def notes(self) -> list[str]:
        """What makes the answer doubtful, for a terminal; a page has all warnings."""
        return [
            *filter(None, (describe_repeats(self.groups, len(self.runs)), describe_last_epochs(self.groups, self.runs)))
        ]

    def describe_ranking(self) -> str:
        """What the runs are ranked by."""
        return f"Runs, by {' and '.join(dict.fromkeys(kind.compared_by.label for kind in self.kinds))}"

    def questions_note(self) -> str:
        """How the three questions are answered."""
        of = self.metrics.primary
        words = {"label": of.label, "values": of.values, "higher": of.by_mode("higher", "lower")}
        return _QUESTIONS_NOTE.format(**words, alpha=RATIO_ALPHA, ratios=self.ratios)

    def method_notes(self) -> list[str]:
        """How each figure is computed, and what the noise is made of."""
        decisions = self.decisions.method_notes() if self.decisions else []
        return method_notes(self.compared, self.pairs, self.kinds, self.describe_repetition(), decisions)

    def describe_mc_dropout(self, root: Path) -> list[str]:
        """What can be claimed of each run that was evaluated with MC dropout; folders relative to ``root``."""
        runs, names = self.evaluated_with_mc_dropout, names_of(self.runs, root)
        sentences = []
        for run in runs[:MAX_MC_DROPOUT_RUNS]:
            assert run.mc_dropout
            of_run = f"{names[run.folder]}: " if len(runs) > 1 else ""
            kept = run.mc_dropout.sentences if len(runs) <= MAX_MC_DROPOUT_IN_FULL else run.mc_dropout.sentences[:1]
            sentences += [f"{of_run}{sentence}." for sentence in kept]
        return sentences

    def _described(self, at_most: int) -> list[tuple[Group, Group]]:
        pairs: list[tuple[Group, Group]] = []
        for alike in by_metric(self.groups):
            few = len(alike) <= at_most
            pairs += combinations(alike, 2) if few else ((alike[0], other) for other in alike[1:])
        return pairs


def analyze(folders: Sequence[Path], runs: Sequence[Run], margin: float | None = None) -> Findings:
    """Group and compare ``runs``.

    Args:
        folders: that the runs were found under.
        runs: as `find_runs` returns them.
        margin: differences of less make groups equivalent; of percentages in points. None: nothing is said of it.

    Raises:
        ValueError: a margin, of a sweep that has one of its own.
    """
    groups = group_runs(runs)
    search: Search | None = None
    decisions: Decisions | None = None
    damage = chosen_by_results(folders, [run.folder for run in runs])
    try:
        search = read_search(folders[0])
        decisions = read_decisions(folders[0]) if len(folders) == 1 else None
    except ValueError as error:
        damage.append(str(error))
    if decisions and margin is not None:
        own = f"its own margin of {decisions.rules.describe_margin()}, fixed before the first seed"
        raise ValueError(f"{folders[0]} has {own}, got a margin of {margin:g}; leave out --margin")
    groups = as_decided(groups, decisions) if decisions else groups
    pairs = compare_all(groups, margin)
    keys = differing_keys([run for run in runs if not run.problem])
    extra = [key for group in groups for key in group.values if key not in keys]
    return Findings(
        list(folders),
        list(runs),
        [*keys, *dict.fromkeys(extra)],
        groups,
        left_to(decisions, pairs) if decisions else pairs,
        summarize_provenance(runs),
        damage + run_warnings(groups, runs) + provenance_warnings(runs, groups),
        best_run(runs),
        kinds_of(runs),
        search,
        decisions,
    )


def best_run(runs: Sequence[Run]) -> Run | None:
    """The completed run that is best by the metric that runs are compared by, of those with that of the most runs."""
    kind = kinds_of(runs)[0].kind
    comparable = (run for run in runs if run.is_completed and run.metrics.kind == kind)
    return min(comparable, key=lambda run: (run.score, run.rank), default=None)
