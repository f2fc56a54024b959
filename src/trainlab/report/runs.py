"""Finished runs, read from their folders."""

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from trainlab.report.curves import Curve, read_curve
from trainlab.report.evaluations import Comparison, read_comparison
from trainlab.report.folders import is_run, run_folders
from trainlab.report.layers import LayerStatistics, read_layer_statistics
from trainlab.runs.fingerprint import settings, training_overrides
from trainlab.runs.result import STATUSES, Result, is_number, is_search
from trainlab.tasks.reported import TaskMetrics

T = TypeVar("T")
UNREADABLE = "unreadable"
_REASONS = {
    "running": "still running, or killed",
    "interrupted": "stopped before its end; the same command resumes it",
    "debug": "a debug run: it shows that everything works, not how well",
    "pruned": "ended early by the search: other trials were better after as many epochs",
}
LONG_EPOCH = 5  # medians
_TIMES = ("total_s", "epoch_s", "images_per_s")


@dataclass(frozen=True)
class Run:
    """A run, as its folder has it.

    Attributes:
        result: what `result.json` says; if it cannot be read, the status `unreadable` and nothing else.
        problem: why it cannot be read.
        settings: of `config.yaml`, as the fingerprint sees them; empty if they cannot be read.
        curve: of `metrics.csv`; None if there is none.
        notes: what else is missing or damaged.
        mc_dropout: of `eval.json`; None if no checkpoint of it was evaluated with MC dropout.
        layers: of `layer_statistics.csv`; None if there is none.
    """

    folder: Path
    result: Result = field(default_factory=lambda: Result(UNREADABLE, "", []))
    problem: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    curve: Curve | None = None
    notes: tuple[str, ...] = ()
    mc_dropout: Comparison | None = None
    layers: LayerStatistics | None = None

    @cached_property
    def metrics(self) -> TaskMetrics:
        """Names, directions and formats of its metrics."""
        return TaskMetrics.read(self.result.task)

    @cached_property
    def overrides_by_key(self) -> Mapping[str, str]:
        """Its overrides by key, without those that only set where and how it runs."""
        pairs = (override.lstrip("+").partition("=") for override in training_overrides(self.result.overrides))
        return {key.lstrip("~").partition("@")[0]: value if equals else "removed" for key, equals, value in pairs}

    @property
    def score(self) -> float:
        """The metric that it is compared by, lower is better: negated where higher is; infinite if there is none."""
        value = self.result.metrics.get(self.metrics.compared_by.key, math.inf)
        return self.metrics.compared_by.rank(value) if math.isfinite(value) else math.inf

    @property
    def rank(self) -> float:
        """Its primary metric, lower is better: negated where higher is; infinite if there is none."""
        value = self.result.metrics.get(self.metrics.primary.key, math.inf)
        return self.metrics.primary.rank(value) if math.isfinite(value) else math.inf

    @property
    def status(self) -> str:
        """That of the result, or `unreadable`."""
        return self.result.status

    @property
    def tags(self) -> tuple[str, ...]:
        """Those it was given."""
        return tuple(self.result.tags)

    @property
    def seed(self) -> int:
        """Of the settings; 0 if they have none."""
        seed = self.settings.get("seed")
        return seed if isinstance(seed, int) else 0

    @property
    def repetition(self) -> int:
        """What sets it apart from the others of its group: its seed, with folds seed * num_folds + fold."""
        fold, num_folds = self.settings.get("data.fold"), self.settings.get("data.num_folds")
        return self.seed * num_folds + fold if isinstance(fold, int) and isinstance(num_folds, int) else self.seed

    @property
    def is_completed(self) -> bool:
        """Whether it is completed with a finite primary metric, so that it can be compared."""
        return self.status == "completed" and math.isfinite(self.rank) and not self.continued

    @property
    def continued(self) -> str:
        """What run of other settings it continues; "" if none."""
        parts = self.result.provenance.get("continued_from", [])
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and not part.get("as_in_one_go"):
                changes = "; ".join(map(str, part.get("changes", []))) or "in another folder"
                return f"continues {part.get('path')} after {part.get('epochs')} epochs ({changes})"
        return ""

    @property
    def val_size(self) -> int | None:
        """Number of images that its validation metrics are of; None if that is unknown, as of a fold."""
        size = self.settings.get("data.val_size")
        limit = self.settings.get("trainer.limit_val_batches", 1.0)  # 1 is one batch
        known = self.settings.get("data.fold") is None and isinstance(limit, float) and limit == 1.0
        return size if known and isinstance(size, int) else None

    @property
    def was_improving(self) -> bool:
        """Whether its last epoch was the best, and ``max_epochs`` ended it before its learning rate fell to a tenth."""
        m = self.result.metrics
        if m.get("stop_reason") != "max_epochs" or m.get("best_epoch") != m.get("epochs", 0) - 1:
            return False
        rates = self.curve.by_name.get("lr") if self.curve else None
        return rates is None or not rates[-1] < np.nanmax(rates) / 10

    @property
    def had_a_long_epoch(self) -> bool:
        """Whether an epoch took so much longer than the others that the total time is not meaningful."""
        if self.curve is None:
            return False
        each = np.diff(self.curve.seconds, prepend=0)
        each = each[np.isfinite(each)]
        return len(each) > 0 and bool(each.max() > LONG_EPOCH * np.median(each))

    @property
    def reason(self) -> str:
        """Why it is not compared, and what else is wrong with it."""
        parts = [self.problem, (self.result.error or {}).get("message")]
        parts.append(_REASONS.get(self.status))
        if self.status == "completed" and not math.isfinite(self.rank):
            parts.append(f"no finite {self.metrics.primary.label}")
        return "; ".join(str(part) for part in [*parts, self.continued, *self.notes] if part)


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """All runs at or below ``folders``: the completed first, the best by the metric they are compared by first.

    A run counts once.

    Folders with results of other programs are logged and left out.

    Raises:
        FileNotFoundError: a folder does not exist, or there is no run under any.
    """
    runs = [*map(_read, run_folders(folders))]
    kinds = [kind.kind for kind in kinds_of(runs)]
    places = [kinds.index(run.metrics.kind) if run.metrics.kind in kinds else 0 for run in runs]
    order = sorted(
        range(len(runs)), key=lambda i: (runs[i].status != "completed", places[i], runs[i].score, runs[i].rank)
    )
    return [runs[i] for i in order]


def kinds_of(runs: Sequence[Run]) -> list[TaskMetrics]:
    """The metrics of runs, merged where runs are ranked together; those of the most completed runs first.

    A run that ended before it named its metrics counts for those of the default classification if no other names any.
    """
    known = [run for run in runs if run.is_completed or run.result.task]
    counts = Counter(run.metrics.kind for run in known if run.is_completed)
    counts.update({run.metrics.kind: 0 for run in known})
    merged = [[run.metrics for run in known if run.metrics.kind == kind] for kind, _ in counts.most_common()]
    return [*map(TaskMetrics.merged, merged or [[]])]


def with_tags(runs: Sequence[Run], tags: Sequence[str]) -> list[Run]:
    """The runs that have all of ``tags``.

    Raises:
        FileNotFoundError: none has.
    """
    found = [run for run in runs if set(tags) <= set(run.tags)]
    if not found:
        there_are = ", ".join(sorted({tag for run in runs for tag in run.tags})) or "none"
        raise FileNotFoundError(f"no run has the tags {', '.join(tags)}; tags of these runs: {there_are}")
    return found


def read_run(folder: Path) -> Run:
    """The run in ``folder``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: its result cannot be read.
    """
    if not is_run(folder):
        raise FileNotFoundError(f"there is no trainlab run in {folder}; give the folder of one, such as outputs/first")
    run = _read(folder)
    if run.problem:
        raise ValueError(f"{folder}: {run.problem}")
    return run


def _read(folder: Path) -> Run:
    try:
        result = Result.read(folder, to_train=False)
        if result is None:
            return Run(folder, problem="result.json is missing: cut short before training began")
        notes = _check(result, folder)
    except (ValueError, OSError) as error:
        return Run(folder, problem=str(error))
    if result.lr_search is not None and not is_search(result.lr_search):
        notes.append("lr_search of result.json is damaged: in no figure")
        result.lr_search = None
    leaves = _read_or_note(_read_settings, folder / "config.yaml", notes) or {}
    # Those that are not completed may have ended before their first epoch did.
    curve = _read_or_note(read_curve, folder / "metrics.csv", notes if result.status == "completed" else [])
    comparison = _read_or_note(partial(read_comparison, result=result), folder / "eval.json", notes)
    layers = _read_or_note(read_layer_statistics, folder / "layer_statistics.csv", notes)
    return Run(folder, result, None, leaves, curve, tuple(notes), comparison, layers)


def _read_or_note(read: Callable[[Path], T], path: Path, notes: list[str]) -> T | None:
    """What ``read`` finds in a file; None, and a note, if it is damaged."""
    try:
        return read(path)
    except ValueError as error:
        notes.append(str(error))
        return None


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        config = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing: in no group") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path.name} is damaged ({' '.join(str(error).split())}): in no group") from None
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise ValueError(f"{path.name} holds no settings: in no group")
    return settings(config)


def _check(result: Result, folder: Path) -> list[str]:
    """Take the figures that are not finite out of a result. Returns what to note of a completed run.

    Raises:
        ValueError: a value has not the type that the report expects.
    """

    def require(holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(f"{folder / 'result.json'} is damaged ({what})")

    require(result.status in STATUSES, f"status {result.status!r}")
    for name in ("metrics", "time", "provenance"):
        require(isinstance(getattr(result, name), dict), f"{name} is no mapping")
    require(result.error is None or isinstance(result.error, dict), "error is no mapping")
    for name in ("overrides", "tags"):
        words = getattr(result, name)
        require(isinstance(words, list) and all(isinstance(word, str) for word in words), name)
    require(isinstance(result.provenance.get("versions", {}), dict), "versions is no mapping")
    try:
        metrics = TaskMetrics.read(result.task)
    except ValueError as error:
        require(False, str(error))
    numbers_of = ["best_epoch", *(key for metric in metrics.every for key in (metric.key, metric.test.key)), "epochs"]
    dropped = []
    for numbers, keys in ((result.metrics, numbers_of), (result.time, _TIMES)):
        for key in [key for key in keys if key in numbers]:
            require(is_number(numbers[key]), f"{key} is no number")
            if not math.isfinite(numbers[key]):
                del numbers[key]
                dropped.append(key)
    if result.status != "completed":
        return []
    # A completed run without its primary metric has a reason of its own.
    return [f"{key} is not finite" for key in dropped if key != metrics.primary.key]


def relative_path(folder: Path, root: Path) -> str:
    """``folder`` as seen from ``root``; as it is if it is more than two levels up."""
    path = os.path.relpath(folder.resolve(), root.resolve())
    return str(folder) if path.startswith("../../..") else path
