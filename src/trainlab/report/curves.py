"""The course of a training, as `metrics.csv` has it, and the band of several."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
COLUMNS = ("epoch", "train/loss", "train/acc", "val/loss", "val/acc", "epoch_s")


@dataclass(frozen=True, eq=False)
class Curve:
    """Values by epoch, which count from one; NaN where a row has none.

    Attributes:
        by_name: `train/loss`, `train/acc`, `val/loss`, `val/acc`.
        seconds: from the start of the training to the end of each epoch.
    """

    epochs: Values
    seconds: Values
    by_name: dict[str, Values]

    @property
    def best_val_loss(self) -> float:
        """The lowest finite one; NaN if there is none."""
        losses = self.by_name["val/loss"]
        finite = losses[np.isfinite(losses)]
        return float(finite.min()) if len(finite) else float("nan")


@dataclass(frozen=True, eq=False)
class Band:
    """Mean over several curves, lowest and highest, epoch by epoch.

    Attributes:
        x: epochs, or seconds: mean over the curves at that epoch.
        whole: how many of the first epochs all curves have; later ones are of those that went on.
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
            lines = csv.reader(file)
            header = next(lines, [])
            missing = [name for name in ("epoch", "epoch_s") if name not in header]
            if missing:
                raise ValueError(f"{path.name} has no column {missing[0]}")
            places = [header.index(name) if name in header else None for name in COLUMNS]
            rows = [_numbers(line, places, lines.line_num, path.name) for line in lines if line]
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name} cannot be read ({error})") from None
    if not rows:
        raise ValueError(f"{path.name} has no rows")
    columns = dict(zip(COLUMNS, np.array(rows).T, strict=True))
    return Curve(columns.pop("epoch") + 1, np.cumsum(columns.pop("epoch_s")), columns)


def band(curves: Sequence[Curve], name: str, against_seconds: bool) -> Band:
    """The band of the column ``name``; an epoch without a finite value in any curve is left out."""
    length = max(len(curve.epochs) for curve in curves)
    ys, xs = np.full((2, len(curves), length), np.nan)
    for i, curve in enumerate(curves):
        ys[i, : len(curve.epochs)] = curve.by_name[name]
        xs[i, : len(curve.epochs)] = curve.seconds if against_seconds else curve.epochs
    usable = np.isfinite(ys) & np.isfinite(xs)
    count = usable.sum(axis=0)
    keep = count > 0
    mean_y, mean_x = (np.where(usable, values, 0).sum(axis=0)[keep] / count[keep] for values in (ys, xs))
    low = np.where(usable, ys, np.inf).min(axis=0)[keep]
    high = np.where(usable, ys, -np.inf).max(axis=0)[keep]
    shortest = min(len(curve.epochs) for curve in curves)
    # Those that go on are fewer, and in seconds may be the faster ones: x must not step back.
    return Band(np.maximum.accumulate(mean_x), mean_y, low, high, int(keep[:shortest].sum()))


def _numbers(line: list[str], places: list[int | None], number: int, name: str) -> list[float]:
    try:
        return [float("nan") if place is None or line[place] == "" else float(line[place]) for place in places]
    except (ValueError, IndexError):
        raise ValueError(f"{name} is damaged in line {number}") from None
