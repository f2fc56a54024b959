"""Plots of layer statistics, layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator

from trainlab.report.formatting import describe_selection
from trainlab.report.groups import Group
from trainlab.report.layers import LAYER_STATISTICS, LayerStatistics, mean_over_seeds
from trainlab.report.plots.canvas import PercentTicks, Plot, canvas, legend_below, render, shorten

TITLES = ("mean", "standard deviation", "dead units", "gradient norm")
CAPTION = (
    "See whether deviation and gradient stay level from layer to layer, or shrink and grow. The layers from the input "
    "on; the last is the output. Mean and standard deviation of the activations over units and validation images "
    "(dashed: what self-normalization keeps), share of units that give the same number for every image, and norm of "
    "the loss's gradient by the parameters of the layer on one training batch. Activations are those of a prediction: "
    "batch normalization by running averages, which start at 0 and 1."
)
MAX_GROUPS = 4
MAX_EPOCHS = 6
_KEPT = {"mean": 0.0, "std": 1.0}  # by self-normalization


def plot_layers(groups: Sequence[Group], baseline: str = "") -> Plot:
    """Layer statistics of the best groups that recorded them, and the one labelled ``baseline``: a column per group."""
    found = {group.label: [run.layers for run in group.runs.values() if run.layers] for group in groups}
    recorded = {label: runs for label, runs in found.items() if runs}
    shown = {label: mean_over_seeds(runs) for label, runs in [*recorded.items()][:MAX_GROUPS]}
    with canvas(1.2 + 2.4 * len(shown), 8.2, len(shown), len(LAYER_STATISTICS), scale_a_row=True) as (figure, axes):
        draw_layers(axes, shown)
        figure.align_ylabels(axes)
        legend_below(figure, axes[0])
        of = describe_selection(len(shown), len(recorded), groups[0].metrics.primary, baseline in shown)
        caption = of + CAPTION
        return Plot("layers", "Inside the network", caption, *render(figure))


def draw_layers(axes: Sequence[Axes], groups: Mapping[str, LayerStatistics]) -> None:
    """Draw into four rows of axes, one column per group.

    Args:
        groups: statistics of each by its label, at most ``MAX_GROUPS``.
    """
    epochs = choose_epochs(sorted({epochs for layers in groups.values() for epochs in layers.by_epochs}))
    shades = colormaps["viridis_r"](np.linspace(0.15, 1, len(epochs)))
    style: dict[str, Any] = {"linewidth": 1.5, "marker": ".", "markersize": 4}
    for column, (label, layers) in enumerate(groups.items()):
        places = np.arange(1, len(layers.names) + 1)
        in_column = axes[column :: len(groups)]
        for row, (one, figure) in enumerate(zip(in_column, LAYER_STATISTICS, strict=True)):
            if figure in _KEPT:
                one.axhline(_KEPT[figure], color="#888888", linewidth=1, linestyle=(0, (4, 2)), zorder=1)
            for shade, after in zip(shades, epochs, strict=True):
                name = "before training" if after == 0 else f"after epoch {after}"
                values = layers.by_epochs[after][row] if after in layers.by_epochs else np.full(len(places), np.nan)
                # With or without a line, all are in the legend.
                one.plot(places, values, color=shade, label=name, **style)
            one.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            one.set_xlim(0.5, len(places) + 0.5)
            one.tick_params(labelbottom=one is in_column[-1])
        in_column[0].set_title(shorten(label, 34))
        in_column[-1].set_xlabel("layer")
    _scale_rows(axes, len(groups))


def choose_epochs(epochs: Sequence[int]) -> list[int]:
    """At most ``MAX_EPOCHS``: the first two, the last, and more in even ratios between them, as most changes early."""
    if len(epochs) <= MAX_EPOCHS:
        return [*epochs]
    places = np.geomspace(1, len(epochs) - 1, MAX_EPOCHS - 1).round().astype(int)
    return [epochs[i] for i in sorted({0, *places.tolist()})]


def _scale_rows(axes: Sequence[Axes], columns: int) -> None:
    """Label the scale that each row shares, and choose its ticks."""
    for row, (figure, title) in enumerate(zip(LAYER_STATISTICS, TITLES, strict=True)):
        first, *_ = in_row = axes[row * columns : (row + 1) * columns]
        first.set_ylabel(title)
        if figure == "dead":
            first.yaxis.set_major_formatter(PercentTicks())
            first.set_ylim(0, max(0.1, 1.05 * first.get_ylim()[1]))
        lines = [line for one in in_row for line in one.get_lines()]
        if figure == "gradient_norm" and any((np.asarray(line.get_ydata()) > 0).any() for line in lines):
            first.set_yscale("log")
            first.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            first.yaxis.set_major_formatter("{x:g}")
            first.minorticks_off()
