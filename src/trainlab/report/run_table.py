"""Runs and what they reached, one row per run: `runs.csv`, what `trainlab.load_runs` returns, and for a terminal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group as Lines
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trainlab.report.formatting import RUN_FIGURES, format_figure
from trainlab.report.groups import NOT_GIVEN, Group, differing_keys, group_runs, value_of
from trainlab.report.provenance import repeat_command
from trainlab.report.runs import Run, find_runs, kinds_of, relative_path
from trainlab.runs.fingerprint import training_overrides
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_METRICS = 2  # columns of validation metrics on a terminal of 80


@dataclass(frozen=True)
class RunTable(Sequence[Run]):
    """Runs, the completed ones first, by their primary metric; a sequence of them and a table.

    Attributes:
        runs: what each left on disk.
        rows: by column, of each run: its folder, its group (runs that differ in seed and fold alone), status, tags, the
            settings in which the runs differ, metrics, times and provenance. None where a run has no such value.
    """

    runs: Sequence[Run]
    rows: Sequence[dict[str, Any]]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(dict.fromkeys(column for row in self.rows for column in row))

    def to_pandas(self) -> "DataFrame":
        """The rows as a DataFrame.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError:
            raise ImportError("to_pandas() needs pandas, which is not installed; run `pip install pandas`") from None
        return DataFrame(self.rows, columns=self.columns)

    def __repr__(self) -> str:
        return f"RunTable({len(self.runs)} runs; columns: {', '.join(self.columns)})"

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, index: Any) -> Any:
        return self.runs[index]


def load_runs(folder: str | PathLike[str]) -> RunTable:
    """The runs at or below ``folder``, of a sweep or of many, from what they left on disk.

    Raises:
        FileNotFoundError: the folder does not exist, or there is no run in it.
    """
    runs = find_runs([Path(folder)])
    groups, keys = group_runs(runs), differing_keys(runs)
    rows = rows_of(runs, groups, keys, Path(folder), lambda value: None if value == NOT_GIVEN else value)
    return RunTable(runs, [*rows])


def rows_of(
    runs: Sequence[Run], groups: Sequence[Group], keys: Sequence[str], root: Path, as_setting: Callable[[Any], Any]
) -> Iterator[dict[str, Any]]:
    """A row per run, with what ``as_setting`` makes of its settings ``keys``; its folder relative to ``root``."""
    labels = {path: group.label for group in groups for path in group.folders}
    metrics = TaskMetrics.merged(kinds_of(runs)).every
    for run in runs:
        yield _row(run, labels.get(run.folder), keys, metrics, root, as_setting)


def _row(
    run: Run,
    group: str | None,
    keys: Sequence[str],
    metrics: Sequence[Metric],
    root: Path,
    as_setting: Callable[[Any], Any],
) -> dict[str, Any]:
    origin = run.result.provenance
    return {
        "folder": relative_path(run.folder, root),
        "group": group,
        "status": run.status,
        "tags": ", ".join(run.tags) or None,
        "reason": run.reason,
        "seed": run.settings.get("seed", origin.get("seed")),
        **{key: None if run.problem else as_setting(value_of(run, key)) for key in keys if key != "seed"},
        **figures_of(run, metrics),
        "fingerprint": run.result.fingerprint or None,
        **{key: origin.get(key) for key in ("git_commit", "git_dirty", "data_digest", "host")},
        "command": None if run.problem or run.continued else repeat_command(run),
    }


def figures_of(run: Run, metrics: Sequence[Metric]) -> dict[str, Any]:
    """Values of ``metrics`` and times of a run, epochs counted from one; None for those that it has not."""
    values = run.result.metrics
    return {
        **{metric.key: values.get(metric.key) for metric in [*metrics, *(metric.test for metric in metrics)]},
        "best_epoch": values["best_epoch"] + 1 if "best_epoch" in values else None,
        **{key: values.get(key) for key in ("epochs", "stop_reason")},
        **{key: run.result.time.get(key) for key in ("epoch_s", "total_s", "images_per_s", "device")},
    }


def runs_table(runs: Sequence[Run], root: Path) -> Lines:
    """One row per run, named by what differs between them, and below the table why runs failed.

    Runs are chosen by the validation columns; the test column is only reported. Folders are relative to ``root``.
    """
    table = Table(
        caption="chosen on validation data; the test set is read once, after that choice",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("run", overflow="fold")
    metrics = TaskMetrics.merged(kinds_of(runs))
    few = [*metrics.every[:MAX_METRICS], metrics.compared_by.test]
    specs = {metric.key: metric.spec for metric in few}
    specs |= {key: RUN_FIGURES[key] for key in ("best_epoch", "epochs", "epoch_s")}
    values = [figures_of(run, metrics.every) for run in runs]
    shown = [[format_figure(figures[key], spec) for key, spec in specs.items()] for figures in values]
    for i, key in enumerate(specs):
        heading = "median s/epoch" if key == "epoch_s" else key.replace("_", " ")
        width = max(7, *(len(row[i]) for row in shown))
        table.add_column(heading, justify="right", max_width=width)  # a heading on two lines, figures on one
    table.add_column("status", no_wrap=True)
    tagged = any(run.tags for run in runs)
    if tagged:
        table.add_column("tags", overflow="fold")
    overrides = [set(run.result.overrides) for run in runs if not run.problem]
    shared = set.intersection(*overrides) if len(overrides) > 1 else set()  # they distinguish none of the runs
    reasons = []
    for run, figures in zip(runs, shown, strict=True):
        own = [override for override in training_overrides(run.result.overrides) if override not in shared]
        folder = run.folder.relative_to(root) if run.folder.is_relative_to(root) else run.folder
        name = " ".join(own) or str(folder)
        table.add_row(*map(escape, (name, *figures, run.status, *([", ".join(run.tags)] if tagged else []))))
        if reason := run.problem or (run.result.error and run.result.error.get("message", "no reason given")):
            reasons.append(Text(f"{name}: {reason}", overflow="fold"))
    return Lines(table, *reasons)
