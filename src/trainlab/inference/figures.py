"""Figures of an evaluation: reliability, risk and coverage, accuracy by samples, the most uncertain images."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from trainlab.data import Images, as_rgb
from trainlab.inference.metrics import BINS, DETERMINISTIC, MC, Scores, bin_of, risk_coverage
from trainlab.report.plots.canvas import canvas, render_png
from trainlab.runs.files import write_atomically

_NAMES = {DETERMINISTIC: "deterministic", MC: "MC dropout"}
_COLOURS = {DETERMINISTIC: "#0072B2", MC: "#D55E00"}  # of Okabe and Ito, for colour-blind readers
_FILES = ("reliability.png", "risk_coverage.png", "accuracy_by_samples.png", "most_uncertain.png")


def write_figures(
    folder: Path, deterministic: Scores, mc: Scores | None, figures: dict[str, Any], images: Images
) -> None:
    """Draw the results ``figures``, the content of `eval.json`, to PNG files in ``folder``."""
    sides = {DETERMINISTIC: deterministic, **({MC: mc} if mc else {})}
    with canvas(4.3 * len(sides), 4.5, len(sides)) as (figure, panels):
        for axes, (side, scores) in zip(panels, sides.items(), strict=True):
            _reliability(axes, scores, side, figures["metrics"]["ece"][side]["value"])
        parts = [
            "bars: accuracy by confidence",
            "hatched: gap to the confidence",
            "dark: share of images, divided by 4",
        ]
        figure.suptitle(("; " if mc else "\n").join(parts), fontsize=9)
        write_atomically(folder / "reliability.png", render_png(figure))
    with canvas(6.4, 4.2) as (figure, (axes,)):
        _risk_against_coverage(axes, sides, figures["metrics"]["aurc"])
        write_atomically(folder / "risk_coverage.png", render_png(figure))
    (folder / "accuracy_by_samples.png").unlink(missing_ok=True)  # of an earlier evaluation
    if figures["mc_dropout"]:
        with canvas(6.8, 4.2) as (figure, (axes,)):
            _accuracy_by_samples(axes, figures)
            write_atomically(folder / "accuracy_by_samples.png", render_png(figure))
    write_atomically(folder / "most_uncertain.png", _most_uncertain(figures["most_uncertain"], images))


def remove_figures(folder: Path) -> None:
    """Remove what `write_figures` left in ``folder``, and the folder if nothing else is in it."""
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _reliability(axes: Axes, scores: Scores, side: str, error: float) -> None:
    """Reliability diagram: accuracy by confidence, equal on the diagonal for calibrated predictions."""
    place = bin_of(scores.confidence)
    count = place.bincount(minlength=BINS)
    accuracy, confidence = (
        (place.bincount(values, BINS) / count).numpy() for values in (scores.correct, scores.confidence)
    )
    edges, share = (torch.arange(BINS) / BINS).numpy(), (count / count.sum()).numpy()
    bar: dict[str, Any] = {"width": 1 / BINS, "align": "edge"}
    axes.bar(edges, accuracy, color=_COLOURS[side], alpha=0.85, edgecolor="white", label="accuracy", **bar)
    axes.bar(
        edges,
        confidence - accuracy,
        bottom=accuracy,
        color="none",
        edgecolor="#555555",
        hatch="////",
        linewidth=0.5,
        **bar,
    )
    axes.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle="--")
    axes.bar(edges, share / 4, color="black", alpha=0.35, **bar)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", aspect="equal")
    axes.set_title(f"{_NAMES[side]}: calibration error {error:.2%}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _risk_against_coverage(axes: Axes, sides: dict[str, Scores], area: dict[str, dict[str, float]]) -> None:
    for side, scores in sides.items():
        coverage, risk = risk_coverage(scores.confidence, scores.correct)
        label = f"{_NAMES[side]}: area {area[side]['value']:.4f}"
        axes.plot(coverage.numpy(), risk.numpy(), color=_COLOURS[side], linewidth=1.6, label=label)
    last = float(risk[-1])
    axes.set(xlim=(0, 1), ylim=(0, max(0.02, 1.15 * last)), title="Errors on the most confident images")
    axes.set(xlabel="coverage: share of images, the most confident first", ylabel="risk: error rate on these images")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="upper left")


def _accuracy_by_samples(axes: Axes, figures: dict[str, Any]) -> None:
    """Accuracy of the mean of n samples, and their cost."""
    about, accuracy = figures["mc_dropout"], figures["metrics"]["accuracy"]
    by_samples, cost = about["accuracy_by_samples"], about["cost_of_1000_images"]
    one = accuracy[DETERMINISTIC]
    axes.axhspan(one["low"], one["high"], color=_COLOURS[DETERMINISTIC], alpha=0.12, linewidth=0)
    axes.axhline(one["value"], color=_COLOURS[DETERMINISTIC], linewidth=1.6, label="deterministic, 95 % interval")
    axes.plot(range(1, len(by_samples) + 1), by_samples, color=_COLOURS[MC], linewidth=1.6, label="MC dropout")
    axes.set(xscale="log", xlabel="samples of MC dropout", ylabel="test accuracy")
    axes.set_xticks(cost["samples"], [str(n) for n in cost["samples"]])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    cost_axes = axes.twinx()
    cost_axes.plot(cost["samples"], cost["ms"], "s:", color="#555555", markersize=4.5, label="cost, right axis")
    cost_axes.axhline(cost["deterministic_ms"], color="#555555", linewidth=0.8, linestyle="--")
    cost_axes.set(ylim=(0, 1.1 * cost["ms"][-1]), ylabel="ms per 1,000 images (dashed: deterministic)")
    cost_axes.grid(visible=False)
    cost_axes.spines["right"].set_visible(True)
    handles = axes.get_lines()[:2] + cost_axes.get_lines()[:1]
    axes.legend(handles, [str(line.get_label()) for line in handles], loc="upper left")
    axes.set_title("Accuracy and cost by number of samples")


def _most_uncertain(chosen: list[dict[str, Any]], images: Images) -> bytes:
    """The images with the highest entropy, eight per row, with their labels, red if misclassified."""
    columns = 8
    rows = -(-len(chosen) // columns)
    with canvas(1.35 * columns, 1.9 * rows + 0.5, columns, rows) as (figure, panels):
        for axes in panels:
            axes.set_axis_off()
        for axes, one in zip(panels, chosen, strict=False):
            axes.imshow(as_rgb(images.test[one["image"]]).permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
            correct = one["label"] == one["prediction"]
            caption = one["label"] if correct else f"{one['prediction']}\nnot {one['label']}"
            uncertain = f"H {one['entropy']:.2f}"
            if "mutual_information" in one:
                uncertain += f"  I {one['mutual_information']:.3f}"
            axes.set_title(f"{uncertain}\n{caption}", fontsize=8, color="black" if correct else "crimson", loc="center")
        legend = "H: entropy of the prediction in nats"
        if chosen and "mutual_information" in chosen[0]:
            legend += "; I: mutual information, the part that comes from the disagreement of the samples"
        figure.suptitle(f"The most uncertain test images. {legend}", fontsize=9)
        return render_png(figure)
