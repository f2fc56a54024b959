"""Runs and what they reached, one row per run: `runs.csv`, what `trainlab.load_runs` returns, and for a terminal."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group as Lines
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trainlab.report.formatting import RUN_FIGURES, TEST_NOTE, format_figure, listed
from trainlab.report.groups import Group, group_runs
from trainlab.report.labels import NOT_GIVEN, differing_keys, label, value_of
from trainlab.report.provenance import repeat_command
from trainlab.report.runs import Run, find_runs, kinds_of, relative_path
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_METRICS = 2  # columns of validation metrics
MAX_NAME = 40  # characters of a run that stay on one line
_S_PER_EPOCH = "median s/epoch"
_TEXTS = ("run", "group", "status", "tags")  # columns, as opposed to figures
MAX_ROWS = 20  # of a table in a terminal; if there are more, the best of them
MAX_REASONS, MAX_NAMED = 10, 3  # lines below the table, and runs named on each


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


def runs_table(runs: Sequence[Run], root: Path, width: int = 10_000) -> Lines:
    """One row per run, of many the best, named by what differs between them, and below the table why runs ended early.

    Runs are chosen by the validation columns; the test column, marked †, is only reported. Folders are relative to
    ``root``. Epochs and a status that all rows share are below the table instead, and which columns are left out since
    ``width`` has no room for them beside names of up to ``MAX_NAME`` characters.
    """
    metrics = TaskMetrics.merged(kinds_of(runs))
    best = runs[:MAX_ROWS]
    names = names_of(runs, root)
    columns = {"run": [names[run.folder] for run in best]}
    figures = [figures_of(run, metrics.every) for run in best]
    tested = metrics.compared_by.test
    specs = {metric.key: metric.spec for metric in [*metrics.ranked[:MAX_METRICS], tested]}
    specs |= {key: RUN_FIGURES[key] for key in ("best_epoch", "epochs", "epoch_s")}
    headings = {key: key.replace("_", " ") for key in specs}
    headings |= {tested.key: f"{tested.heading} †", "epoch_s": _S_PER_EPOCH}
    for key, spec in specs.items():
        columns[headings[key]] = [format_figure(of[key], spec) for of in figures]
    columns["status"] = [run.status for run in best]
    if any(run.tags for run in best):
        columns["tags"] = [", ".join(run.tags) for run in best]
    below = [_statuses(runs)] if len(runs) > 1 else []
    trained = {run.result.metrics.get("epochs") for run in runs if run.is_completed}
    if len(runs) > 1 and len(trained) == 1 and len({*columns["epochs"]} | {"-"}) == 2:
        is_of_all = all(run.is_completed for run in runs)
        below.append(f"{'' if is_of_all else 'completed runs: '}{columns.pop('epochs')[0]} epochs each")
    if len(runs) > 1 and {*columns["status"]} == {"completed"}:
        del columns["status"]
    if len(best) < len(runs):
        below.append(f"these are the best {len(best)}, all are in the report and in runs.csv")
    left_out = []
    for heading in (_S_PER_EPOCH, "best epoch", *(metric.heading for metric in metrics.ranked[1:MAX_METRICS])):
        if _width(columns) > width:
            del columns[heading]
            left_out.append(heading)
    if left_out:
        below.append(f"{listed(left_out)} in the report")
    note = TEST_NOTE.removesuffix(".")
    return Lines(text_table(columns), *map(Text, filter(None, ["; ".join(below), note])), *_reasons(runs, names))


def text_table(columns: Mapping[str, Sequence[str]]) -> Table:
    """Texts by heading: names whole up to ``MAX_NAME`` characters, figures on one line."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading, texts in columns.items():
        options: dict[str, Any] = {"overflow": "fold", "min_width": _width_of(heading, texts)}
        if heading not in _TEXTS:
            options |= {"justify": "right", "max_width": _width_of(heading, texts)}
        table.add_column(heading, no_wrap=heading == "status", **options)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, row))
    return table


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """Of their table: two characters between columns, and one at either end."""
    return sum(_width_of(heading, texts) + 2 for heading, texts in columns.items())


def _width_of(heading: str, texts: Sequence[str]) -> int:
    """Of a column: a heading of figures is on two lines, a name longer than ``MAX_NAME`` on more."""
    longest = max(map(len, texts))
    return min(MAX_NAME, max(len(heading), longest)) if heading in _TEXTS else max(7, longest)


def _statuses(runs: Sequence[Run]) -> str:
    """ "18 runs, all completed", "1000 runs: 980 completed, 20 diverged"."""
    counts = Counter(run.status for run in runs)
    if len(counts) == 1:
        return f"{len(runs)} runs, all {runs[0].status}"
    return f"{len(runs)} runs: {', '.join(f'{n} {status}' for status, n in counts.most_common())}"


def _reasons(runs: Sequence[Run], names: Mapping[Path, str]) -> Iterator[Text]:
    """Why runs are not completed, or what is wrong with them; runs with the same reason share a line."""
    alike = reasons_of(runs, names)
    for (status, reason), of in [*alike.items()][:MAX_REASONS]:
        more = f" and {len(of) - MAX_NAMED} more" if len(of) > MAX_NAMED else ""
        yield Text(f"{status}: {', '.join(of[:MAX_NAMED])}{more}: {reason}", overflow="fold")
    if left := sum(map(len, [*alike.values()][MAX_REASONS:])):
        yield Text(f"and {left} more; runs.csv has the reason of each")


def reasons_of(runs: Sequence[Run], names: Mapping[Path, str]) -> dict[tuple[str, str], list[str]]:
    """Names of runs that are not completed, or lack something, by status and reason."""
    alike: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run.reason:
            alike.setdefault((run.status, run.reason), []).append(names[run.folder])
    return alike


def naming_keys(runs: Sequence[Run]) -> list[str]:
    """Settings that differ between the runs and name them, the seed and the fold last."""
    keys = differing_keys([run for run in runs if not run.problem])
    return sorted(keys, key=lambda key: key in ("seed", "data.fold"))


def names_of(runs: Sequence[Run], root: Path) -> dict[Path, str]:
    """A short name of each run by its folder: the settings that differ; its folder where none do.

    Runs of the same settings have the folder of their sweep, or their own, after it.
    """
    keys = naming_keys(runs)
    alike: dict[str, list[Path]] = {}
    for run in runs:
        alike.setdefault(label(run, keys) if keys and run.settings else "", []).append(run.folder)
    found: dict[Path, str] = {}
    for name, folders in alike.items():
        paths = [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in folders]
        if not name:
            found |= dict(zip(folders, paths, strict=True))
            continue
        of = ([path.parent.name for path in folders], [path.name for path in folders], paths)
        words = next(words for words in of if len({*words}) == len(words))
        found |= {
            path: f"{name} ({word})" if len(words) > 1 else name for path, word in zip(folders, words, strict=True)
        }
    return found
