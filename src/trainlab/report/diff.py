"""How two runs differ: settings, results, and what is not in the settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from trainlab.report.formatting import format_value
from trainlab.report.runs import Run
from trainlab.runs.result import Result

_NOT_SET = "not set"
_TIMES = ("epoch_s", "total_s", "device")
_PROVENANCE = ("git_commit", "git_dirty", "versions", "data_digest", "host")


def diff_table(first: Run, second: Run, root: Path) -> Table:
    """One row per setting in which two runs differ, then their results, then differences of code, data and machine.

    Settings are those that decide a result, results those of `result.json`. Folders are relative to ``root``.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("", _name(first.folder, root), _name(second.folder, root)):
        table.add_column(escape(heading), overflow="fold")
    results = [run.result for run in (first, second)]
    parts: list[tuple[str, list[tuple[str, Any, Any]]]] = [
        ("settings that differ", _differing(first.settings, second.settings)),
        ("results", [("status", first.status, second.status), *_all(*map(_metrics, results))]),
        ("times", _all(*({key: result.time.get(key, _NOT_SET) for key in _TIMES} for result in results))),
        (
            "other differences",
            _differing(*({key: result.provenance.get(key) for key in _PROVENANCE} for result in results)),
        ),
    ]
    for title, rows in parts:
        if rows:
            table.add_section()
            table.add_row(f"[bold]{title}[/]")
        for key, *values in rows:
            table.add_row(*map(escape, (key, *(format_value(value) for value in values))))
    if not parts[0][1]:
        table.caption = "no setting that decides a result differs"
    return table


def _name(folder: Path, root: Path) -> str:
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)


def _metrics(of: Result) -> dict[str, Any]:
    """Metrics of a run, epochs counted from one."""
    return {key: value + 1 if key == "best_epoch" else value for key, value in of.metrics.items()}


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    return [row for row in _all(first, second) if row[1] != row[2] or type(row[1]) is not type(row[2])]


def _all(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    keys: Sequence[str] = list(dict.fromkeys([*first, *second]))
    return [(key, first.get(key, _NOT_SET), second.get(key, _NOT_SET)) for key in keys]
