"""What the figures of several questions share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from trainlab.report import (
    COLORS,
    MARKERS,
    Group,
    Plot,
    Values,
    plot_learning_curves,
)
from trainlab.statistics import Interval, Ratio

REFERENCE: Mapping[str, Any] = {"color": "#888888", "linewidth": 1, "linestyle": (0, (4, 2))}  # a line to compare with


def plot_curves(groups: Sequence[Group], metric: str, prefix: str, see: str = "") -> Plot:
    """Learning curves by epoch, named ``prefix`` and their own name; ``see`` is added to the caption."""
    plot = plot_learning_curves(groups, f"val_{metric}", "epochs")
    return replace(plot, name=f"{prefix}_{plot.name}", caption=" ".join(filter(None, (plot.caption, see))))


def draw_by_layer(axes: Axes, values: Sequence[float] | Values, **style: Any) -> None:
    """A line over the hidden layers, from the input on."""
    axes.plot(np.arange(1, len(values) + 1), values, **style)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("hidden layer")


def marked(i: int, markersize: float = 4.5) -> dict[str, Any]:
    """Color and marker of the ``i``-th of the things compared."""
    return {"color": COLORS[i], "marker": MARKERS[i], "markersize": markersize}


def error_bar(of: Interval | Ratio) -> Any:
    """The interval as matplotlib's error bars take it; None where there is none."""
    if isinstance(of, Interval):
        return None if isnan(of.half_width) else of.half_width
    return None if isnan(of.low) else [[of.value - of.low], [of.high - of.value]]
