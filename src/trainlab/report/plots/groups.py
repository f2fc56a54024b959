"""Plots of groups of runs: learning curves, metrics, learning rates, settings as parallel coordinates."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from trainlab.report.answer import (
    BASELINE,
    BEST,
    BETTER,
    EQUIVALENT,
    NOT_CLAIMED,
    UNDECIDED,
    UNTESTED,
    WORSE,
    count_statuses,
)
from trainlab.report.comparisons import by_metric
from trainlab.report.formatting import capitalized, describe_selection, format_estimate, format_value, listed
from trainlab.report.groups import Group
from trainlab.report.plots.canvas import (
    BASELINE_LOOK,
    COLORS,
    MARKERS,
    MAX_CURVES,
    PercentTicks,
    Plot,
    canvas,
    file_name,
    label_axis,
    legend_below,
    render,
    shorten,
)
from trainlab.report.plots.colors import LR, rate_lines
from trainlab.report.plots.curves import has_curve, plot_learning_curves
from trainlab.report.plots.layers import plot_layers
from trainlab.report.plots.lr_search import label_without_lr, plot_lr_searches
from trainlab.tasks.reported import TaskMetrics

_NO_VERDICTS: Mapping[str, str] = {}
MAX_INTERVALS = 20
MAX_LR_TICKS = 7
MAX_LINES, MAX_AXES, MAX_TICKS = 300, 8, 8  # of parallel coordinates
_GREY, _DARK = "#8A8F94", "#4A4F54"
# Colour, marker and fill of a group by its verdict. The best alone is coloured; with a baseline those that are better.
_LOOKS = {
    BASELINE: (*BASELINE_LOOK, BASELINE_LOOK[0]),
    BEST: (COLORS[0], "o", COLORS[0]),
    BETTER: (COLORS[0], "o", COLORS[0]),
    EQUIVALENT: (COLORS[0], "o", "white"),
    UNDECIDED: (_DARK, "o", "white"),
    UNTESTED: (_DARK, "x", "white"),
    NOT_CLAIMED: (_DARK, "x", "white"),
    WORSE: (_GREY, "o", _GREY),
}
_LOOKS_WITH_BASELINE = _LOOKS | {EQUIVALENT: (*BASELINE_LOOK, "white")}
# Sections of the report.
RANKED, IN_SECONDS, SETTINGS = "ranked", "Curves against seconds of training", "Settings and results"
LR_SEARCHES, LAYERS = "Searches for the learning rate", "Inside the network"


def plot_groups(groups: Sequence[Group], verdicts: Mapping[str, str] = _NO_VERDICTS) -> list[Plot]:
    """Every plot that the groups with a completed run have data for.

    Args:
        verdicts: by label whether each is worse than the best, as `Standing.verdicts` has it, or what is decided of it
            and the baseline.
    """
    plots = []
    lost = [group for group in groups if not group.runs and group.others]
    for number, alike in enumerate(by_metric(groups), 1):
        of = _plot_alike(alike, verdicts, lost if number == 1 else [])
        plots += of if number == 1 else [replace(plot, name=f"{plot.name}_{number}") for plot in of]
    return plots


def _plot_alike(groups: Sequence[Group], verdicts: Mapping[str, str], lost: Sequence[Group]) -> list[Plot]:
    """Every plot of groups that are compared by the same metric, which comes first."""
    metrics = TaskMetrics.merged([group.metrics for group in groups])
    baseline = next((label for label, verdict in verdicts.items() if verdict == BASELINE), "")
    chosen = [*dict.fromkeys((metrics.compared_by, metrics.primary))]
    with_curves = [
        metric
        for metric in dict.fromkeys((*chosen, *metrics.every))
        if any(has_curve(group, metric) for group in groups)
    ]
    plots = [plot_intervals(groups, verdicts, lost)] if len(groups) > 1 else []
    plots += [plot_learning_curves(groups, metric.key, "epochs", baseline) for metric in with_curves]
    if any(len(line) > 1 for line in rate_lines(groups)):
        plots += [plot_against_lr(groups, metric.key, lost) for metric in chosen]
    if not any(group.shares_clock for group in groups):
        plots += [
            replace(plot_learning_curves(groups, metric.key, "seconds", baseline), section=IN_SECONDS)
            for metric in with_curves
            if metric in chosen
        ]
    plots += [replace(plot, section=LR_SEARCHES) for plot in plot_lr_searches(groups, baseline)]
    keys = list(dict.fromkeys(key for group in groups for key in group.values))
    varying = [key for key in keys if len({json.dumps(g.values.get(key), default=str) for g in groups}) > 1]
    if len(varying) >= 3:
        plots.append(plot_parallel_coordinates(groups, varying))
    if any(run.layers for group in groups for run in group.runs.values()):
        plots.append(replace(plot_layers(groups, baseline), section=LAYERS))
    return plots


def plot_intervals(
    groups: Sequence[Group],
    verdicts: Mapping[str, str] = _NO_VERDICTS,
    lost: Sequence[Group] = (),
    beyond: Sequence[Group] = (),
) -> Plot:
    """The metric that the groups are compared by, in their order: mean, 95 % interval and seeds of each.

    Args:
        verdicts: by label whether each is worse than the best, or than the baseline; filled grey is worse, hollow
            undecided, a cross not tested, hollow with the look of the best or of the baseline equivalent.
        lost: groups without a completed run, which are named below the others.
        beyond: groups so far below the others that an arrow at the left edge stands for them.
    """
    shown, metric = groups[:MAX_INTERVALS], groups[0].metrics.compared_by
    lost = lost[: MAX_INTERVALS - len(shown)]
    rows = [*shown, *lost]
    has_baseline = BASELINE in verdicts.values()
    looks = _LOOKS_WITH_BASELINE if has_baseline else _LOOKS
    with canvas(5.2, 0.75 + (0.3 if len(rows) <= 10 else 0.24) * len(rows)) as (figure, (axes,)):
        for i, group in enumerate(shown):
            found, units = group.comparison, [*group.compared.values()]
            color, marker, fill = looks[verdicts.get(group.label, BEST)]
            if group in beyond and len(beyond) < len(shown):
                axes.plot(0.01, i, "<", color=color, transform=axes.get_yaxis_transform(), markersize=6.5)
                continue
            if len(units) > 1:
                axes.plot(units, [i + 0.27] * len(units), ".", color=color, markersize=5, alpha=0.6)
            if not math.isnan(found.half_width):
                axes.errorbar(found.mean, i, xerr=found.half_width, color=color, elinewidth=1.8)
            axes.plot(found.mean, i, marker, color=color, markerfacecolor=fill, markersize=6.5, markeredgewidth=1.6)
        texts = [format_estimate(group.comparison, metric) for group in shown]
        for i, text in enumerate([*texts, *(count_statuses(group.others) for group in lost)]):
            axes.text(1.02, i, text, transform=axes.get_yaxis_transform(), va="center", size=9)
        axes.set_yticks(range(len(rows)), [shorten(group.label, 30) for group in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        if metric.is_percentage:
            axes.xaxis.set_major_formatter(PercentTicks())
            low, high = axes.get_xlim()
            axes.set_xlim(max(low, -0.02), min(high, 1.02))  # of few seeds, an interval may reach beyond
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(metric.label)
        present = {verdicts[group.label] for group in shown if group.label in verdicts}
        if present - {BEST}:
            legend_below(figure, axes, [_legend_entry(name, look) for name, look in looks.items() if name in present])
        caption = describe_selection(len(shown), len(groups), metric, has_baseline)
        if of := dict.fromkeys(group.unit for group in shown if len(group.compared) > 1):
            caption += f"Dot: mean; bar: its 95 % interval; small dots: {' or '.join(f'{unit}s' for unit in of)}."
        return Plot(
            f"{file_name(metric)}_intervals", capitalized(metric.label), caption.strip(), *render(figure), RANKED
        )


def _legend_entry(verdict: str, look: tuple[str, str, str]) -> Line2D:
    color, marker, fill = look
    return Line2D([], [], color=color, marker=marker, markerfacecolor=fill, linestyle="", label=verdict)


def plot_against_lr(groups: Sequence[Group], key: str, lost: Sequence[Group] = ()) -> Plot:
    """The metric ``key`` against the learning rate, one line for each combination of the other settings.

    Args:
        lost: groups without a completed run, which the caption names.
    """
    metric = TaskMetrics.merged([group.metrics for group in groups])[key]
    lines = rate_lines(groups)
    shown = lines[:MAX_CURVES]
    with canvas(4.8, 3.2) as (figure, (axes,)):
        lrs = sorted({group.settings[LR] for line in shown for group in line})
        for i, line in enumerate(shown):
            figures = [group.summary("metrics", key) for group in line]
            spread = [f.half_width if f.has_spread else 0 for f in figures]
            axes.errorbar(
                [group.settings[LR] for group in line],
                [f.mean for f in figures],
                yerr=spread if any(spread) else None,
                color=COLORS[i],
                marker=MARKERS[i],
                markersize=5,
                capsize=2 + min(1.5, 6 / len(shown)) * i,  # so that intervals at the same rate can be distinguished
                linewidth=1.6,
                elinewidth=1,
                label=shorten(label_without_lr(line[0].label)),
            )
        axes.set_xscale("log")
        if len(lrs) <= MAX_LR_TICKS:
            axes.set_xticks(lrs, [format_value(lr) for lr in lrs])
            axes.set_xticks([], minor=True)
        axes.set_xlabel("learning rate (optim.lr)")
        label_axis(axes, metric)
        if metric.is_percentage:
            low, high = axes.get_ylim()
            axes.set_ylim(max(low, -0.02), min(high, 1.02))
        legend_below(figure, axes)
        kept = f"The {len(shown)} best of {len(lines)} variants. " if len(shown) < len(lines) else ""
        several = any(len(group.compared) > 1 for line in shown for group in line)
        caption = f"{kept}{'Mean over the seeds with its 95 % interval. ' if several else ''}"
        caption = f"{caption}{_describe_lost_rates(lost, lrs)}".strip()
        title = f"{capitalized(metric.label)} against learning rate"
        return Plot(f"{file_name(metric)}_by_lr", title, caption, *render(figure))


def _describe_lost_rates(lost: Sequence[Group], drawn: Sequence[float]) -> str:
    """ "1e30: all diverged."; a rate at which other groups have completed runs goes by the groups that have none."""
    alike: dict[str, list[Group]] = {}
    for group in lost:
        if isinstance(lr := group.settings.get(LR), int | float):
            alike.setdefault(group.label if lr in drawn else format_value(lr), []).append(group)
    ends = {name: dict.fromkeys(run.status for group in of for run in group.others) for name, of in alike.items()}
    texts = [f"{name}: all {listed([*statuses], 'or')}" for name, statuses in ends.items()]
    return f"{'; '.join(texts[:MAX_LR_TICKS])}." if texts else ""


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
                    text = f"{100 * float(text):.1f} %"
                box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
                axes.text(x + 0.02, height, shorten(text, 22), fontsize=8.5, va="center", bbox=box)
        axes.set_xticks(range(len(ticks)), [*(shorten(key, 22) for key in keys), metric.label])
        axes.set_xlim(-0.08, len(ticks) - 0.7)
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(axis="x", length=0)
        cut = describe_selection(len(lines), len(groups), metric)
        caption = f"{cut}One line per group, coloured by {metric.name}. Axes of widely spread numbers are logarithmic."
        return Plot("parallel_coordinates", SETTINGS, caption, *render(figure), SETTINGS)


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
