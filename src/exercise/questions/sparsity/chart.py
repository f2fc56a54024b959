"""Accuracy against what is saved, and where in the network the zeros are."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, PercentFormatter

from exercise.plots import draw_by_layer
from exercise.questions.sparsity import measuring as m
from exercise.questions.sparsity.points import Point, of_methods
from trainlab.report import COLORS, MARKERS, Plot, canvas, legend_below, render

SPARSE = (m.PLAIN, m.TUNED, m.L1, m.SCHEDULE)  # whose weights are zero
SMALL = (m.LOW_RANK, m.INT8, m.TUNED_INT8, m.TAUGHT, m.UNTAUGHT)
_STYLES = {method: (COLORS[i], MARKERS[i]) for i, method in enumerate((*SPARSE, *SMALL, m.ACTIVE))}
_SHARES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
_NEAR = 0.9  # the share at which layers are compared


def plot_trade_off(points: Sequence[Point], base: Point) -> Plot:
    """Validation accuracy against share of zeros and against bytes."""
    with canvas(9.6, 4.4, 2) as (figure, (by_zeros, by_bytes)):
        for method in (*SPARSE, *SMALL, m.ACTIVE):
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
        by_zeros.set_ylabel("validation accuracy")
        by_zeros.set_xlabel("share of zeros")
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
            shown.append(min(of_method, key=lambda point: abs(point.summary("zeros").mean - _NEAR)))
    if not shown:
        return None
    with canvas(9.6, 3.7) as (figure, (axes,)):
        for point in shown:
            label = f"{point.method}, {100 * point.summary('zeros').mean:.0f} % of all"
            draw_by_layer(axes, point.layers(), **_style(point.method), label=label)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("layer, from the input; the last is the output")
        axes.set_ylabel("share of zeros in it")
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
