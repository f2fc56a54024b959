"""The style of all plots, and how one becomes files. Every plot has a canvas of its own: no global state is touched."""

import base64
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from trainlab.report.plots.hover import hover_values
from trainlab.tasks.metrics import Metric

# For the colour-blind: Okabe and Ito's colours but their yellow, which is faint on white, and three of Tol's.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#000000", "#882255", "#999933", "#7F7F7F"),
)
MARKERS = "osD^vP*X<>"
BASELINE_LOOK = ("#000000", "D")  # color and marker, which no other group has then
MAX_CURVES = len(COLORS)
MAX_SVG_BYTES = 200_000  # above it, a page holds the PNG instead

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


@dataclass(frozen=True)
class Plot:
    """A figure as files, with its title and caption.

    Attributes:
        hover: its values, see `trainlab.report.plots.hover`.
        section: of the report that it belongs to; "" for the learning curves and other main ones.
    """

    name: str
    title: str
    caption: str
    png: bytes
    svg: bytes
    hover: str = ""
    section: str = ""

    def data_uri(self) -> str:
        """The figure as an address that can stand in double quotes in a page."""
        if len(self.svg) <= MAX_SVG_BYTES:
            return svg_data_uri(self.svg.decode())
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


class PercentTicks(PercentFormatter):
    """Fractions as "45 %" or "45.5 %", with as many digits as they need."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The text at ``x``."""
        return f"{round(100 * x, 6):g} %"


@contextmanager
def canvas(
    width: float, height: float, columns: int = 1, rows: int = 1, scale_a_row: bool = False
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of ``width`` x ``height`` inches with ``rows`` x ``columns`` axes, which share y in a row on request."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        sharey: Any = "row" if scale_a_row else False
        yield figure, list(figure.subplots(rows, columns, sharey=sharey, squeeze=False).flat)


def legend_below(figure: Figure, axes: Axes, entries: Sequence[Artist] = ()) -> None:
    """The legend under the axes, in as many columns as fit, the figure higher by its rows.

    Args:
        entries: instead of what is labelled in the axes; in one row.
    """
    handles, labels = [*entries], [str(entry.get_label()) for entry in entries]
    if not entries:
        handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    fitting = int(13.3 * figure.get_figwidth() / (max(map(len, labels)) + 6))
    columns = len(entries) or max(1, min(3, len(labels), fitting))
    rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.21 * rows)
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, fontsize=9)


def label_axis(axes: Axes, metric: Metric) -> None:
    """Name the vertical axis by ``metric``, in percent if it is displayed so."""
    axes.set_ylabel(metric.name)
    if metric.is_percentage:
        axes.yaxis.set_major_formatter(PercentTicks())


def file_name(metric: Metric) -> str:
    """The name of ``metric`` in that of a file."""
    return re.sub(r"\W+", "_", metric.name.lower())


def render(figure: Figure) -> tuple[bytes, bytes, str]:
    """PNG, SVG, and its values, see `trainlab.report.plots.hover`."""
    with matplotlib.rc_context(_STYLE):
        png, svg = render_png(figure), io.StringIO()
        figure.set_layout_engine("none")  # the layout is done
        figure.savefig(svg, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return png, compact_svg(svg.getvalue()).encode(), hover_values(figure)


def render_png(figure: Figure) -> bytes:
    """PNG."""
    with matplotlib.rc_context(_STYLE):
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


def shorten(text: str, length: int = 48) -> str:
    """``text`` with at most ``length`` characters; the middle is left out, since names differ at their ends."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


_DIGITS = 2  # of a coordinate; a hundredth of a point is a thirtieth of a pixel on the densest of screens
_INVISIBLE = re.compile(r"<!DOCTYPE.*?>|<!--.*?-->", re.DOTALL)
_COORDINATES = re.compile(r'(?<= [dxy]=")[^"]*|(?<=translate\()[^)]*')
_NUMBER = re.compile(r"-?\d+\.\d+")
# A quotation mark would end the attribute; the others mean something in an address or where it is read.
_IN_AN_ADDRESS = str.maketrans({"%": "%25", "&": "%26", "#": "%23", "'": "%26apos;", '"': "'", "\n": " "})


def compact_svg(svg: str) -> str:
    """``svg`` without comments, names of groups and white space, its coordinates rounded: a third smaller."""
    svg = _INVISIBLE.sub("", svg)
    svg = _COORDINATES.sub(lambda found: _NUMBER.sub(_rounded, found[0]), svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><").replace(' "', '"').strip()


def svg_data_uri(svg: str) -> str:
    """An SVG as an address that can stand in double quotes in a page; base64 would be a third longer."""
    return f"data:image/svg+xml,{svg.translate(_IN_AN_ADDRESS)}"


def _rounded(number: re.Match[str]) -> str:
    text = f"{float(number[0]):.{_DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
