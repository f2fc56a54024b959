"""Parallel coordinates: one line per group through the values of its settings to its accuracy."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from trainlab.report.formatting import describe_selection, format_value
from trainlab.report.groups import Group
from trainlab.report.plots.canvas import shorten

MAX_LINES = 300
MAX_AXES = 8
MAX_TICKS = 8
RESULT = "validation accuracy"


def parallel_coordinates(groups: Sequence[Group], keys: Sequence[str]) -> tuple[str, Callable[[Sequence[Axes]], None]]:
    """The caption, and the function that draws the figure. The last axis is the mean validation accuracy."""
    lines = groups[:MAX_LINES]
    keys = keys[:MAX_AXES]

    def draw(all_axes: Sequence[Axes]) -> None:
        (axes,) = all_axes
        columns = [axis_positions([group.values.get(key) for group in lines]) for key in keys]
        accuracies = [group.summary("metrics", "val_acc").mean for group in lines]
        columns.append(axis_positions(accuracies))
        heights = np.array([column[0] for column in columns])
        scale = Normalize(min(accuracies), max(accuracies))
        thin = 1.8 if len(lines) <= 40 else 0.8
        for i in np.argsort(accuracies):  # the best on top
            colour = colormaps["viridis"](0.92 * (1 - scale(accuracies[i])))
            axes.plot(range(len(columns)), heights[:, i], color=colour, linewidth=thin, alpha=0.85)
        for x, (_, ticks) in enumerate(columns):
            axes.axvline(x, color="#444444", linewidth=0.8)
            for height, text in ticks:
                if x == len(columns) - 1:
                    text = f"{float(text):.1%}"
                box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
                axes.text(x + 0.02, height, shorten(text, 22), fontsize=8.5, va="center", bbox=box)
        axes.set_xticks(range(len(columns)), [*(shorten(key, 22) for key in keys), RESULT])
        axes.set_xlim(-0.08, len(columns) - 0.7)
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(axis="x", length=0)

    cut = describe_selection(len(lines), len(groups))
    return f"{cut}One line per group, coloured by accuracy. Axes of widely spread numbers are logarithmic.", draw


def axis_positions(values: Sequence[Any]) -> tuple[list[float], list[tuple[float, str]]]:
    """Heights in [0, 1] of the values on an axis, and its ticks: numbers to scale, all else evenly spaced."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)
    if not numbers:
        texts = sorted({format_value(value) for value in values})
        spaced = {text: i / max(1, len(texts) - 1) for i, text in enumerate(texts)}
        every = -(-len(texts) // (4 * MAX_TICKS))
        return [spaced[format_value(value)] for value in values], [(spaced[text], text) for text in texts[::every]]
    logarithmic = min(values) > 0 and max(values) / min(values) >= 8
    scaled = np.log(values) if logarithmic else np.array(values, dtype=float)
    low, high = scaled.min(), scaled.max()
    heights = (scaled - low) / (high - low) if high > low else np.full(len(scaled), 0.5)
    ticks = sorted({(float(h), format_value(v)) for h, v in zip(heights, values, strict=True)})
    if len(ticks) > MAX_TICKS:
        at = np.linspace(low, high, 5)
        back = np.exp(at) if logarithmic else at
        ticks = [(i / 4, f"{value:.3g}") for i, value in enumerate(back)]
    return [float(height) for height in heights], ticks
