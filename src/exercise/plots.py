"""What the figures of several questions share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from exercise.contrast import Contrast
from trainlab.report import COLORS, MARKERS, Group, Plot, Values, plot_learning_curves

REFERENCE: Mapping[str, Any] = {"color": "#888888", "linewidth": 1, "linestyle": (0, (4, 2))}  # a line to compare with


def plot_curves(groups: Sequence[Group], metric: str, prefix: str, see: str = "") -> Plot:
    """Learning curves by epoch, named ``prefix`` and their own name; ``see`` is added to the caption."""
    plot = plot_learning_curves(groups, f"val_{metric}", "epochs")
    title = f"Validation {'accuracy' if metric == 'acc' else metric} by epoch"
    return replace(plot, name=f"{prefix}_{plot.name}", title=title, caption=f"{plot.caption} {see}".strip())


def draw_by_layer(axes: Axes, values: Sequence[float] | Values, **style: Any) -> None:
    """A line over the hidden layers, from the input on."""
    axes.plot(np.arange(1, len(values) + 1), values, **style)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("hidden layer")


def draw_contrasts(axes: Axes, contrasts: Mapping[str, Contrast]) -> None:
    """Mean and 95 % interval of each by its name, from the top."""
    for i, one in enumerate(contrasts.values()):
        axes.plot(one.alone, [i, i], "|-", color=COLORS[0])  # matplotlib leaves out what is not finite
        axes.plot(one.mean, i, **marked(0))
    axes.set_yticks(range(len(contrasts)), [*contrasts])
    axes.set_ylim(len(contrasts) - 0.5, -0.5)


def marked(i: int, markersize: float = 4.5) -> dict[str, Any]:
    """Color and marker of the ``i``-th of the things compared."""
    return {"color": COLORS[i], "marker": MARKERS[i], "markersize": markersize}
