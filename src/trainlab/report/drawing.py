"""The look of all figures, and how one becomes files. Drawn on canvases of their own: nothing global is touched."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainlab.report.svg import compact

# Okabe and Ito's colours but their yellow, which is faint on white, and three of Tol's: told apart by the colour-blind.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#000000", "#882255", "#999933", "#7F7F7F"),
)
MARKERS = "osD^vP*X<>"
MAX_CURVES = len(COLOURS)

_STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "trainlab",  # the same figure is the same file
}


@contextmanager
def canvas(
    width: float, height: float, columns: int = 1, rows: int = 1, scale_a_row: bool = False
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of that many inches, with ``columns`` axes side by side in each of ``rows``."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        sharey: Any = "row" if scale_a_row else False
        yield figure, list(figure.subplots(rows, columns, sharey=sharey, squeeze=False).flat)


def legend_below(figure: Figure, axes: Axes) -> None:
    """The legend under the axes, in as many columns as fit, the figure higher by its rows."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    columns = max(1, min(3, len(labels), int(85 / (max(map(len, labels)) + 6))))
    rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.21 * rows)
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, fontsize=9)


def rendered(figure: Figure) -> tuple[bytes, bytes]:
    """PNG and SVG."""
    with matplotlib.rc_context(_STYLE):
        png, svg = io.BytesIO(), io.StringIO()
        figure.savefig(png, format="png", dpi=150)
        figure.set_layout_engine("none")  # it is laid out: not once more
        figure.savefig(svg, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return png.getvalue(), compact(svg.getvalue()).encode()


def shortened(text: str, length: int = 48) -> str:
    """A text that fits beside or under a figure; its middle goes first, since names differ at their ends."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"
