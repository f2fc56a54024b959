"""The figure of what softmax and logistic outputs say of images."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from trainlab.report import COLORS, Plot, canvas, legend_below, render

_COLOUR = {"softmax": COLORS[1], "logistic": COLORS[0]}


def plot_outputs(one: dict[str, Any], two: dict[str, Any], highest_sum: float) -> Plot:
    """What the probabilities of an image add up to, and how probable the less probable of two right classes is."""
    with canvas(8.6, 3.2, 3) as (figure, axes):
        _plot_histogram(axes[0], one["histograms"]["sum"], highest_sum)
        _plot_histogram(axes[1], two["histograms"]["sum"], highest_sum)
        _plot_histogram(axes[2], two["histograms"]["lesser"], 1.0)
        for place, (classes, title) in enumerate(((1, "one class"), (2, "two classes"))):
            axes[place].set_title(f"{title}: sum of all", fontsize=10)
            axes[place].set_xlabel("sum of the probabilities")
            axes[place].axvline(classes, color="#7F7F7F", linewidth=1, linestyle="--")
        axes[2].set_title("two classes: the lesser one", fontsize=10)
        axes[2].set_xlabel("its probability")
        axes[2].axvline(0.5, color="#7F7F7F", linewidth=1, linestyle="--")
        axes[0].set_ylabel("share of images")
        legend_below(figure, axes[0])
        png, svg = render(figure)
    return Plot(
        "4_outputs",
        "What the outputs say",
        "Left and middle: a softmax adds up to one by definition, also where two classes are there; see whether "
        "logistic outputs add up to as many as there are (dashed). Right: the less probable one of the two right "
        "classes, which a softmax cannot put above one half; see how often logistic outputs do.",
        png,
        svg,
    )


def _plot_histogram(axes: Axes, counts: dict[str, list[int]], highest: float) -> None:
    for head, found in counts.items():
        shares = np.array(found) / max(1, sum(found))
        edges = np.linspace(0, highest, len(found) + 1)
        axes.stairs(shares, edges, fill=True, alpha=0.45, color=_COLOUR[head], label=f"{head} outputs")
        axes.stairs(shares, edges, color=_COLOUR[head], linewidth=1.2)
    axes.set_yscale("symlog", linthresh=0.01)
    axes.set_yticks([0, 0.01, 0.1, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(0, 1.3)
