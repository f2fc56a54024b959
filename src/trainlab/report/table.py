"""The table of runs that a terminal shows."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from trainlab.report.runs import Run
from trainlab.results import telling


def runs_table(runs: Sequence[Run], root: Path) -> Table:
    """A row a run, in the order given, by what sets them apart; folders relative to ``root``.

    Runs are to be chosen by the validation columns; the test column is there to be reported.
    """
    table = Table(
        caption="chosen by validation loss; the test set is read once, after that choice",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("run", overflow="fold")
    for heading in ("val loss", "val acc", "test acc", "best epoch", "epochs", "median s/epoch"):
        table.add_column(heading, justify="right", max_width=7)  # two lines of heading, one of figures
    table.add_column("status", overflow="fold")
    shared = _shared_overrides(runs)
    for run in runs:
        table.add_row(*map(escape, _row(run, root, shared)))
    return table


def _row(run: Run, root: Path, shared: set[str]) -> list[str]:
    if run.result is None:
        return [_relative(run.folder, root), *["-"] * 6, run.problem or ""]
    metrics, time = run.result.metrics, run.result.time
    name = " ".join(o for o in telling(run.result.overrides) if o not in shared) or _relative(run.folder, root)
    status = run.result.status
    if run.result.error:
        status += f": {run.result.error.get('message', 'no reason given')}"
    return [
        name,
        f"{metrics['val_loss']:.4f}" if "val_loss" in metrics else "-",
        f"{metrics['val_acc']:.2%}" if "val_acc" in metrics else "-",
        f"{metrics['test_acc']:.2%}" if "test_acc" in metrics else "-",
        str(metrics["best_epoch"] + 1) if "best_epoch" in metrics else "-",
        str(metrics.get("epochs", "-")),
        f"{time['epoch_s']:.1f}" if "epoch_s" in time else "-",
        status,
    ]


def _shared_overrides(runs: Sequence[Run]) -> set[str]:
    """Overrides that all runs have, which tell none from another."""
    given = [set(run.result.overrides) for run in runs if run.result]
    return set.intersection(*given) if len(given) > 1 else set()


def _relative(folder: Path, root: Path) -> str:
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)
