"""Plots of learning-rate searches, with what they suggest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainlab.report.curves import Values
from trainlab.report.formatting import describe_selection
from trainlab.report.groups import Group
from trainlab.report.plots.canvas import COLORS, MAX_CURVES, Plot, canvas, legend_below, render, shorten
from trainlab.report.plots.colors import styles_of

Search = Mapping[str, Any]  # `lr_search` of a result
METHODS = {"range_test": "Learning-rate range test", "grid": "Search over a grid of learning rates"}
CAPTIONS = {
    "range_test": "Smoothed training loss while the rate rises step by step; thin lines: seeds. Marked on their mean: "
    "the steepest slope (triangle), two thirds along the valley (square), a tenth of the rate with the lowest loss "
    "(circle), averaged over the seeds; the star is the one that was taken.",
    "grid": "Validations in the order of training, the later the darker; after each the worst rates were "
    "dropped. The star is the rate that was taken.",
}
_MARKERS = {"steepest": "^", "valley": "s", "tenth_of_minimum": "o"}
_MARGIN = 0.05  # below the lowest loss, of the axis's length
_ROOM = 2.5  # height of the axis above the lowest loss, in heights of the median above it


def draw_lr_searches(
    searches: Mapping[str, Search], colors: Sequence[str] = COLORS
) -> tuple[Figure, bytes, bytes, str]:
    """Searches of one method, by label, as a figure, and that as PNG, SVG and values."""
    method = next(iter(searches.values()))["method"]
    draw = _draw_range_test if method == "range_test" else _draw_grid
    with canvas(6.4, 3.7) as (figure, (axes,)):
        lows, tops = [], []
        for (name, found), colour in zip(list(searches.items())[:MAX_CURVES], colors, strict=False):
            losses = draw(axes, found, colour)
            taken = _format_lr(found["lr"])
            label = f"{shorten(name)}: {taken}" if name else f"taken: {taken} ({found['rule']})"
            axes.plot([], [], color=colour, marker="*", markersize=11, label=label)
            lows.append(float(np.nanmin(losses)))
            tops.append(_highest_shown(losses))
        curve = next(iter(searches.values()))["curve"]
        if curve.get("mode") != "max":  # a loss has no upper limit
            low, top = min(lows), min(axes.get_ylim()[1], max(tops))
            axes.set_ylim(low - _MARGIN * (top - low), top)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate (optim.lr)")
        axes.set_ylabel("training loss, smoothed" if method == "range_test" else curve.get("label", "validation loss"))
        if len(searches) == 1 and method == "range_test":
            _name_suggestions(axes, next(iter(searches.values())))
        legend_below(figure, axes)
        return figure, *render(figure)


def _draw_range_test(axes: Axes, found: Search, colour: str) -> Values:
    """Returns the losses drawn."""
    rates, rows = _numbers(found["curve"]["lr"]), [_numbers(row) for row in found["curve"]["losses"]]
    shortest = min(map(len, rows))
    mean = np.mean([row[:shortest] for row in rows], axis=0)
    for row in rows:
        axes.plot(rates[: len(row)], row, color=colour, linewidth=0.7, alpha=0.4)
    axes.plot(rates[:shortest], mean, color=colour, linewidth=1.6)
    for rule, lr in found["suggestions"].items():
        height = np.interp(np.log(lr), np.log(rates[:shortest]), mean)
        taken = rule == found["rule"]
        marker, size = ("*", 16) if taken else (_MARKERS.get(rule, "D"), 7)
        axes.plot(lr, height, marker, color=colour, markersize=size, markeredgecolor="white", zorder=3)
    return mean


def _name_suggestions(axes: Axes, found: Search) -> None:
    for rule, lr in found["suggestions"].items():
        if rule != found["rule"]:
            label = f"{rule.replace('_', ' ')}: {_format_lr(lr)}"
            axes.plot([], [], color=COLORS[0], marker=_MARKERS.get(rule, "D"), linestyle="", label=label)


def _format_lr(lr: float) -> str:
    """A learning rate as "5.9e-5"."""
    return f"{lr:.1e}".replace("e-0", "e-")


def _draw_grid(axes: Axes, found: Search, colour: str) -> Values:
    """Returns the losses drawn."""
    rates, rows = _numbers(found["curve"]["lr"]), [_numbers(row) for row in found["curve"]["losses"]]
    validations = max(map(len, rows))
    for number in range(validations):
        there = [i for i, row in enumerate(rows) if len(row) > number]
        shade = min(1.0, 0.3 + 0.7 * (number + 1) / validations)
        style: dict[str, Any] = {"marker": "o", "markersize": 4, "linewidth": 1.4, "alpha": shade}
        axes.plot(rates[there], [rows[i][number] for i in there], color=colour, **style)
    best = [row for lr, row in zip(rates, rows, strict=True) if lr == found["lr"]]
    if best:
        value = best[0].max() if found["curve"].get("mode") == "max" else best[0].min()
        axes.plot(found["lr"], value, "*", color=colour, markersize=16, markeredgecolor="white", zorder=3)
    return np.concatenate(rows)


def _highest_shown(losses: Values) -> float:
    """Upper limit of the axis: losses that exploded must not hide the rest."""
    finite = losses[np.isfinite(losses)]
    low = float(finite.min())
    return low + max(_ROOM * (float(np.median(finite)) - low), 1.1 * (float(finite[0]) - low), 1e-3)


def _numbers(values: Any) -> Values:
    """As an array; None, of a loss that is not finite, as NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def plot_lr_searches(groups: Sequence[Group], baseline: str = "") -> list[Plot]:
    """The learning-rate searches of the groups, one of them labelled ``baseline``, one plot per method."""
    searched = [group for group in groups if group.search]
    styles = styles_of(groups, searched, baseline)
    short = [label_without_lr(group.label) for group in searched]
    names = short if len(set(short)) == len(short) else [group.label for group in searched]
    found = {name: group.search for name, group in zip(names, searched, strict=True) if group.search}
    colors = {name: styles[group.label][0] for name, group in zip(names, searched, strict=True)}
    plots = []
    for method, title in METHODS.items():
        of_method = {label: search for label, search in found.items() if search["method"] == method}
        if of_method:
            metric = groups[0].metrics.primary
            kept = describe_selection(MAX_CURVES, len(of_method), metric, baseline in colors)
            _, png, svg, hover = draw_lr_searches(of_method, [colors[name] for name in of_method])
            plots.append(Plot(f"lr_search_{method}", title, kept + CAPTIONS[method], png, svg, hover))
    return plots


def label_without_lr(label: str) -> str:
    """A group's label but for its learning rate."""
    return " ".join(part for part in label.split(" ") if not part.startswith(("lr=", "optim.lr="))) or "all"
