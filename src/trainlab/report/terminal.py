"""The table of runs that a terminal shows."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trainlab.report.formatting import RUN_FIGURES, format_figure
from trainlab.report.run_table import figures_of
from trainlab.report.runs import Run
from trainlab.runs.fingerprint import telling


def runs_table(runs: Sequence[Run], root: Path) -> Group:
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
    columns = ("val_loss", "val_acc", "test_acc", "best_epoch", "epochs", "epoch_s")
    for key in columns:
        heading = "median s/epoch" if key == "epoch_s" else key.replace("_", " ")
        table.add_column(heading, justify="right", max_width=7)  # a heading on two lines, figures on one
    table.add_column("status", no_wrap=True)
    overrides = [set(run.result.overrides) for run in runs if not run.problem]
    shared = set.intersection(*overrides) if len(overrides) > 1 else set()  # they distinguish none of the runs
    reasons = []
    for run in runs:
        own = [override for override in telling(run.result.overrides) if override not in shared]
        name, figures = " ".join(own) or _relative(run.folder, root), figures_of(run)
        shown = (format_figure(figures[key], RUN_FIGURES[key]) for key in columns)
        table.add_row(*map(escape, (name, *shown, run.status)))
        if reason := run.problem or (run.result.error and run.result.error.get("message", "no reason given")):
            reasons.append(Text(f"{name}: {reason}", overflow="fold"))
    return Group(table, *reasons)


def _relative(folder: Path, root: Path) -> str:
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)
