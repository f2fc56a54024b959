"""Plots of groups of runs: learning curves, metrics, learning rates, settings as parallel coordinates."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import PercentFormatter

from trainlab.report.comparisons import by_metric
from trainlab.report.curves import Values, band
from trainlab.report.formatting import capitalized, describe_selection, format_value
from trainlab.report.groups import Group
from trainlab.report.plots.canvas import COLORS, MARKERS, MAX_CURVES, Plot, canvas, legend_below, render, shorten
from trainlab.report.plots.layers import plot_layers
from trainlab.report.plots.lr_search import label_without_lr, plot_lr_searches
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics

MAX_TRAINING_CURVES = 4
MAX_LR_TICKS = 7
MAX_LINES, MAX_AXES, MAX_TICKS = 300, 8, 8  # of parallel coordinates
WILD = 4
ROOM = 0.05  # of an axis, matplotlib's own


def plot_groups(groups: Sequence[Group]) -> list[Plot]:
    """Every plot that the groups with a completed run have data for."""
    plots = []
    for number, alike in enumerate(by_metric(groups), 1):
        of = _plot_alike(alike)
        plots += of if number == 1 else [replace(plot, name=f"{plot.name}_{number}") for plot in of]
    return plots


def _plot_alike(groups: Sequence[Group]) -> list[Plot]:
    """Every plot of groups that are compared by the same metric."""
    metrics = TaskMetrics.merged([group.metrics for group in groups])
    chosen = metrics.every[: 1 + (metrics.primary != metrics.compared_by)]
    plots = [
        plot_learning_curves(groups, metric.key, against)
        for metric in metrics.every
        for against in ("epochs", "seconds")
        if any(_has_curve(group, metric) for group in groups) and (against == "epochs" or metric in chosen)
    ]
    plots.append(plot_bars(groups))
    if len({group.settings.get("optim.lr") for group in groups}) > 1:
        plots += [plot_against_lr(groups, metric.key) for metric in chosen]
    plots += plot_lr_searches(groups)
    keys = list(dict.fromkeys(key for group in groups for key in group.values))
    varying = [key for key in keys if len({json.dumps(g.values.get(key), default=str) for g in groups}) > 1]
    if len(varying) >= 3:
        plots.append(plot_parallel_coordinates(groups, varying))
    if any(run.layers for group in groups for run in group.runs.values()):
        plots.append(plot_layers(groups))
    return plots


def _has_curve(group: Group, metric: Metric) -> bool:
    return any(run.curve and run.curve.has(metric.key) for run in group.runs.values())


def plot_learning_curves(groups: Sequence[Group], key: str, against: str) -> Plot:
    """The metric ``key`` by epoch or second, one line per group with a band over its seeds."""
    metrics = TaskMetrics.merged([group.metrics for group in groups])
    metric, training_key = metrics[key], f"train_{key.removeprefix('val_')}"
    drawn = [group for group in groups if _has_curve(group, metric)]
    shown = drawn[:MAX_CURVES]
    few = len(shown) <= MAX_TRAINING_CURVES
    with_training = few and any(run.curve and run.curve.has(training_key) for g in shown for run in g.runs.values())
    with canvas(6.4, 3.7) as (figure, (axes,)):
        means = []
        for i, group in enumerate(shown):
            curves = [run.curve for run in group.runs.values() if run.curve]
            lines = band(curves, key, against == "seconds")
            style: dict[str, Any] = {"color": COLORS[i], "linewidth": 1.6}
            marks: dict[str, Any] = {"marker": MARKERS[i], "markersize": 4.5, "markevery": max(1, len(lines.x) // 8)}
            axes.plot(lines.x[: lines.whole], lines.mean[: lines.whole], label=shorten(group.label), **style, **marks)
            rest = slice(max(0, lines.whole - 1), None)
            axes.plot(lines.x[rest], lines.mean[rest], **style, linestyle=(0, (2, 1.5)))
            axes.fill_between(lines.x, lines.low, lines.high, color=COLORS[i], alpha=0.15, linewidth=0)
            if with_training:
                training = band(curves, training_key, against == "seconds")
                axes.plot(training.x, training.mean, color=COLORS[i], linewidth=0.9, linestyle=":")
            means.append(lines.mean)
        _label_axis(axes, metric)
        ranks = [metric.rank(mean) for mean in means]
        # A metric that is better high, such as R2, has no start to go by: far below zero is wild.
        wild = metric.mode == "max" and any((rank > WILD).any() for rank in ranks)
        worst = highest_shown(ranks, usual_at_least=float(wild))
        cut_off(axes, metric.rank(worst), at=metric.by_mode("top", "bottom"))
        over = [group.label for group, rank in zip(shown, ranks, strict=True) if len(rank) and rank.max() > worst]
        axes.set_xlabel(against if against == "epochs" else "seconds of training and validation")
        axes.set_xlim(left=0)
        legend_below(figure, axes)
        dotted = (
            f" Dotted: training, {_describe_training_metrics(shown)}. Where it keeps improving and the line does not, "
            "the model overfits."
            if with_training
            else f" Training is left out where there are more than {MAX_TRAINING_CURVES} groups."
            if not few
            else ""
        )
        better = (
            f"The {metric.by_mode('further down', 'higher')} a line comes, the better is the model; the sooner, the "
            "faster it converges. "
        )
        kept = describe_selection(len(shown), len(drawn), metrics.primary)
        cut = f" Cut off at the {metric.by_mode('top', 'bottom')}: {', '.join(map(shorten, over))}." if over else ""
        caption = (
            f"{better if metric.mode else ''}{kept}Line: mean over the seeds; band: from the lowest to the highest "
            f"seed; dashed where some of the seeds have stopped.{dotted}{cut}"
        )
        name, title = f"{_file_name(metric)}_by_{against.rstrip('s')}", f"{capitalized(metric.label)} against {against}"
        return Plot(name, title, caption, *render(figure))


def _describe_training_metrics(groups: Sequence[Group]) -> str:
    """How training metrics are measured differently from those of validation."""
    keys = {
        "with dropout where there is any": ["model.dropout"],
        "of augmented images": ["data.flip", "data.crop_padding", "data.cutout", "data.transforms"],
        "with smoothed labels": ["label_smoothing", "task.label_smoothing"],
    }
    others = [w for w in keys if any(np.any(group.settings.get(key, 0)) for group in groups for key in keys[w])]
    return ", ".join(["averaged over each epoch while the weights change", *others])


def cut_off(axes: Axes, end: float, at: str = "top") -> None:
    """End the vertical axis at ``end`` if it goes beyond, with the usual room at the other side of what is shown."""
    bottom, top = axes.get_ylim()
    if at == "top" and end < top:
        lowest = axes.dataLim.y0
        axes.set_ylim(lowest - ROOM * (end - lowest), end)
    if at == "bottom" and end > bottom:
        highest = axes.dataLim.y1
        axes.set_ylim(end, highest + ROOM * (highest - end))


def highest_shown(means: Sequence[Values], usual_at_least: float = 0.0) -> float:
    """Upper limit of an axis of losses, or of other ranks: what diverged must not hide the others.

    Just above the highest mean that is no more than ``WILD`` times a usual start: that of the middle group, and of a
    group the middle one of its first three epochs, or ``usual_at_least``; infinite if that is 0 or lower.
    """
    starts = sorted(float(np.median(mean[:3])) for mean in means if len(mean))
    usual = max(starts[(len(starts) - 1) // 2], usual_at_least) if starts else 0.0
    if usual <= 0:
        return math.inf
    limit = max(float(value) for mean in means for value in mean if value <= WILD * usual)
    return (1.15 if limit > 0 else 0.85) * limit


def plot_bars(groups: Sequence[Group]) -> Plot:
    """The metric that the groups are compared by, with intervals: from zero, and closer by."""
    shown, metrics = groups[: 2 * MAX_CURVES], groups[0].metrics
    metric = metrics.compared_by
    with canvas(8.6, 1.1 + 0.32 * len(shown), 2) as (figure, (whole, closer)):
        for i, group in enumerate(shown):
            found, seeds = group.comparison, [*group.compared.values()]
            error = None if math.isnan(found.half_width) else found.half_width
            whole.barh(i, found.mean, color="#56B4E9", xerr=error, error_kw={"capsize": 3, "elinewidth": 1.2})
            closer.errorbar(found.mean, i, xerr=error, fmt="o", color="#0072B2", capsize=4, markersize=6)
            closer.plot(seeds, [i + 0.22] * len(seeds), "|", color="#D55E00", markersize=8, markeredgewidth=1.5)
        whole.set_yticks(range(len(shown)), [shorten(group.label, 40) for group in shown])
        whole.invert_yaxis()
        closer.sharey(whole)
        closer.tick_params(labelleft=False)
        for axes, title in ((whole, "from zero"), (closer, "closer by")):
            axes.set_title(title)
            axes.grid(axis="y", visible=False)
            if metric.is_percentage:
                axes.xaxis.set_major_formatter(PercentFormatter(1.0))
            axes.locator_params(axis="x", nbins=5)
            axes.set_xlabel(metric.label)
        kept = describe_selection(len(shown), len(groups), metrics.primary)
        caption = (
            "Left: how much the groups differ compared with what they have in common. Right: whether they differ by "
            f"more than their seeds do. {kept}Mean over the seeds with its 95 % interval (Student's t); none for one "
            "seed. Orange ticks: seeds."
        )
        return Plot(f"{_file_name(metric)}_bars", capitalized(metric.label), caption, *render(figure))


def plot_against_lr(groups: Sequence[Group], key: str) -> Plot:
    """The metric ``key`` against the learning rate, one line for each combination of the other settings."""
    metric = TaskMetrics.merged([group.metrics for group in groups])[key]
    lines: dict[str, list[Group]] = {}
    for group in groups:
        if isinstance(group.settings.get("optim.lr"), int | float):
            rest = {key: value for key, value in group.settings.items() if key != "optim.lr"}
            lines.setdefault(json.dumps(rest, sort_keys=True, default=str), []).append(group)
    shown = list(lines.values())[:MAX_CURVES]
    with canvas(6.4, 3.5) as (figure, (axes,)):
        lrs = sorted({group.settings["optim.lr"] for line in shown for group in line})
        apart = 10 ** (0.012 * max(0.3, math.log10(lrs[-1] / lrs[0])))  # so that intervals do not overlap
        for i, line in enumerate(shown):
            aside = apart ** (i - (len(shown) - 1) / 2)
            line = sorted(line, key=lambda group: group.settings["optim.lr"])
            figures = [group.summary("metrics", key) for group in line]
            spread = [0 if math.isnan(f.half_width) else f.half_width for f in figures]
            axes.errorbar(
                [aside * group.settings["optim.lr"] for group in line],
                [f.mean for f in figures],
                yerr=spread if any(spread) else None,
                color=COLORS[i],
                marker=MARKERS[i],
                markersize=5.5,
                capsize=3,
                linewidth=1.6,
                label=shorten(label_without_lr(line[0].label)),
            )
        axes.set_xscale("log")
        if len(lrs) <= MAX_LR_TICKS:
            axes.set_xticks(lrs, [format_value(lr) for lr in lrs])
            axes.set_xticks([], minor=True)
        axes.set_xlabel("learning rate (optim.lr)")
        _label_axis(axes, metric)
        legend_below(figure, axes)
        kept = f"The {len(shown)} best of {len(lines)} variants. " if len(shown) < len(lines) else ""
        caption = (
            f"{kept}Mean over the seeds with its 95 % interval where there are several. Lines are drawn a little aside "
            "of each other."
        )
        title = f"{capitalized(metric.label)} against learning rate"
        return Plot(f"{_file_name(metric)}_by_lr", title, caption, *render(figure))


def _label_axis(axes: Axes, metric: Metric) -> None:
    axes.set_ylabel(metric.name)
    if metric.is_percentage:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _file_name(metric: Metric) -> str:
    return re.sub(r"\W+", "_", metric.name.lower())


def plot_parallel_coordinates(groups: Sequence[Group], keys: Sequence[str]) -> Plot:
    """One line per group over one axis per key; the last axis is the mean of the metric that they are compared by."""
    metrics = groups[0].metrics
    metric = metrics.compared_by
    lines, keys = groups[:MAX_LINES], keys[:MAX_AXES]
    columns = [axis_positions([group.values.get(key) for group in lines]) for key in keys]
    reached = [group.comparison.mean for group in lines]
    heights, ticks = zip(*columns, axis_positions(reached), strict=True)
    scale = Normalize(min(reached), max(reached))
    with canvas(8.6, 4.4) as (figure, (axes,)):
        for i in sorted(range(len(lines)), key=lambda i: -metric.rank(reached[i])):  # the best on top
            place = scale(reached[i])
            colour = colormaps["viridis"](0.92 * metric.by_mode(place, 1 - place))
            line = [column[i] for column in heights]
            axes.plot(range(len(line)), line, color=colour, linewidth=1.8 if len(lines) <= 40 else 0.8, alpha=0.85)
        for x, of_axis in enumerate(ticks):
            axes.axvline(x, color="#444444", linewidth=0.8)
            for height, text in of_axis:
                if x == len(keys) and metric.is_percentage:
                    text = f"{float(text):.1%}"
                box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
                axes.text(x + 0.02, height, shorten(text, 22), fontsize=8.5, va="center", bbox=box)
        axes.set_xticks(range(len(ticks)), [*(shorten(key, 22) for key in keys), metric.label])
        axes.set_xlim(-0.08, len(ticks) - 0.7)
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(axis="x", length=0)
        cut = describe_selection(len(lines), len(groups), metrics.primary)
        caption = f"{cut}One line per group, coloured by {metric.name}. Axes of widely spread numbers are logarithmic."
        return Plot("parallel_coordinates", "Settings and results", caption, *render(figure))


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
