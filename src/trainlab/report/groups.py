"""Runs that differ only in seed and fold, and saw the same images, are one group, named by its settings."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from trainlab.report.formatting import format_value
from trainlab.report.runs import Run, kinds_of
from trainlab.runs.fingerprint import training_overrides
from trainlab.statistics import Interval, interval
from trainlab.tasks.reported import DEFAULT, TaskMetrics

NOT_GIVEN = "not given"
MAX_NAMED = 4  # settings that name the runs of a report's only group
_FIRST = ("model", "optim", "optim.lr", "data")  # of them
MAX_EXTRA = 4  # settings taken from config.yaml if two groups have the same overrides
DIGEST_SHOWN = 8  # characters of a data digest
# These and the images decide what is held out.
HOLD_OUT = ("data.split_seed", "data.val_size", "data.val_split", "data.num_folds")


@dataclass(frozen=True)
class Group:
    """Runs of the same settings and images.

    Its figures are by seed; by fold if its runs are of the folds of a partition, then each the mean over the seeds.

    Attributes:
        label: short and unlike that of any other group.
        settings: without the seed and the fold.
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
        figures = {key: getattr(run.result, kind).get(name) for key, run in self.runs.items()}
        found = {key: float(figure) for key, figure in figures.items() if figure is not None and isfinite(figure)}
        return self.by_unit(found)

    def summary(self, kind: str, name: str) -> Interval:
        """Mean and interval of a figure over the seeds or folds."""
        return interval([*self.of(kind, name).values()], self.overlap)

    @cached_property
    def shares_clock(self) -> bool:
        """Whether its runs were trained in a population: their times are parts of one measured time, without noise."""
        return any((run.result.time.get("population") or {}).get("members", 1) > 1 for run in self.runs.values())

    @property
    def compared(self) -> dict[int, float]:
        """The metric that it is compared by, by seed or fold."""
        return self.of("metrics", self.metrics.compared_by.key)

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

    @property
    def search(self) -> dict[str, Any] | None:
        """The learning-rate search, if there was one; it is the same for all seeds, and the first of several folds."""
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
    return [key for key in HOLD_OUT if len({json.dumps(group.settings.get(key)) for group in groups}) > 1]


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
    labels, extra = _labels([group[0] for group in members.values()], [*settings.values()], keys)
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


def _labels(firsts: Sequence[Run], settings: Sequence[dict[str, Any]], keys: list[str]) -> tuple[list[str], list[str]]:
    """A name of its own for each run, and the further settings that went into the names.

    By all that was overridden in any run and differs; where that is not enough by further settings, then by number.
    A run that did not override a setting is named by the value it had.
    """
    extra: list[str] = []
    names = [label(run, keys) for run in firsts]
    twice = {name for name, count in Counter(names).items() if count > 1}
    if twice:
        alike = [own for own, name in zip(settings, names, strict=True) if name in twice]
        extra = [key for key in differing_leaves(alike) if key not in keys][:MAX_EXTRA]
        names = [label(run, [*keys, *extra]) for run in firsts]
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [f"{name} ({n + 1})" if n else name for name, n in zip(names, before, strict=True)], extra


def overrides_by_key(run: Run) -> dict[str, str]:
    """The overrides of a run by key, without those that only set where and how it runs."""
    pairs = (override.lstrip("+").partition("=") for override in training_overrides(run.result.overrides))
    return {key.lstrip("~").partition("@")[0]: value if equals else "removed" for key, equals, value in pairs}


def differing_keys(runs: Sequence[Run]) -> list[str]:
    """Those of ``deciding_keys`` whose value differs between the runs."""
    return [key for key in deciding_keys(runs) if len({_identity(value_of(run, key)) for run in runs}) > 1]


def deciding_keys(runs: Sequence[Run]) -> list[str]:
    """Keys that were overridden in some run and decide its result.

    Options chosen for a group, such as ``model``, come before single settings.
    """
    overrides = [overrides_by_key(run) for run in runs]
    deciding = {"experiment", "debug"}
    for run in runs:
        deciding |= run.settings.keys()
    for key in list(deciding):
        parts = key.split(".")
        deciding |= {".".join(parts[:i]) for i in range(1, len(parts))}
    keys = dict.fromkeys(key for one in overrides for key in one)
    return sorted(
        deciding & keys.keys(), key=lambda key: (any(key in run.settings for run in runs), [*keys].index(key))
    )


def differing_leaves(many: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys in which resolved settings differ."""
    keys = dict.fromkeys(key for one in many for key in one)
    return [key for key in keys if len({_identity(one.get(key)) for one in many}) > 1]


def without_seeds(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The settings of each run but its seed and those seeds of parts that follow from it, its fold, and a rate found.

    A learning rate that was searched is left out only with folds, each of which has a search of its own.

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
    has_own_search = run.result.lr_search and "data.num_folds" in run.settings
    return ("optim.lr",) if has_own_search else ()


def value_of(run: Run, key: str) -> Any:
    """What a run has for ``key``: the resolved value, or the option chosen for a group."""
    return run.settings[key] if key in run.settings else overrides_by_key(run).get(key, NOT_GIVEN)


def label(run: Run, keys: Sequence[str]) -> str:
    """A short name by the values of ``keys``: "bn lr=0.0005"."""
    last = [key.rpartition(".")[2] for key in keys]
    parts = []
    for key, short in zip(keys, last, strict=True):
        value = value_of(run, key)
        if value != NOT_GIVEN:
            is_clear = last.count(short) == 1 and (short == key or short not in run.settings)
            name = short if is_clear else key
            # an option's name says enough, a number does not
            is_option = key not in run.settings and value not in ("null", "removed")
            parts.append(format_value(value) if is_option else f"{name}={format_value(value, 4)}")
    return " ".join(parts) or "defaults"


def name_of_only(runs: Sequence[Run]) -> str:
    """A name of the only group by what sets it apart from the defaults; of the defaults "MLP NAdam lr=0.0001"."""
    keys = [key for key in deciding_keys(runs) if key not in ("seed", "data.fold", "trainer")]
    keys.sort(key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST))
    if keys:
        more = f" and {len(keys) - MAX_NAMED} more settings" if len(keys) > MAX_NAMED + 1 else ""
        return label(runs[0], keys[:MAX_NAMED] if more else keys) + more
    settings = runs[0].settings
    targets = [str(settings.get(f"{part}._target_", "")).rpartition(".")[2] for part in ("model", "optim")]
    lr = settings.get("optim.lr")
    return " ".join(filter(None, [*targets, "" if lr is None else f"lr={format_value(lr, 4)}"])) or "defaults"


def _identity(value: Any) -> str:
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)
