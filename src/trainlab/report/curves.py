"""Metrics by epoch, from `metrics.csv`, and the band of several runs."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainlab.tasks.metrics import Metric, key_of

Values = NDArray[np.float64]
POINTS = 150  # along an axis of seconds


@dataclass(frozen=True, eq=False)
class Curve:
    """Values by epoch, which count from one; NaN if a row has none.

    Attributes:
        seconds: from the start of the training to the end of each epoch.
        by_name: every other column, such as `train/loss` and `val/acc`.
    """

    epochs: Values
    seconds: Values
    by_name: dict[str, Values]

    def of(self, name: str) -> Values:
        """A column by its name, or by the key of its metric such as `val_loss`; NaN where there is none."""
        split = "train" if name.startswith("train") else "val"
        found = {key_of(column, split): values for column, values in self.by_name.items()}
        return found.get(key_of(name, split), np.full(len(self.epochs), np.nan))

    def has(self, name: str) -> bool:
        """Whether there is a finite value of it."""
        return bool(np.isfinite(self.of(name)).any())

    def best(self, metric: Metric) -> float:
        """The best finite value of ``metric``; NaN if there is none."""
        values = self.of(metric.key)
        finite = values[np.isfinite(values)]
        return float(metric.rank(metric.rank(finite).min())) if len(finite) else float("nan")


@dataclass(frozen=True, eq=False)
class Band:
    """Mean over several curves, lowest and highest.

    Attributes:
        x: epochs, or seconds.
        whole: number of leading points that all curves have reached; the rest is of the longer ones.
    """

    x: Values
    mean: Values
    low: Values
    high: Values
    whole: int


def read_curve(path: Path) -> Curve:
    """The curve of a `metrics.csv`.

    Raises:
        ValueError: there is no such file, or it is damaged.
    """
    try:
        with path.open(newline="") as file:
            lines = csv.DictReader(file)
            if missing := [name for name in ("epoch", "epoch_s") if name not in (lines.fieldnames or ())]:
                raise ValueError(f"{path.name} has no column {missing[0]}")
            names = [name for name in lines.fieldnames or () if name != "step"]
            rows = [_numbers(line, names, path.name, lines.line_num) for line in lines]
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name} cannot be read ({error})") from None
    if not rows:
        raise ValueError(f"{path.name} has no rows")
    columns = dict(zip(names, np.array(rows).T, strict=True))
    return Curve(columns.pop("epoch") + 1, np.cumsum(columns.pop("epoch_s")), columns)


def band(curves: Sequence[Curve], name: str, against_seconds: bool = False) -> Band:
    """The band of the column ``name``, by epoch or by second.

    In seconds, values between epochs are interpolated, and the band is where all curves are. A place without a finite
    value in any curve is left out.
    """
    lines = [_finite(curve.seconds if against_seconds else curve.epochs, curve.of(name)) for curve in curves]
    lines = [line for line in lines if len(line[0])]
    if not lines:
        nothing = np.zeros(0)
        return Band(nothing, nothing, nothing, nothing, 0)
    x = np.unique(np.concatenate([xs for xs, _ in lines]))
    if against_seconds and len(lines) > 1:
        start, end = max(xs[0] for xs, _ in lines), min(xs[-1] for xs, _ in lines)
        x = np.linspace(start, end, POINTS) if start < end else np.zeros(0)
    ys = np.array([np.interp(x, xs, values, left=np.nan, right=np.nan) for xs, values in lines])
    here = np.isfinite(ys)
    mean = np.where(here, ys, 0).sum(axis=0) / np.maximum(1, here.sum(axis=0))
    low, high = np.where(here, ys, np.inf).min(axis=0), np.where(here, ys, -np.inf).max(axis=0)
    keep = here.any(axis=0)
    whole = int((x[keep] <= min(xs[-1] for xs, _ in lines)).sum())
    return Band(x[keep], mean[keep], low[keep], high[keep], whole)


def _finite(x: Values, y: Values) -> tuple[Values, Values]:
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


def _numbers(line: dict[str, str], columns: Sequence[str], file: str, number: int) -> list[float]:
    try:
        return [float("nan" if line[column] == "" else line[column]) for column in columns]
    except (ValueError, TypeError):
        raise ValueError(f"{file} is damaged in line {number}") from None
