"""The figures of momentum: the bowl, the distance to its bottom, and the deep network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from exercise.questions.momentum.network import ENOUGH, ByMomentum, format_percent, share_of_distance, steps_of
from exercise.questions.momentum.quadratic import CURVATURES, DRAWN_STEPS, LR, NEAR, START
from trainlab.report import COLORS, MARKERS, Plot, band, canvas, legend_below, render

_WIDE, _HIGH = 1.15 * START[0], 1.5 * START[1]


def plot_paths(found: dict[str, Any]) -> Plot:
    """The first steps of each momentum over the contours of the bowl."""
    with canvas(8.6, 4.2, 3, 2) as (figure, axes):
        x, y = np.meshgrid(np.linspace(-_WIDE, _WIDE, 80), np.linspace(-_HIGH, _HIGH, 60))
        heights = 0.5 * (CURVATURES[0] * x * x + CURVATURES[1] * y * y)
        for i, (one, (momentum, of)) in enumerate(zip(axes, found.items(), strict=False)):
            one.contour(x, y, heights, levels=8, colors="#C8C8C8", linewidths=0.7)
            path = np.array(of["path"])
            one.plot(path[:, 0], path[:, 1], color=COLORS[i], linewidth=0.9, alpha=0.8)
            one.plot(path[:, 0], path[:, 1], ".", color=COLORS[i], markersize=3)
            one.plot(*START, "o", color="#000000", markersize=5, markerfacecolor="none")
            one.plot(0, 0, "x", color="#000000", markersize=7, markeredgewidth=2)
            one.set_title(f"momentum {momentum}", fontsize=10)
            one.set_xlim(-_WIDE, _WIDE)
            one.set_ylim(-_HIGH, _HIGH)
            one.tick_params(labelsize=8)
            one.grid(visible=False)
        png, svg = render(figure)
    return Plot(
        "5_bowls",
        f"{DRAWN_STEPS} steps in a bowl",
        f"From the circle to the minimum (cross), all at a learning rate of {LR:g}; each dot is a step, the grey "
        "lines are of equal height. See which creeps along the bottom, which swings a little and is there, and how far "
        "up the other side each runs.",
        png,
        svg,
    )


def plot_distances(found: dict[str, Any]) -> Plot:
    """How far from the minimum a path still comes, by step."""
    with canvas(6.4, 3.5) as (figure, (axes,)):
        for i, (momentum, of) in enumerate(found.items()):
            style: dict[str, Any] = {"color": COLORS[i], "marker": MARKERS[i], "markersize": 4.5, "markevery": 12}
            steps = [step + 1 for step in of["steps"]]
            axes.plot(steps, np.maximum(of["farthest"], 1e-4), linewidth=1.6, label=f"momentum {momentum}", **style)
        axes.axhline(NEAR, color="#7F7F7F", linewidth=1, linestyle="--")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("steps, from 1")
        axes.set_ylabel("farthest it still comes")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        legend_below(figure, axes)
        png, svg = render(figure)
    return Plot(
        "5_distances",
        "How far from the minimum it still comes",
        "In % of the start's distance, at this step or any later one, so that a swing through the minimum does not "
        "count as having arrived. Dashed: 1 %. See which momentum gets below it first, and whether some never do.",
        png,
        svg,
    )


def plot_curves(rate: ByMomentum, pace: ByMomentum) -> Plot:
    """Validation accuracy of the deep network by epoch, at one rate and at one final speed."""
    with canvas(8.6, 3.6, 2, scale_a_row=True) as (figure, axes):
        for one, groups, title in zip(axes, (rate, pace), ("one learning rate", "one final speed"), strict=True):
            _draw(one, groups)
            one.set_title(title)
            one.set_xlabel("epochs")
        axes[0].set_ylabel("validation accuracy")
        axes[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        legend_below(figure, axes[0] if len(rate) >= len(pace) else axes[1])
        png, svg = render(figure)
    lost = [
        f"at {title} with {m:g}"
        for title, of in (("one rate", rate), ("one final speed", pace))
        for m in of
        if of[m].others
    ]
    ended = f" Not all of their runs came to the end: {'; '.join(lost)}." if lost else ""
    return Plot(
        "5_curves",
        "The deep network",
        "Left: one learning rate for all, so that a higher momentum is also a higher speed. Right: the rate lowered so "
        f"that equal gradients lead to the same final speed.{_describe_slow(pace)} Line: mean over the seeds; band: "
        f"from the lowest to the highest. Epochs are short, of a few hundred steps.{ended} See left which momentum "
        "learns "
        "fastest and which fall back or stay at guessing, and right which have hardly begun.",
        png,
        svg,
    )


def _describe_slow(pace: ByMomentum) -> str:
    """Which momenta do not come to the final speed in the steps that there are."""
    steps = steps_of(pace)
    short = [
        f"{m:g} {format_percent(share_of_distance(m, steps))}"
        for m in pace
        if steps and share_of_distance(m, steps) < ENOUGH
    ]
    if not short:
        return ""
    return (
        f" High momenta come to it late. Of the way that they would go at that speed, {steps:,} steps cover: "
        f"{', '.join(short)}."
    )


def _draw(axes: Axes, groups: ByMomentum) -> None:
    for i, (momentum, group) in enumerate(groups.items()):
        runs: Sequence[Any] = [*group.runs.values()] or group.others
        lines = band([run.curve for run in runs if run.curve], "val/acc")
        style: dict[str, Any] = {"color": COLORS[i], "marker": MARKERS[i], "markersize": 4.5}
        if not group.runs:
            style["linestyle"] = ":"
        if not len(lines.x):
            axes.plot([], [], label=f"momentum {momentum:g}", **style)
            continue
        axes.plot(lines.x, lines.mean, linewidth=1.6, label=f"momentum {momentum:g}", **style)
        low, high = lines.low, lines.high
        axes.fill_between(lines.x, low, high, color=COLORS[i], alpha=0.15, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
