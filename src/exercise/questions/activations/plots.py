"""The figures of question 4: learning curves, accuracy and cost, and the probabilities of both kinds of outputs."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from exercise.plots import error_bar
from trainlab.report import COLORS, Group, Plot, band, canvas, legend_below, render
from trainlab.statistics import Ratio

_FAINT = "#BBBBBB"
_COLUMNS = 4


def plot_curves(groups: Mapping[str, Group]) -> Plot:
    """Validation accuracy by epoch, an axes a group with all others in grey."""
    bands = {
        key: band([run.curve for run in group.runs.values() if run.curve], "val/acc") for key, group in groups.items()
    }
    drawn = {key: lines for key, lines in bands.items() if len(lines.x)}
    columns = min(_COLUMNS, max(1, len(drawn)))
    rows = max(1, math.ceil(len(drawn) / columns))
    with canvas(2.1 * columns, 1.75 * rows + 0.3, columns, rows) as (figure, axes):
        for one in axes[len(drawn) :]:
            one.set_visible(False)
        for place, (one, (key, lines)) in enumerate(zip(axes, drawn.items(), strict=False)):
            for other in drawn.values():
                one.plot(other.x, other.mean, color=_FAINT, linewidth=0.7)
            one.fill_between(lines.x, lines.low, lines.high, color=COLORS[0], alpha=0.25, linewidth=0)
            one.plot(lines.x, lines.mean, color=COLORS[0], linewidth=2)
            one.set_title(groups[key].label, fontsize=10)
            one.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            one.set_ylim(0, 1.08 * max(float(lines.high.max()) for lines in drawn.values()))
            one.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            one.tick_params(labelsize=8, labelleft=place % columns == 0, labelbottom=place + columns >= len(drawn))
        figure.supxlabel("epochs", fontsize=10)
        figure.supylabel("validation accuracy", fontsize=10)
        return Plot(
            "4_curves",
            "How each activation learns",
            "Blue: mean over the seeds, with a band from the lowest to the highest one; grey: the other activations, "
            "on the same axes. See which rise at once, which late, and whether some do not at all.",
            *render(figure),
        )


def plot_cost(groups: Mapping[str, Group], costs: Mapping[str, Ratio]) -> Plot:
    """Accuracy and the time of a step side by side, one row per group, the most accurate on top."""
    shown = [(key, group) for key, group in groups.items() if group.runs]
    shown.sort(key=lambda item: -item[1].summary("metrics", "val_acc").mean)
    with canvas(8.6, 1.0 + 0.3 * len(shown), 2) as (figure, (left, right)):
        for row, (key, group) in enumerate(shown):
            found = group.summary("metrics", "val_acc")
            left.errorbar(found.mean, row, xerr=error_bar(found), fmt="o", color=COLORS[0], capsize=4, markersize=6)
            seeds = [*group.of("metrics", "val_acc").values()]
            left.plot(seeds, [row + 0.25] * len(seeds), "|", color=COLORS[1], markersize=7, markeredgewidth=1.5)
            if cost := costs.get(key):
                style: dict[str, Any] = {"fmt": "s", "color": COLORS[2], "capsize": 4, "markersize": 6}
                right.errorbar(cost.value, row, xerr=error_bar(cost), **style)
        right.axvline(1, color="#7F7F7F", linewidth=1, linestyle="--")
        left.set_yticks(range(len(shown)), [group.label for _, group in shown])
        left.invert_yaxis()
        right.sharey(left)
        right.tick_params(labelleft=False)
        left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        left.locator_params(axis="x", nbins=6)
        left.set_xlabel("validation accuracy")
        right.set_xlabel("time of a training step, ReLU = 1")
        for one in (left, right):
            one.grid(axis="y", visible=False)
        return Plot(
            "4_price",
            "What an activation gives, and what it costs",
            "Left: mean over the seeds with its 95 % interval, orange ticks the seeds. Right: the processor time of a "
            "step over that with ReLU (dashed), its interval over rounds in which all activations made steps "
            "alternately. See whether those on top are also those that cost more.",
            *render(figure),
        )


_COLOUR = {"softmax": COLORS[1], "logistic": COLORS[0]}


def plot_outputs(one: dict[str, Any], two: dict[str, Any], highest_sum: float) -> Plot:
    """What the probabilities of an image add up to, and how probable the less probable of two right classes is."""
    sums, lesser = "sum of the probabilities", "its probability"
    panels = (
        (one["histograms"]["sum"], highest_sum, 1, "one class: sum of all", sums),
        (two["histograms"]["sum"], highest_sum, 2, "two classes: sum of all", sums),
        (two["histograms"]["lesser"], 1.0, 0.5, "two classes: the lesser one", lesser),
    )
    with canvas(8.6, 3.2, 3) as (figure, axes):
        for axis, (counts, highest, mark, title, label) in zip(axes, panels, strict=True):
            _plot_histogram(axis, counts, highest)
            axis.set_title(title, fontsize=10)
            axis.set_xlabel(label)
            axis.axvline(mark, color="#7F7F7F", linewidth=1, linestyle="--")
        axes[0].set_ylabel("share of images")
        legend_below(figure, axes[0])
        return Plot(
            "4_outputs",
            "What the outputs say",
            "Left and middle: a softmax adds up to one by definition, also where two classes are there; see whether "
            "logistic outputs add up to as many as there are (dashed). Right: the less probable one of the two right "
            "classes, which a softmax cannot put above one half; see how often logistic outputs do.",
            *render(figure),
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
