"""Runs that differ only in seed and fold, and saw the same images, are one group, named by its settings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from trainlab.report.formatting import listed
from trainlab.report.labels import (
    differing_keys,
    differing_leaves,
    name_of_only,
    names_apart,
    overrides_by_key,
    value_of,
)
from trainlab.report.runs import Run, kinds_of
from trainlab.statistics import Interval, interval
from trainlab.tasks.reported import DEFAULT, TaskMetrics

DIGEST_SHOWN = 8  # characters of a data digest
# These and the images decide what is held out.
HOLD_OUT = ("data.split_seed", "data.val_size", "data.val_split", "data.num_folds")
_VARIED = {"split": "splits", "search": "searches"}


@dataclass(frozen=True)
class Group:
    """Runs of the same settings and images.

    Its figures are by seed; by fold if its runs are of the folds of a partition, then each the mean over the seeds.

    Attributes:
        label: short and unlike that of any other group.
        settings: without the seed, the fold and what varies with the seed.
        values: of the keys that set the groups apart.
        runs: the completed ones by seed; with folds by seed * num_folds + fold.
        repeats: completed runs of a seed that is there already; they count nowhere.
        others: runs that are not completed.
        metrics: names, directions and formats of those of its runs.
    """

    label: str
    settings: dict[str, Any]
    values: dict[str, Any]
    runs: dict[int, Run]
    repeats: list[Run] = field(default_factory=list)
    others: list[Run] = field(default_factory=list)
    metrics: TaskMetrics = DEFAULT

    @property
    def num_folds(self) -> int | None:
        """Number of folds of the partition that its runs hold one out of; None if they hold the same images out."""
        return self.settings.get("data.num_folds")

    @property
    def unit(self) -> str:
        """What its figures are of: "seed" or "fold"."""
        return "seed" if self.num_folds is None else "fold"

    @property
    def varied(self) -> list[str]:
        """What varies with the seed besides the training: "split", "search"."""
        found = self.settings.get("vary")
        return [name for name in _VARIED if isinstance(found, list) and name in found]

    def count_units(self, n: int) -> str:
        """What ``n`` of its figures are of: "3 seeds", "3 folds", "3 seeds, splits and searches"."""
        if n == 1:
            return f"1 {self.unit}"
        return f"{n} {listed([f'{self.unit}s', *(_VARIED[name] for name in self.varied)])}"

    @property
    def overlap(self) -> float:
        """Images of a fold over those that the training of it has, see `trainlab.statistics.interval`."""
        return 0.0 if self.num_folds is None else 1 / (self.num_folds - 1)

    def by_unit(self, figures: Mapping[int, float]) -> dict[int, float]:
        """Figures of runs, by the keys of ``runs``, by seed or by fold."""
        if self.num_folds is None:
            return dict(figures)
        folds: dict[int, list[float]] = {}
        for key, figure in figures.items():
            folds.setdefault(key % self.num_folds, []).append(figure)
        return {fold: sum(each) / len(each) for fold, each in folds.items()}

    def interval_of(self, figures: Mapping[int, float]) -> Interval:
        """Mean and interval of figures of runs, by the keys of ``runs``."""
        return interval([*self.by_unit(figures).values()], self.overlap)

    def of(self, kind: str, name: str) -> dict[int, float]:
        """A figure of ``metrics`` or ``time`` by seed or fold, of the runs with a finite one."""
        return self.by_unit(self._by_run(kind, name))

    def _by_run(self, kind: str, name: str) -> dict[int, float]:
        figures = {key: getattr(run.result, kind).get(name) for key, run in self.runs.items()}
        return {key: float(figure) for key, figure in figures.items() if figure is not None and isfinite(figure)}

    def summary(self, kind: str, name: str) -> Interval:
        """Mean and interval of a figure over the seeds or folds."""
        return interval([*self.of(kind, name).values()], self.overlap)

    @cached_property
    def shares_clock(self) -> bool:
        """Whether its runs were trained in a population: their times are parts of one measured time, without noise."""
        return any((run.result.time.get("population") or {}).get("members", 1) > 1 for run in self.runs.values())

    @cached_property
    def compared(self) -> dict[int, float]:
        """The metric that it is compared by, by seed or fold."""
        return self.of("metrics", self.metrics.compared_by.key)

    @property
    def num_compared(self) -> int:
        """Number of its completed runs with a finite value of that metric."""
        return len(self._by_run("metrics", self.metrics.compared_by.key))

    @property
    def comparison(self) -> Interval:
        """Mean and interval of the metric that it is compared by."""
        return interval([*self.compared.values()], self.overlap)

    @cached_property
    def score(self) -> float:
        """Mean of the metric that it is compared by, lower is better: negated where higher is; infinite without any."""
        values = self.compared.values()
        return self.metrics.compared_by.rank(sum(values) / len(values)) if values else float("inf")

    @cached_property
    def rank(self) -> float:
        """Mean of the primary metric, lower is better: negated where higher is; infinite without any."""
        values = self.of("metrics", self.metrics.primary.key).values()
        return self.metrics.primary.rank(sum(values) / len(values)) if values else float("inf")

    @cached_property
    def digests(self) -> frozenset[str]:
        """Of the images that the completed runs saw, as far as they say."""
        found = (run.result.provenance.get("data_digest") for run in self.runs.values())
        return frozenset(str(digest) for digest in found if digest is not None)

    @cached_property
    def hold_out(self) -> tuple[str, ...]:
        """What it has for ``HOLD_OUT``."""
        return tuple(json.dumps(self.settings.get(key)) for key in HOLD_OUT)

    @property
    def search(self) -> dict[str, Any] | None:
        """The learning-rate search, if there was one: that of all seeds, or the first of several."""
        return next((run.result.lr_search for run in self.runs.values() if run.result.lr_search), None)

    @property
    def folders(self) -> list[Path]:
        """Of all its runs."""
        return [run.folder for run in [*self.runs.values(), *self.repeats, *self.others]]


OTHER_IMAGES, OTHER_METRIC = "other images", "another metric"


def why_not_compared(first: Group, second: Group) -> str:
    """Why no figure of two groups can be compared: other images, as far as is known, or another metric; else ""."""
    if first.metrics.compared_by != second.metrics.compared_by:
        return OTHER_METRIC
    return OTHER_IMAGES if len(first.digests | second.digests) > 1 else ""


def overlaps_of(first: Group, second: Group) -> tuple[float, float]:
    """Those of two groups, for tests of their difference."""
    return first.overlap, second.overlap


def differing_hold_out(groups: Sequence[Group]) -> list[str]:
    """Settings in which the groups differ that choose the images held out for validation."""
    found = zip(HOLD_OUT, *(group.hold_out for group in groups), strict=True)
    return [key for key, *values in found if len({*values}) > 1]


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Groups of all runs whose settings are known, the best mean of the metric that they are compared by first."""
    counted = [run for run in sorted(runs, key=lambda run: str(run.folder)) if run.settings and run.status != "debug"]
    members: dict[str, list[Run]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for run, own in zip(counted, without_seeds(counted), strict=True):
        key = json.dumps(own, sort_keys=True, default=str)
        members.setdefault(key, []).append(run)
        settings[key] = own
    differing = differing_keys([run for group in members.values() for run in group])
    keys = [key for key in differing if key not in ("seed", "data.fold")]
    if "optim.lr" not in keys and "optim.lr" in differing_leaves([group[0].settings for group in members.values()]):
        keys.append("optim.lr")  # of another option, say: a difference in it is no difference of models
    labels, extra = names_apart([group[0] for group in members.values()], [*settings.values()], keys)
    if len(members) == 1:
        labels = [name_of_only(counted)]
    kinds = kinds_of(counted)
    groups = []
    for name, own, alike in zip(labels, settings.values(), members.values(), strict=True):
        for images, part in _by_images(alike).items():
            completed = [run for run in part if run.is_completed]
            by_key: dict[int, Run] = {}
            for run in completed:
                by_key.setdefault(run.repetition, run)
            repeats = [run for run in completed if by_key[run.repetition] is not run]
            others = [run for run in part if not run.is_completed]
            values = {key: value_of(part[0], key) for key in [*keys, *extra]}
            known = [run.metrics for run in [*completed, *others] if run.is_completed or run.result.task]
            metrics = TaskMetrics.merged(known or kinds[:1])
            groups.append(Group(name + images, own, values, by_key, repeats, others, metrics))
    order = [kind.kind for kind in kinds]
    return sorted(groups, key=lambda group: (order.index(group.metrics.kind), group.score, group.rank))


def _by_images(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs of the same settings divided by the images they saw; the keys are added to their group's name.

    Runs that do not say what they saw, as those that failed before, are with the first that does.
    """
    digests = [run.result.provenance.get("data_digest") for run in runs]
    known = [digest for digest in dict.fromkeys(digests) if digest is not None]
    if len(known) < 2:
        return {"": [*runs]}
    parts: dict[str, list[Run]] = {}
    for run, digest in zip(runs, digests, strict=True):
        parts.setdefault(f" images={str(digest or known[0])[:DIGEST_SHOWN]}", []).append(run)
    return parts


def without_seeds(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The settings of each run but its seed and those seeds of parts that follow from it, its fold, and a rate found.

    A learning rate that was searched is left out only with folds, or with splits or searches that vary with the seed:
    each has a search of its own.

    The seed of a part follows if it is the run's in every run that does not override it. One that merely has the same
    value in some run, like that of a learning-rate search, is a setting.
    """
    parts = {key for run in runs for key in run.settings if key.endswith(".seed")}
    overridden = [overrides_by_key(run).keys() for run in runs]
    for run, own in zip(runs, overridden, strict=True):
        seed = run.settings.get("seed")
        parts -= {key for key in parts - own if run.settings.get(key, seed) != seed}
    return [
        {
            key: value
            for key, value in run.settings.items()
            if key not in ("seed", "data.fold", *_found(run)) and key not in parts - own
        }
        for run, own in zip(runs, overridden, strict=True)
    ]


def _found(run: Run) -> tuple[str, ...]:
    has_own_search = run.result.lr_search and run.settings.keys() & {"data.num_folds", "vary"}
    return ("optim.lr",) if has_own_search else ()
