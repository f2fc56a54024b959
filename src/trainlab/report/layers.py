"""What went on in the layers of a training, as `activations.csv` has it, and its figure."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, PercentFormatter

from trainlab.report.curves import Values
from trainlab.report.drawing import shortened

FIGURES = ("mean", "std", "dead", "gradient_norm")
TITLES = ("mean", "standard deviation", "dead units", "gradient norm")
WEIGHTS = ("rank", "distinct_units")  # of the weight matrix; in no figure of a report
MAX_GROUPS = 4
MAX_EPOCHS = 6
_KEPT = {"mean": 0.0, "std": 1.0}  # by self-normalization


@dataclass(frozen=True, eq=False)
class Layers:
    """Figures of each layer, after so many epochs.

    Attributes:
        names: of the L layers, in order.
        by_epochs: by number of epochs trained, ascending from 0, the values (4, L) of ``FIGURES``.
        weights_by_epochs: the same of ``WEIGHTS`` (2, L), NaN where a layer has no matrix; empty where none was kept.
    """

    names: tuple[str, ...]
    by_epochs: dict[int, Values]
    weights_by_epochs: dict[int, Values] = field(default_factory=dict)


def read_layers(path: Path) -> Layers | None:
    """Those of an `activations.csv`; None where there is none.

    Raises:
        ValueError: it is damaged.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        columns = [*FIGURES, *(WEIGHTS if rows and all(name in rows[0] for name in WEIGHTS) else ())]
        found: dict[int, dict[str, list[float]]] = {}
        for row in rows:
            found.setdefault(int(row["epochs"]), {})[row["layer"]] = [float(row[column]) for column in columns]
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        raise ValueError(f"{path.name} is damaged") from None
    names = {tuple(layers) for layers in found.values()}
    if len(names) != 1:
        raise ValueError(f"{path.name} is damaged")
    values = {epochs: np.array([*layers.values()]).T for epochs, layers in sorted(found.items())}
    many = len(FIGURES)
    weights = {epochs: of[many:] for epochs, of in values.items() if len(of) > many}
    return Layers(names.pop(), {epochs: of[:many] for epochs, of in values.items()}, weights)


def mean_over_seeds(runs: Sequence[Layers]) -> Layers:
    """The mean of all that have the layers of the first, at the epochs that all of them have."""
    alike = [run for run in runs if run.names == runs[0].names]
    return Layers(
        alike[0].names,
        _mean([run.by_epochs for run in alike]),
        _mean([run.weights_by_epochs for run in alike]),
    )


def _mean(runs: Sequence[Mapping[int, Values]]) -> dict[int, Values]:
    shared = [epochs for epochs in runs[0] if all(epochs in run for run in runs)]
    return {epochs: np.mean([run[epochs] for run in runs], axis=0) for epochs in shared}


def by_layer(groups: Mapping[str, Layers]) -> tuple[str, Callable[[Sequence[Axes]], None]]:
    """Caption, and what draws into four rows of axes, a column a group.

    Args:
        groups: figures of each by its label, at most ``MAX_GROUPS``.
    """
    epochs = chosen(sorted({epochs for layers in groups.values() for epochs in layers.by_epochs}))

    def draw(axes: Sequence[Axes]) -> None:
        shades = colormaps["viridis_r"](np.linspace(0.15, 1, len(epochs)))
        style: dict[str, Any] = {"linewidth": 1.5, "marker": ".", "markersize": 4}
        for column, (label, layers) in enumerate(groups.items()):
            places = np.arange(1, len(layers.names) + 1)
            for row, figure in enumerate(FIGURES):
                one = axes[row * len(groups) + column]
                if figure in _KEPT:
                    one.axhline(_KEPT[figure], color="#888888", linewidth=1, linestyle=(0, (4, 2)), zorder=1)
                for shade, after in zip(shades, epochs, strict=True):
                    name = "before training" if after == 0 else f"after epoch {after}"
                    values = layers.by_epochs[after][row] if after in layers.by_epochs else np.full(len(places), np.nan)
                    # With or without a line, all are in the legend.
                    one.plot(places, values, color=shade, label=name, **style)
                one.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
                one.set_xlim(0.5, len(places) + 0.5)
                if row == 0:
                    one.set_title(shortened(label, 34))
                is_last = row == len(FIGURES) - 1
                one.tick_params(labelbottom=is_last)
                if is_last:
                    one.set_xlabel("layer")
        _scale_rows(axes, len(groups))

    caption = (
        "See whether deviation and gradient stay level from layer to layer, or shrink and grow. The layers from the "
        "input on; the last is the output. Mean and standard deviation of the activations over "
        "units and validation images (dashed: what self-normalization keeps), share of units that give the same number "
        "for every image, and norm of the loss's gradient by the parameters of the layer on one training batch. "
        "Activations are those of a prediction: batch normalization by running averages, which start at 0 and 1."
    )
    return caption, draw


def chosen(epochs: Sequence[int]) -> list[int]:
    """At most ``MAX_EPOCHS``: the first two, the last, and more in even ratios between them, as most changes early."""
    if len(epochs) <= MAX_EPOCHS:
        return [*epochs]
    places = np.geomspace(1, len(epochs) - 1, MAX_EPOCHS - 1).round().astype(int)
    return [epochs[i] for i in sorted({0, *places.tolist()})]


def _scale_rows(axes: Sequence[Axes], columns: int) -> None:
    """Name the scale that each row shares, and choose its marks."""
    for row, (figure, title) in enumerate(zip(FIGURES, TITLES, strict=True)):
        first, *_ = in_row = axes[row * columns : (row + 1) * columns]
        first.set_ylabel(title)
        if figure == "dead":
            first.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            first.set_ylim(0, max(0.1, 1.05 * first.get_ylim()[1]))
        lines = [line for one in in_row for line in one.get_lines()]
        if figure == "gradient_norm" and any((np.asarray(line.get_ydata()) > 0).any() for line in lines):
            first.set_yscale("log")
            first.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            first.yaxis.set_major_formatter("{x:g}")
            first.minorticks_off()
