"""The table of runs whose checkpoints were evaluated with MC dropout."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainlab.report.evaluations import SIDES, Estimate
from trainlab.report.findings import MAX_MC_DROPOUT_RUNS
from trainlab.report.runs import Run, relative_path
from trainlab.report.tables import Cell, Table

MC_DROPOUT_TITLE = "MC dropout: predictions with dropout off, and left on †"
_MC_DROPOUT_NOTE = (
    "Of the test images, by `trainlab eval mc_samples=`; in brackets 95 % intervals by bootstrap over the images, for "
    "the difference a paired one. They describe each network alone, not other seeds, and are not corrected for the "
    "number of runs and metrics."
)


def mc_dropout_table(runs: Sequence[Run], names: Mapping[Path, str], root: Path) -> Table | None:
    """One row for each metric of each of ``runs``, which were evaluated with MC dropout; None without any.

    ``names`` are by folder; links are relative to ``root``.
    """
    if not runs:
        return None
    rows: list[list[Cell]] = []
    for run in runs[:MAX_MC_DROPOUT_RUNS]:
        assert run.mc_dropout
        name_of_run = (names[run.folder], relative_path(run.folder, root))
        samples = run.mc_dropout.samples
        for name, sides in run.mc_dropout.metrics.items():
            values = [_estimate(sides.get(side), "+" if side == SIDES[2] else "") for side in SIDES]
            rows.append([name_of_run, (name, name), (str(samples), samples), *values])
    left = f" The first {MAX_MC_DROPOUT_RUNS} of {len(runs)} runs." if len(runs) > MAX_MC_DROPOUT_RUNS else ""
    headings = ["run", "metric", "samples", "deterministic †", "MC dropout †", "difference †"]
    return Table(headings, rows, _MC_DROPOUT_NOTE + left, link="run")


def _estimate(of: Estimate | None, sign: str) -> Cell:
    if of is None:
        return ("-", math.nan)
    value, low, high = (format(number, f"{sign}.4f") for number in of)
    return (f"{value} ({low} to {high})", of[0])
