"""All that a report says, before it is put on a page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations
from pathlib import Path

from trainlab.report import verdicts
from trainlab.report.comparisons import MAX_SPOKEN, Pair, compare_all
from trainlab.report.groups import Group, group_runs, held_out_otherwise
from trainlab.report.origins import best_run, origins, warnings
from trainlab.report.runs import LONG_EPOCH, Run
from trainlab.report.search import Search, read_search
from trainlab.report.settings import differing

MAX_ASKED = 4  # groups: up to so many each pair has the three questions, above it the best against the others
MAX_AGAINST_BEST = 20
MAX_CHOOSABLE = 24  # groups in the page's choice of two: 552 ordered pairs
QUESTIONS = ("Is it converging faster?", "Is the model better?", "What does an epoch cost?")


@dataclass
class Findings:
    """What the runs under ``folders`` show.

    Attributes:
        keys: settings that differ between the runs.
        groups: those with a completed run first, by mean validation loss.
        pairs: all pairs of groups with a completed run.
        search: that the runs are trials of, if any.
    """

    folders: list[Path]
    runs: list[Run]
    keys: list[str]
    groups: list[Group]
    pairs: list[Pair]
    origins: list[tuple[str, list[str]]]
    warnings: list[str]
    best: Run | None
    search: Search | None = None
    _by_labels: dict[tuple[str, str], Pair] = field(default_factory=dict)

    @property
    def compared(self) -> list[Group]:
        """Groups that can be: with a validation accuracy of a completed run."""
        return [group for group in self.groups if group.of("metrics", "val_acc")]

    @property
    def same_held_out(self) -> bool:
        """Whether all groups are known to hold the same images out for validation."""
        digests = {group.digests for group in self.compared}
        return len(digests) == 1 and len(next(iter(digests))) == 1 and not held_out_otherwise(self.compared)

    def group_of(self) -> dict[Path, Group]:
        """The group of each run's folder."""
        return {folder: group for group in self.groups for folder in group.folders}

    def sentences(self) -> list[str]:
        """Which differences are larger than the noise."""
        return verdicts.told_apart([self.pair(a, b) for a, b in self._told(MAX_SPOKEN)])

    def asked(self) -> list[tuple[Group, Group]]:
        """Pairs, the baseline first, that the three questions are answered for in print."""
        return [(worse, better) for better, worse in self._told(MAX_ASKED)[:MAX_AGAINST_BEST]]

    def start(self) -> tuple[Group, Group]:
        """The pair to begin with: of several seeds, if there is one."""
        asked = self.asked()
        return next((pair for pair in asked if min(len(pair[0].runs), len(pair[1].runs)) > 1), asked[0])

    def choosable(self) -> list[tuple[Group, Group]]:
        """Ordered pairs that a reader of the page can choose."""
        return list(permutations(self.compared[:MAX_CHOOSABLE], 2))

    def answers(self, first: Group, second: Group) -> list[str]:
        """To ``QUESTIONS``, of the second beside the first."""
        return [
            verdicts.converging(first, second),
            verdicts.better(self.pair(first, second)),
            verdicts.cost(first, second),
        ]

    def pair(self, first: Group, second: Group) -> Pair:
        """The comparison of two groups, in whatever order it was made."""
        if not self._by_labels:
            for pair in self.pairs:
                self._by_labels[pair.first.label, pair.second.label] = pair
                self._by_labels[pair.second.label, pair.first.label] = pair
        return self._by_labels[first.label, second.label]

    def _told(self, at_most: int) -> list[tuple[Group, Group]]:
        groups = self.compared
        if len(groups) <= at_most:
            return list(combinations(groups, 2))
        return [(groups[0], other) for other in groups[1:]]


def find(folders: Sequence[Path], runs: Sequence[Run]) -> Findings:
    """Group and compare ``runs``."""
    groups = group_runs(runs)
    search, damage = _search(folders[0])
    keys = differing([run for run in runs if run.result])
    extra = [key for group in groups for key in group.values if key not in keys]
    return Findings(
        list(folders),
        list(runs),
        [*keys, *dict.fromkeys(extra)],
        groups,
        compare_all(groups),
        origins(runs),
        damage + _more_warnings(groups, runs) + warnings(runs, groups),
        best_run(runs),
        search,
    )


def _search(folder: Path) -> tuple[Search | None, list[str]]:
    """The search that the runs of the first folder are of, or what is wrong with its file."""
    try:
        return read_search(folder), []
    except ValueError as error:
        return None, [str(error)]


def _more_warnings(groups: Sequence[Group], runs: Sequence[Run]) -> list[str]:
    said = []
    if pruned := sum(run.status == "pruned" for run in runs):
        said.append(f"Ended early by the search, so listed but counted nowhere: {pruned} of {len(runs)} runs.")
    if debug := sum(run.status == "debug" for run in runs):
        said.append(f"Debug runs, so listed but counted nowhere: {debug} of {len(runs)} runs.")
    if unfinished := sum(run.status not in ("completed", "debug", "pruned") for run in runs):
        said.append(f"Not completed, so listed but counted nowhere: {unfinished} of {len(runs)} runs.")
    if continued := sum(bool(run.continued) for run in runs):
        said.append(f"Continued from runs with other settings, so listed but counted nowhere: {continued} runs.")
    if lossless := sum(run.status == "completed" and not math.isfinite(run.val_loss) for run in runs):
        said.append(f"Completed, but cannot be compared (no finite validation loss): {lossless} of {len(runs)} runs.")
    if otherwise := held_out_otherwise([group for group in groups if group.runs]):
        said.append(
            f"The groups differ in {', '.join(otherwise)}, so they do not hold the same images out for validation: a "
            "difference between such groups may come from the images, and they are not paired by seed."
        )
    if slept := sum(run.is_completed and run.had_a_long_epoch for run in runs):
        said.append(
            f"{slept} run{'s have' if slept > 1 else ' has'} an epoch more than {LONG_EPOCH} times "
            f"{'their' if slept > 1 else 'its'} median: something else ran, the machine slept, or the first epoch was "
            "compiled; seconds are not to be trusted."
        )
    if lost := [group.label for group in groups if group.runs and group.others]:
        said.append(
            f"Some seeds of {', '.join(lost[:5])}{' and others' if len(lost) > 5 else ''} are not completed: what "
            "remains may be the luckier ones."
        )
    if repeats := sum(len(group.repeats) for group in groups):
        said.append(f"Runs that repeat the settings and the seed of another: {repeats}. Each seed counts once.")
    return said
