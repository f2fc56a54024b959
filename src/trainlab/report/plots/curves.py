"""Learning curves of groups of runs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from trainlab.report.curves import Curve, Values, band
from trainlab.report.formatting import capitalized, describe_selection
from trainlab.report.groups import Group
from trainlab.report.plots.canvas import (
    MAX_CURVES,
    Plot,
    canvas,
    file_name,
    label_axis,
    legend_below,
    render,
    shorten,
)
from trainlab.report.plots.colors import shares_hues, styles_of
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics

MAX_TRAINING_CURVES = 4
MAX_BANDS = 6  # groups
MAX_MARKED = 30  # epochs: up to this many, every one has a marker
WILD = 4
ROOM = 0.05  # of an axis, matplotlib's own
_SECONDS_END = (
    "Each mean ends where the first of its seeds ends (thin lines: the others), so it can end short of the values in "
    "the tables, which are of best epochs."
)


def has_curve(group: Group, metric: Metric) -> bool:
    """Whether a run of the group has values of ``metric`` by epoch."""
    return any(run.curve and run.curve.has(metric.key) for run in group.runs.values())


def plot_learning_curves(groups: Sequence[Group], key: str, against: str, baseline: str = "") -> Plot:
    """The metric ``key`` by epoch or second, one line per group with a band over its seeds.

    The line of the first group is wide; that of the group labelled ``baseline`` is black.
    Mean and band run as far as all seeds do; beyond, each seed that runs on is a thin line. ``curves_note`` says how to
    read it. What is beyond the end of the vertical axis is named.
    """
    metrics = TaskMetrics.merged([group.metrics for group in groups])
    metric, training_key = metrics[key], f"train_{key.removeprefix('val_')}"
    drawn = [group for group in groups if has_curve(group, metric)]
    shown = drawn[:MAX_CURVES]
    with_training = shows_training(shown, training_key)
    with canvas(4.8, 3.2) as (figure, (axes,)):
        means, styles = [], styles_of(groups, shown, baseline)
        for group in shown:
            curves = [run.curve for run in group.runs.values() if run.curve]
            is_alone = len(shown) == 1
            name = "validation" if is_alone else shorten(group.label)
            is_first = group is shown[0]
            means.append(
                _draw(axes, curves, key, against, styles[group.label], name, len(shown) <= MAX_BANDS, is_first)
            )
            if with_training:
                training = band(curves, training_key, against == "seconds")
                style: dict[str, Any] = {"color": styles[group.label][0], "linewidth": 1.1, "linestyle": ":"}
                style |= {"label": "training"} if is_alone else {}
                axes.plot(training.x[: training.whole], training.mean[: training.whole], **style)
        label_axis(axes, metric)
        ranks = [metric.rank(mean) for mean in means]
        # A metric that is better high, such as R2, has no start to go by: far below zero is wild.
        wild = metric.mode == "max" and any((rank > WILD).any() for rank in ranks)
        worst = highest_shown(ranks, usual_at_least=float(wild))
        cut_off(axes, metric.rank(worst), at=metric.by_mode("top", "bottom"))
        over = [group.label for group, rank in zip(shown, ranks, strict=True) if len(rank) and rank.max() > worst]
        if against == "epochs":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("epoch")
        else:
            axes.set_xlim(left=0)
            axes.set_xlabel("seconds of training and validation")
        (only,) = [*shown[0].runs.values()] if len(shown) == len(shown[0].runs) == 1 else [None]
        if only and against == "epochs" and "best_epoch" in only.result.metrics:
            chosen: Any = {"color": "#555555", "linewidth": 1, "linestyle": "--", "label": "chosen epoch"}
            axes.axvline(only.result.metrics["best_epoch"] + 1, **chosen)
        legend_below(figure, axes)
        kept = describe_selection(len(shown), len(drawn), metrics.compared_by, bool(baseline))
        cut = f"Cut off at the {metric.by_mode('top', 'bottom')}: {', '.join(map(shorten, over))}. " if over else ""
        ends = _SECONDS_END if against == "seconds" and any(len(group.runs) > 1 for group in shown) else ""
        name = f"{file_name(metric)}_by_{against.rstrip('s')}"
        what = f"{metric.name}, validation and training," if with_training else metric.label
        return Plot(name, f"{capitalized(what)} against {against}", f"{kept}{cut}{ends}".strip(), *render(figure))


def _draw(
    axes: Axes,
    curves: Sequence[Curve],
    key: str,
    against: str,
    look: tuple[str, str],
    label: str,
    has_band: bool,
    is_first: bool,
) -> Values:
    """Draw the curves of a group in a colour and with a marker. Returns the mean as far as it is drawn.

    That of the first is wider, and above the others.
    """
    color, marker = look
    in_seconds = against == "seconds"
    lines = band(curves, key, in_seconds)
    x, mean = lines.x[: lines.whole], lines.mean[: lines.whole]
    style: dict[str, Any] = {"color": color}
    marks: dict[str, Any] = {"marker": marker, "markersize": 4}
    every = 1 if len(x) <= MAX_MARKED else len(x) // 8
    is_measured = not in_seconds or len(curves) == 1  # a mean at the same second is between the epochs of each seed
    width, above = (2.4, 3) if is_first else (1.4, 2)
    marks |= {"markevery": every if is_measured else [], "zorder": above}
    axes.plot(x, mean, label=label, linewidth=width, **style, **marks)
    if has_band:
        axes.fill_between(x, lines.low[: lines.whole], lines.high[: lines.whole], alpha=0.15, linewidth=0, **style)
    for curve in curves if len(curves) > 1 else ():
        places, values = curve.seconds if in_seconds else curve.epochs, curve.of(key)
        finite = np.isfinite(values) & np.isfinite(places)
        places, values = places[finite], values[finite]
        if len(x) and len(places) and places[-1] > x[-1]:
            beyond = places > x[-1]
            at_end = np.interp(x[-1], places, values)
            rest = np.insert(places[beyond], 0, x[-1]), np.insert(values[beyond], 0, at_end)
            axes.plot(*rest, linewidth=0.7, alpha=0.7, **style)
        if in_seconds and len(places) <= MAX_MARKED:
            axes.plot(places, values, linestyle="", marker=marker, markersize=2.5, alpha=0.5, **style)
    return mean


def shows_training(groups: Sequence[Group], training_key: str) -> bool:
    """Whether the curves of the ``groups`` shown include those of the training metric."""
    if len(groups) > MAX_TRAINING_CURVES:
        return False
    return any(run.curve and run.curve.has(training_key) for group in groups for run in group.runs.values())


def curves_note(groups: Sequence[Group], baseline: str = "") -> str:
    """How to read the learning curves of ``groups``, one of them labelled ``baseline``: once for all of them."""
    several = any(len(group.runs) > 1 for group in groups)
    parts = []
    if baseline:
        parts.append(f"Wide black line: the baseline, {baseline}.")
    if several:
        of_band = " band: from the lowest to the highest seed;" if len(groups) <= MAX_BANDS else ""
        parts.append(f"Line: mean over the seeds, as far as all of them run;{of_band} thin lines: seeds that run on.")
    if shares_hues(groups):
        parts.append("Shades of a colour differ in the learning rate alone; the strongest is the best of them.")
    if shows_training(groups[:MAX_CURVES], "train_loss"):
        parts.append(
            f"Dotted: training, {_describe_training_metrics(groups)}. Where it keeps improving and the line does not, "
            "the model overfits."
        )
    return " ".join(parts)


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
    """End the vertical axis at ``end`` if it goes beyond, with the usual room at the other side of what is shown.

    The plot names the end if it hides something.
    """
    bottom, top = axes.get_ylim()
    lowest, highest = axes.dataLim.y0, axes.dataLim.y1
    if at == "top" and end < top:
        axes.set_ylim(lowest - ROOM * (end - lowest), end)
    if at == "bottom" and end > bottom:
        axes.set_ylim(end, highest + ROOM * (highest - end))
    if (at == "top" and end < highest) or (at == "bottom" and end > lowest):
        at_end: Any = {"x": 0.99, "y": 0.985 if at == "top" else 0.015, "ha": "right", "va": at}
        axes.text(**at_end, s=f"axis cut at {end:.3g}", transform=axes.transAxes, size=8.5, color="#555555")


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
