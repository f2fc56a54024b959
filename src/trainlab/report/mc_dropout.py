"""The section of a report on MC dropout: in words and as a table, of every run that was evaluated with it."""

from collections.abc import Sequence
from pathlib import Path

from trainlab.report.evaluations import SIDES, Figure
from trainlab.report.runs import Run
from trainlab.report.sections import Cell, Table, relative

TITLE = "MC dropout: predictions with dropout off, and left on †"
MAX_IN_FULL = 3  # runs: of more of them only the sentence on accuracy
MAX_RUNS = 20
NOTE = (
    "Of the test images, by `eval.py mc_samples=`; in brackets 95 % intervals by bootstrap over the images, for the "
    "difference a paired one. They tell of each network by itself, not of other seeds, and are not corrected for the "
    "number of runs and metrics."
)


def compared(runs: Sequence[Run]) -> list[Run]:
    """Runs with a comparison."""
    return [run for run in runs if run.mc_dropout]


def sentences(runs: Sequence[Run], root: Path) -> list[str]:
    """What can be claimed of each of ``runs``, which have a comparison."""
    said = []
    for run in runs[:MAX_RUNS]:
        assert run.mc_dropout
        of_run = f"{relative(run.folder, root)}: " if len(runs) > 1 else ""
        kept = run.mc_dropout.sentences if len(runs) <= MAX_IN_FULL else run.mc_dropout.sentences[:1]
        said += [f"{of_run}{sentence}." for sentence in kept]
    return said


def table(runs: Sequence[Run], root: Path) -> Table:
    """A line for each run and metric."""
    rows: list[list[Cell]] = []
    for run in runs[:MAX_RUNS]:
        assert run.mc_dropout
        where = relative(run.folder, root)
        for name, sides in run.mc_dropout.metrics.items():
            figures = [_cell(sides.get(side), "+" if side == SIDES[2] else "") for side in SIDES]
            rows.append([(where, where), (name, name), (str(run.mc_dropout.samples), run.mc_dropout.samples), *figures])
    left = f" The first {MAX_RUNS} of {len(runs)} runs." if len(runs) > MAX_RUNS else ""
    return Table(["run", "metric", "samples", "deterministic †", "MC dropout †", "difference †"], rows, NOTE + left)


def _cell(figure: Figure | None, sign: str) -> Cell:
    if figure is None:
        return ("-", float("nan"))
    value, low, high = (format(number, f"{sign}.4f") for number in figure)
    return (f"{value} ({low} to {high})", figure[0])
