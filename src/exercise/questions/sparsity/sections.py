"""Question 6: three ways to a sparse model, and others that only make one smaller."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, isnan
from typing import Any

from exercise.contrast import POINTS, Claim, Contrast, contrast_values, judge
from exercise.formatting import mean_cell, text_cells
from exercise.plots import marked
from exercise.questions.sparsity import measuring as m
from exercise.section import Answer, Section
from exercise.store import Evidence, NotAvailable
from trainlab.report import Cell, Plot, Table, canvas, legend_below, render
from trainlab.statistics import Interval, interval

HALF, HIGH = "50%", "90%"
DRAWN = (m.ZEROED, m.TUNED, m.L1, m.GRADUAL, m.LOW_RANK, m.INT8, m.TUNED_INT8, m.TAUGHT)
SPARSE = (m.ZEROED, m.TUNED, m.L1, m.GRADUAL)
TICKS, SIZES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98), (50, 100, 200, 500, 1000, 2000)


@dataclass(frozen=True)
class Point:
    """A method at a setting; ``seeds``: figures by seed, empty where the weights did not stay finite."""

    method: str
    setting: str
    seeds: Mapping[int, Mapping[str, float]]

    @property
    def name(self) -> str:
        """Of a table."""
        return f"{self.method} {self.setting}"

    def of(self, figure: str, scale: float = 1) -> dict[int, float]:
        """A figure by seed."""
        return {seed: scale * figures[figure] for seed, figures in self.seeds.items() if figures}

    def summary(self, figure: str, scale: float = 100) -> Interval:
        """Its mean over the seeds, of shares in %."""
        return interval([*self.of(figure, scale).values()])


Points = Mapping[tuple[str, str], Point]


def points_of(evidence: Evidence) -> Points:
    """All that was measured, by method and setting."""
    found = {}
    for measurement in m.MEASUREMENTS:
        for method, settings in evidence.measured(measurement.name).items():
            for setting, seeds in settings.items():
                found[method, setting] = Point(method, setting, {int(seed): of for seed, of in seeds.items()})
    if not found:
        raise NotAvailable("no run was completed, so there is no trained network to make sparse")
    return found


def compare(a: Point, b: Point, direction: str) -> Contrast:
    """Validation accuracies; nothing is claimed where the weights of a network did not stay finite."""
    ours, theirs = ((of.name, of.of("val_acc", 100)) for of in (a, b))
    found = contrast_values(ours, theirs, direction, "validation accuracy", POINTS)
    if all(figures for of in (a, b) for figures in of.seeds.values()):
        return found
    return replace(found, low=-inf, high=inf, tested=None, note="the weights of a network did not stay finite")


def strongest_l1(points: Points) -> Point:
    """The L1 network with most zeros."""
    return max((of for (method, _), of in points.items() if method == m.L1), key=lambda of: of.summary("zeros").mean)


def answer(evidence: Evidence) -> Answer:
    """How sparse and how small the network gets, at what cost, and by which way.

    Each network is compared with one that has as many zeros, or was trained for as long.
    """
    points = points_of(evidence)
    start, longer = points[m.DENSE, m.AS_TRAINED], points[m.DENSE, m.LONGER]
    l1 = max((of for of in points.values() if of.method == m.L1), key=lambda of: of.summary("zeros").mean)
    pairs = {
        f"With fine-tuning, {HALF} zeros cost nothing": (points[m.TUNED, HALF], longer, "not lower"),
        "L1 beats zeroing with as much fine-tuning": (l1, points[m.TUNED, m.AS_L1], "higher"),
        "Zeroing gradually beats zeroing at once": (points[m.GRADUAL, HIGH], points[m.TUNED, HIGH], "higher"),
        "Weights of 8 bits cost nothing": (points[m.INT8, "8 bits"], start, "not lower"),
    }
    tuned, l1_tuned, gradual, int8 = judged = judge([compare(*pair) for pair in pairs.values()])
    changes = {
        **{"tuned_half": tuned, "int8": int8, "gradual": gradual},
        "half": compare(points[m.ZEROED, HALF], start, "not lower"),
        "tuned_high": compare(points[m.TUNED, HIGH], longer, "not lower"),
    }
    files = {"dense": start, "int8": points[m.INT8, "8 bits"], "half": points[m.TUNED, HALF]}
    kilobytes = {name: of.summary("bytes", 1e-3).mean for name, of in files.items()}
    figures: dict[str, Any] = {
        **{name: f"{of.mean:+z.1f}" for name, of in changes.items()},
        **{f"{name}_kb": f"{size:,.0f}" for name, size in kilobytes.items()},
        "int8_times": f"{kilobytes['dense'] / kilobytes['int8']:.1f}",
        "l1_zeros": f"{l1.summary('zeros').mean:.0f} %",
        "l1": compare(l1, points[m.ZEROED, m.AS_L1], "higher"),
        "l1_tuned": l1_tuned,
        "gradual_verdict": gradual.verdict,
    }
    claims = [Claim(statement, [contrast]) for statement, contrast in zip(pairs, judged, strict=True)]
    return Answer(figures, claims, plot(points, start), [("All networks", table(points))])


def table(points: Points) -> Table:
    """All methods at all settings."""
    weights = points[m.DENSE, m.AS_TRAINED].summary("weights", 1).mean
    rows: list[list[Cell]] = []
    for of in points.values():
        zeros, size, own = of.summary("zeros"), of.summary("bytes", 1e-3), of.summary("weights", 1).mean
        setting = of.setting if own == weights else f"{of.setting}: {own:,.0f}"
        idle = f" (outputs {of.summary('idle').mean:.0f})" if of.method == m.ACTIVE else ""
        cells = [(f"{zeros.mean:.1f}{idle}", zeros.mean), (f"{size.mean:,.0f}", size.mean)]
        val, test = of.summary("val_acc"), of.summary("test_acc").mean
        rows.append([*text_cells(of.method, setting), *cells, mean_cell(val), (f"{test:.1f}", test)])
    headings = ["method", "setting", "zeros %", "kB", "validation %", "test % †"]
    note = f"{weights:,.0f} weights or as given; rank, width, or strength of a penalty."
    return Table(headings, rows, note)


def plot(points: Points, start: Point) -> Plot:
    """Validation accuracy against share of zeros and against bytes."""
    with canvas(7.4, 3.2, 2, scale_a_row=True) as (figure, (by_zeros, by_bytes)):
        for i, method in enumerate(DRAWN):
            mine = sorted((of for of in points.values() if of.method == method and of.of("zeros")), key=_by_bytes)
            scores = [of.summary("val_acc") for of in mine]
            left = [max(1 - of.summary("zeros", 1).mean, 1e-4) for of in mine]
            spread, style = [0.0 if isnan(of.half_width) else of.half_width for of in scores], marked(i)
            for axes, x in ((by_zeros, left), (by_bytes, [_by_bytes(of) / 1000 for of in mine])):
                if axes is by_bytes or method in SPARSE:
                    axes.errorbar(x, [of.mean for of in scores], yerr=spread, label=method, capsize=3, **style)
        for axes in (by_zeros, by_bytes):
            axes.axhline(start.summary("val_acc").mean, color="#7F7F7F", linewidth=1.2, label="dense", zorder=1)
            axes.set_xscale("log")
            axes.invert_xaxis()
            axes.minorticks_off()
        by_zeros.set_xticks([1 - share for share in TICKS], [f"{100 * share:g} %" for share in TICKS], fontsize=8)
        by_bytes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
        by_zeros.set(ylabel="validation accuracy, %", xlabel="share of zeros", ylim=(0, None))
        by_bytes.set_xlabel("kB")
        legend_below(figure, by_bytes)
        caption = "Grey: dense network."
        return Plot("6_trade_off", "Sparser and smaller to the right", caption, *render(figure))


def _by_bytes(of: Point) -> float:
    return of.summary("bytes", 1).mean


SECTION = Section(
    "6",
    "6",
    "6. Sparse models",
    "Three ways to a sparse model: how many weights can be zero before accuracy is lost?",
    answer,
    [m.START],
    m.MEASUREMENTS,
    (
        f"All start from one trained network a seed and train for {m.PLAN.epochs * m.PLAN.batches} steps of Adam, the "
        f"dense one, too; students start anew, with {m.STUDENT_PLAN.epochs * m.STUDENT_PLAN.batches}. L1 is compared "
        "with zeroing just as many weights. Magnitudes are in units of their layer's root mean square; gradual zeroing "
        "has the schedule of TensorFlow's toolkit. kB: each tensor in the smallest of several forms.",
    ),
)
