"""The table of runs that a terminal shows."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

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
    for heading in ("val loss", "val acc", "test acc", "best epoch", "epochs", "median s/epoch"):
        table.add_column(heading, justify="right", max_width=7)  # a heading on two lines, figures on one
    table.add_column("status", no_wrap=True)
    tagged = any(run.tags for run in runs)
    if tagged:
        table.add_column("tags", overflow="fold")
    shared = _shared_overrides(runs)
    for run in runs:
        table.add_row(*map(escape, _row(run, root, shared) + [", ".join(run.tags)] * tagged))
    reasons = [(_name(run, root, shared), _reason(run)) for run in runs]
    return Group(table, *(Text(f"{name}: {reason}", overflow="fold") for name, reason in reasons if reason))


def _name(run: Run, root: Path, shared: set[str]) -> str:
    own = [o for o in telling(run.result.overrides) if o not in shared] if run.result else []
    return " ".join(own) or _relative(run.folder, root)


def _reason(run: Run) -> str:
    """Why the run failed; empty if it did not."""
    if run.result is None:
        return run.problem or ""
    return run.result.error.get("message", "no reason given") if run.result.error else ""


def _row(run: Run, root: Path, shared: set[str]) -> list[str]:
    name = _name(run, root, shared)
    if run.result is None:
        return [name, *["-"] * 6, "unreadable"]
    metrics, time = run.result.metrics, run.result.time
    return [
        name,
        f"{metrics['val_loss']:.4f}" if "val_loss" in metrics else "-",
        f"{metrics['val_acc']:.2%}" if "val_acc" in metrics else "-",
        f"{metrics['test_acc']:.2%}" if "test_acc" in metrics else "-",
        str(metrics["best_epoch"] + 1) if "best_epoch" in metrics else "-",
        str(metrics.get("epochs", "-")),
        f"{time['epoch_s']:.1f}" if "epoch_s" in time else "-",
        run.result.status,
    ]


def _shared_overrides(runs: Sequence[Run]) -> set[str]:
    """Overrides that all runs have, which distinguish none of them."""
    given = [set(run.result.overrides) for run in runs if run.result]
    return set.intersection(*given) if len(given) > 1 else set()


def _relative(folder: Path, root: Path) -> str:
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)
