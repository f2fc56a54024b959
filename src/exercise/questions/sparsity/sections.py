"""Question 6: three ways to a sparse model, and others that only make one smaller."""

import math
from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, PercentFormatter

from exercise.claims import all_claims_hold, describe_claims
from exercise.formatting import SMALL, format_accuracy, format_difference, format_list, format_seeds, text_cells
from exercise.plots import draw_by_layer
from exercise.questions.sparsity import measuring as m
from exercise.questions.sparsity.points import (
    ALIKE,
    MOST,
    Point,
    baseline,
    by_zeros,
    change,
    claims,
    first_lost,
    format_share,
    keeps,
    largest_kept,
    of_methods,
    points_of,
    smallest_kept,
)
from exercise.section import Answer, Section
from exercise.store import Evidence
from trainlab.report import COLORS, MARKERS, Cell, Plot, Table, canvas, legend_below, render

NAMES = {
    m.PLAIN: "zeroing the smallest weights",
    m.TUNED: "zeroing with fine-tuning",
    m.L1: "L1",
    m.SCHEDULE: "pruning by Lightning's schedule",
}
HIGH, NEAR = 0.9, 0.02  # all are compared with each other at the setting that is nearest to this share, and so near
_VERDICTS = {True: "kept", False: "lost", None: "undecided"}
SPARSE = (m.PLAIN, m.TUNED, m.L1, m.SCHEDULE)  # whose weights are zero
SMALLER = (m.LOW_RANK, m.INT8, m.TUNED_INT8, m.TAUGHT, m.UNTAUGHT)
_STYLES = {method: (COLORS[i], MARKERS[i]) for i, method in enumerate((*SPARSE, *SMALLER, m.ACTIVE))}
_SHARES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)


def describe_sparsity(points: Sequence[Point], base: Point) -> str:
    """Up to which share of zeros each method keeps the accuracy, and from which on it loses it."""
    parts = [f"{name} {_describe_method(points, method, base)}" for method, name in NAMES.items()]
    dense = format_accuracy(base.summary("val_acc"))
    return f"The dense network has a validation accuracy of {dense}; {'; '.join(parts)}."


def _describe_method(points: Sequence[Point], method: str, base: Point) -> str:
    of_method = by_zeros(points, method)
    if not of_method:
        return "has no network with finite weights"
    kept, lost = largest_kept(points, method, base), first_lost(points, method, base)
    if kept is None and lost is None:
        return f"is not shown to keep it or lose it at any share tried ({_format_shares(of_method)} zeros)"
    found = []
    if kept:
        last = ", the highest share tried" if kept is of_method[-1] else ""
        found.append(f"keeps it up to {format_share(kept)} zeros{last} ({_format_change(kept, base)})")
    if lost is of_method[0]:
        only = "the lowest share tried" if len(of_method) > 1 else "the only share tried"
        found.append(f"loses it at {format_share(lost)} zeros, {only}, already ({_format_change(lost, base)})")
    elif lost:
        found.append(f"loses it from {format_share(lost)} on ({_format_change(lost, base)})")
    first = of_method.index(kept) + 1 if kept else 0
    open_ = of_method[first : of_method.index(lost) if lost else None]
    between = f"; at {_format_shares(open_)} that is undecided" if open_ else ""
    return f"{' and '.join(found)}{between}"


def describe_high_share(points: Sequence[Point], base: Point) -> str:
    """What each method changes near 90 % zeros; "" where fewer than two were tried there."""
    there = []
    for method, name in NAMES.items():
        nearest = min(by_zeros(points, method), key=_from_high, default=None)
        if nearest and _from_high(nearest) <= NEAR:
            there.append(f"{name} {format_difference(change(nearest, base))} ({format_share(nearest)})")
    if len(there) < 2:
        return ""
    return f"With about {100 * HIGH:.0f} % zeros the change in points is: {'; '.join(there)}."


def _from_high(point: Point) -> float:
    return abs(point.summary("zeros").mean - HIGH)


def describe_smallest(points: Sequence[Point], base: Point) -> str:
    """The smallest file that keeps the accuracy; it was chosen by validation images, so the test images say more."""
    others = [point for point in points if point.method != m.DENSE]
    best, dense = smallest_kept(others, base), base.summary("bytes").mean
    if best is None:
        return f"No file smaller than the {_format_kilobytes(base)} of the dense network is shown to keep the accuracy."
    times = dense / best.summary("bytes").mean
    return (
        f"The smallest file that keeps it is that of {best.method} at {best.setting}: {_format_kilobytes(best)} "
        f"compared with {_format_kilobytes(base)} of the dense network, {times:.1f} times smaller, with "
        f"{format_difference(change(best, base, 'test_acc'))} points of test accuracy † "
        f"({format_seeds(len(best.seeds))})."
    )


def describe_not_sparse(points: Sequence[Point], base: Point) -> str:
    """What shrinks a network without making it sparse, and what is sparse about activations."""
    parts = []
    if small := of_methods(points, m.LOW_RANK, m.INT8, m.TAUGHT, m.UNTAUGHT):
        most = max(small, key=lambda point: point.summary("zeros").mean)
        parts.append(
            f"Low-rank factors, int8 and narrower students are smaller, not sparse: at most {format_share(most)} of "
            f"their weights are zero ({most.method}, {most.setting})."
        )
    if active := of_methods(points, m.ACTIVE):
        parts.append(_describe_activity(active, base))
    return " ".join(parts)


def _describe_activity(active: Sequence[Point], base: Point) -> str:
    """How many outputs are zero, and what of it ReLU does without any penalty."""
    most = max(active, key=lambda point: point.summary("idle").mean)
    unpenalized = next((point for point in active if point.setting == m.NO_PENALTY), None)
    text = (
        f"Sparse activations leave all weights in the file ({_format_kilobytes(most)}). Up to {_format_idle(most)} of "
        f"the hidden units' outputs are zero ({most.setting}, {_format_change(most, base)})"
    )
    if unpenalized is None:
        return f"{text}."
    if unpenalized is most:
        return f"{text}; that is the effect of ReLU in place of ELU alone."
    by_relu = f"{_format_idle(unpenalized)} ({_format_change(unpenalized, base)})"
    return f"{text}; ReLU in the place of ELU alone, without a penalty, makes it {by_relu}."


def _format_shares(points: Sequence[Point]) -> str:
    return format_list([format_share(point) for point in points])


def _format_idle(point: Point) -> str:
    return f"{100 * point.summary('idle').mean:.0f} %"


def _format_kilobytes(point: Point) -> str:
    return f"{point.summary('bytes').mean / 1000:,.0f} kB"


def _format_change(point: Point, base: Point) -> str:
    return f"{format_difference(change(point, base))} points"


def answer(evidence: Evidence) -> Answer:
    """How sparse and how small the network gets for nothing, and by which method."""
    points = points_of(evidence)
    base = baseline(points)
    if base is None:
        return Answer(["No run was completed, so there is no trained network to make sparse."])
    found = claims(points)
    l1 = ""
    if strengths := len(by_zeros(points, m.L1)):
        l1 = (
            f"L1 is put on the trained network here, which is trained on with it, at {strengths} "
            f"strength{'' if strengths == 1 else 's'}; training with L1 from the start was not tried."
        )
    figures = [plot_trade_off(points, base), plot_zeros_by_layer(points)]
    return Answer(
        [describe_sparsity(points, base), describe_claims(found), describe_smallest(points, base)],
        all_claims_hold(found),
        [figure for figure in figures if figure],
        [("All methods", table(points, base))],
        [describe_high_share(points, base), l1, describe_not_sparse(points, base)],
    )


def table(points: Sequence[Point], base: Point) -> Table:
    """All methods at all settings."""
    headings = ["method", "setting", "zeros", "weights", "kB", "validation accuracy", "points", "verdict"]
    note = (
        "Zeros are counted exactly, among the weights of all layers; points are against the dense network "
        f"{base.setting} (validation accuracy, ± 95 %, paired by seed). Kept: no loss is clear, and the interval has "
        f"no room for one of more than {100 * SMALL:.0f} point; lost: p below 0.05. † The test set is read once for "
        "each network; nothing is chosen by it."
    )
    return Table([*headings, "test accuracy †"], [_row(point, base) for point in points], note)


def _row(point: Point, base: Point) -> list[Cell]:
    name = text_cells(point.method + (f" ({point.diverged} diverged)" if point.diverged else ""), point.setting)
    if not point.seeds:
        return [*name, *([("-", nan)] * 5), *text_cells("diverged"), ("-", "")]
    zeros, weights, size = (point.summary(figure).mean for figure in ("zeros", "weights", "bytes"))
    between, verdict = change(point, base), "the measure" if point is base else _VERDICTS[keeps(point, base)]
    val, test = (point.summary(figure) for figure in ("val_acc", "test_acc"))
    return [
        *name,
        (f"{100 * zeros:.1f} %", zeros),
        (f"{weights:,.0f}", weights),
        (f"{size / 1000:,.0f}", size),
        (format_accuracy(val), val.mean),
        ("-" if point is base else format_difference(between), between.mean),
        *text_cells(verdict),
        (format_accuracy(test), test.mean),
    ]


def plot_trade_off(points: Sequence[Point], base: Point) -> Plot:
    """Validation accuracy against share of zeros and against bytes."""
    with canvas(9.6, 4.4, 2) as (figure, (by_zeros, by_bytes)):
        for method in (*SPARSE, *SMALLER, m.ACTIVE):
            of_method = of_methods(points, method)
            if method in SPARSE:
                _plot_line(by_zeros, method, of_method, [_left(point.summary("zeros").mean) for point in of_method])
            if method == m.ACTIVE:
                _plot_line(by_zeros, method, of_method, [_left(point.summary("idle").mean) for point in of_method])
                by_bytes.plot([], [], **_style(method), label=method)
            else:
                _plot_line(by_bytes, method, of_method, [point.summary("bytes").mean / 1000 for point in of_method])
        dense = base.summary("val_acc")
        for axes in (by_zeros, by_bytes):
            axes.axhline(dense.mean, color="#7F7F7F", linewidth=1.2, label=m.DENSE, zorder=1)
            if not math.isnan(dense.half_width):
                low, high = dense.mean - dense.half_width, dense.mean + dense.half_width
                axes.axhspan(low, high, color="#7F7F7F", alpha=0.18, linewidth=0, zorder=0)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.set_xscale("log")
            axes.invert_xaxis()
        limits = [*by_zeros.get_ylim(), *by_bytes.get_ylim()]
        for axes in (by_zeros, by_bytes):
            axes.set_ylim(min(limits), max(limits))
        _set_ticks(by_zeros, {1 - share: f"{100 * share:g} %" for share in _SHARES})
        _set_ticks(by_bytes, {n * 10**k: f"{n * 10**k:,}" for k in range(5) for n in (1, 2, 5)})
        by_zeros.set(ylabel="validation accuracy", xlabel="share of zeros")
        by_bytes.set_xlabel("kB on disk")
        legend_below(figure, by_bytes)
        return Plot(
            "6_trade_off",
            "Accuracy against share of zeros and against bytes on disk",
            "Validation accuracy, as in the answer. Both scales grow sparser, or smaller, to the right: the further "
            "right a line stays on the grey level of the dense network, the better. See which line is the higher "
            "where two pass the same share. Mean over the seeds with its 95 % interval. Left: solid lines are zeros "
            "among the weights; the dashed one is zeros among the activations, whose weights are all there. Right: "
            "what is dashed is smaller without being sparse; sparse activations are as large as the dense network and "
            "not drawn.",
            *render(figure),
        )


def plot_zeros_by_layer(points: Sequence[Point]) -> Plot | None:
    """Share of zeros in each layer, of each method where it comes nearest to 90 %."""
    shown = []
    for method in (m.TUNED, m.L1, m.SCHEDULE):
        if of_method := of_methods(points, method):
            shown.append(min(of_method, key=_from_high))
    if not shown:
        return None
    with canvas(9.6, 3.7) as (figure, (axes,)):
        for point in shown:
            label = f"{point.method}, {100 * point.summary('zeros').mean:.0f} % of all"
            draw_by_layer(axes, point.layers(), **_style(point.method), label=label)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set(xlabel="layer, from the input; the last is the output", ylabel="share of zeros in it")
        legend_below(figure, axes)
        return Plot(
            "6_zeros_by_layer",
            "Where the zeros are",
            "Each method at its setting that is nearest to 90 % zeros, mean over the seeds. See whether a line is "
            "level, or some layers have fewer zeros than others. The first layer holds more than half of all weights, "
            "so it decides most of the share of all. For zeroing, magnitudes are in units of their layer's root mean "
            "square; the schedule prunes each layer alike.",
            *render(figure),
        )


def _style(method: str) -> dict[str, Any]:
    colour, marker = _STYLES[method]
    dashed = method not in (*SPARSE, m.TUNED_INT8)
    return {
        **{"color": colour, "marker": marker, "markersize": 5.5, "linewidth": 1.5},
        **({"linestyle": (0, (4, 2)), "markerfacecolor": "white"} if dashed else {}),
    }


def _plot_line(axes: Axes, method: str, points: Sequence[Point], x: Sequence[float]) -> None:
    if not points:
        return
    accuracy = [point.summary("val_acc") for point in points]
    spread = [0.0 if math.isnan(figure.half_width) else figure.half_width for figure in accuracy]
    means = [figure.mean for figure in accuracy]
    axes.errorbar(x, means, yerr=spread if any(spread) else None, capsize=3, label=method, **_style(method))


def _left(zeros: float) -> float:
    return max(1 - zeros, 1e-4)  # a logarithmic scale has no place for a network of zeros alone


def _set_ticks(axes: Axes, labels: Mapping[float, str]) -> None:
    """Ticks at those of the places that the axis, which is inverted, reaches."""
    high, low = axes.get_xlim()
    shown = {place: label for place, label in labels.items() if low <= place <= high}
    axes.set_xticks([*shown], [*shown.values()])
    axes.xaxis.set_minor_locator(NullLocator())


SECTION = Section(
    "6",
    "6",
    "6. Sparse models",
    "Three ways to a sparse model, and what others call one: how many weights can be zero, and how small can the file "
    "be, before accuracy is lost?",
    "Train the model and set the small weights to zero; for a sparser one, train with L1; or use a toolkit that "
    "prunes while it trains.",
    answer,
    [m.START],
    m.MEASUREMENTS,
    (
        "One network a seed, 20 hidden layers of 100 units with batch normalization, trained to the end of a 1cycle "
        f"schedule; every method starts from it. Methods are fine-tuned alike, for {m.PLAN.epochs} epochs at a rate "
        f"that falls from {m.PLAN.lr:g} to zero, and so is the dense network: all are compared with the better of the "
        "dense network as trained and trained on. Students are trained anew, with "
        f"{m.STUDENT_PLAN.epochs * m.STUDENT_PLAN.batches} steps.",
        "A setting keeps the accuracy where no loss is clear (p below 0.05, paired by seed) and the two-sided 95 % "
        f"interval has no room for one of more than {100 * SMALL:.0f} point, a margin that is a choice, the same as "
        "in question 2. It loses it where a loss is clear, however small. Otherwise it is undecided, which is often "
        "so with three seeds. The settings of a method are tried in order, from the fewest zeros up to the first that "
        "does not keep it, from the most down to the first that does not lose it; no correction is made over methods. "
        "The smallest file is picked from all of them by validation images, so its accuracy is given of the test "
        "images.",
        f"L1 is compared with zeroing where both are sparse, with {100 * MOST:.0f} % of the weights zero or more. "
        "Each network of L1 is compared with the nearest of the other with no more zeros, and the nearest with no "
        f"fewer; shares within {100 * ALIKE:.0f} point count as equal. A network is better where it is clearly more "
        "accurate although it has as many zeros or more. Nothing is read off between two shares, since the accuracy "
        "does not fall along a straight line. What is clear is decided by Holm's correction over the pairs of each "
        "claim; the ± shown are of one pair alone. A claim holds where it does at each strength of L1, and is "
        "contradicted where it is at one. L1 trains on for as long as others are fine-tuned, so it is compared with "
        "zeroing with as much training, and against zeroing alone, too.",
        "Magnitudes are compared over all layers, in units of the root mean square of each; weights that are zero "
        "stay zero in fine-tuning. L1 is a proximal step after each of Adam's: soft thresholding gives exact zeros "
        "where a subgradient only comes near; it leaves off for the last third of the steps. Lightning's ModelPruning "
        "prunes each layer alike, with its resetting of weights (the lottery ticket) switched off. For sparse "
        "activations ELU gives way to ReLU.",
        "The file holds every tensor in the smallest of these forms: float32; a bit a weight and what is not zero; "
        "compressed rows with columns of 16 bits; or, where 8 bits and a scale a row give the same numbers, these. It "
        "was read back and gave the same network. Batch normalization and the statistics of the input are in every "
        "file as they are. int8 is of the weights, a symmetric scale a row.",
    ),
)
