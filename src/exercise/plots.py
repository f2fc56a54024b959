"""What the figures of several questions share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    canvas,
    legend_below,
    plot_learning_curves,
    render,
)
from trainlab.statistics import Interval, Ratio

REFERENCE: Mapping[str, Any] = {"color": "#888888", "linewidth": 1, "linestyle": (0, (4, 2))}  # a line to compare with


@dataclass(frozen=True)
class LayerLine:
    """Mean and standard deviation of the activations of one network, layer by layer.

    Attributes:
        label: of the legend.
        color: index of color and marker.
        linestyle: "-" or ":".
        statistics: means and standard deviations, (2, layers).
        half_widths: of their intervals, (2, layers); None to draw no band.
    """

    label: str
    color: int
    linestyle: str
    statistics: Values
    half_widths: Values | None = None


def plot_curves(groups: Sequence[Group], metric: str, prefix: str, see: str = "") -> Plot:
    """Learning curves by epoch, named ``prefix`` and their own name; ``see`` is added to the caption."""
    plot = plot_learning_curves(groups, f"val_{metric}", "epochs")
    return replace(plot, name=f"{prefix}_{plot.name}", caption=" ".join(filter(None, (plot.caption, see))))


def plot_mean_and_deviation(name: str, title: str, caption: str, lines: Sequence[LayerLine]) -> Plot:
    """Mean and standard deviation by hidden layer; dashed are 0 and 1, which SELU keeps of standardized inputs."""
    with canvas(8.6, 3.2, 2) as (figure, axes):
        for row, (one, heading) in enumerate(zip(axes, ("mean", "standard deviation"), strict=True)):
            one.axhline(row, **REFERENCE)
            for line in lines:
                values, style = line.statistics[row], {"linestyle": line.linestyle, "label": line.label}
                draw_by_layer(one, values, **marked(line.color, markersize=3.5), **style)
                if line.half_widths is not None:
                    half, x = line.half_widths[row], np.arange(1, len(values) + 1)
                    one.fill_between(x, values - half, values + half, color=COLORS[line.color], alpha=0.2, linewidth=0)
            one.set_title(heading)
        legend_below(figure, axes[0])
        return Plot(name, title, caption, *render(figure))


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
