"""The confusion matrix of a run on the test images, from its `confusion.json`."""

import json

import numpy as np

from trainlab.report.plots.canvas import Plot, canvas, render, shorten
from trainlab.report.runs import Run
from trainlab.runs.result import CONFUSION_FILE

MAX_NUMBERED = 20  # classes


def read_confusion(run: Run) -> tuple[list[str], np.ndarray] | None:
    """Classes (C,) and counts (C, C) of `confusion.json`; None without one, or of another epoch than the best."""
    try:
        content = json.loads((run.folder / CONFUSION_FILE).read_bytes())
        epoch, classes = content["epoch"], [*map(str, content["classes"])]
        counts = np.array(content["confusion"], float)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if epoch != run.result.metrics.get("best_epoch") or counts.shape != (len(classes), len(classes)):
        return None
    return classes, counts


def plot_confusion(run: Run) -> list[Plot]:
    """The confusion matrix; nothing of a run that has none, or that of another epoch than its best."""
    found = read_confusion(run)
    return [_draw(*found)] if found else []


def _draw(classes: list[str], counts: np.ndarray) -> Plot:
    shares = 100 * counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    is_numbered = len(classes) <= MAX_NUMBERED
    with canvas(4.8, 4.2) as (figure, (axes,)):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        for i, j in np.ndindex(shares.shape) if is_numbered else ():
            color = "white" if shares[i, j] > 55 else "black"
            axes.text(j, i, f"{shares[i, j]:.0f}", ha="center", va="center", fontsize=8, color=color)
        names = [shorten(name, 14) for name in classes]
        size = 8 if is_numbered else 4
        axes.set_xticks(range(len(classes)), names, rotation=90, fontsize=size)
        axes.set_yticks(range(len(classes)), names, fontsize=size)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.grid(visible=False)
        caption = "Percent of each true class, on the test images †."
        return Plot("confusion", "Confusion matrix", caption, *render(figure))
