"""The values of a figure, for a page that shows the one under the pointer."""

import json
import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, PercentFormatter

MAX_POINTS = 200  # of a line; of more, every so many


def hover_values(figure: Figure) -> str:
    """The points of all named lines and of all with markers in a figure that is drawn, as JSON for a page.

    A list with a mapping for each of the axes: `box`, its left, top, width and height as fractions of the figure; `x`
    and `y`, each with `name`, `limits`, and where they apply `log`, `percent` and `names` of its values; `lines`, each
    a list of a name, the values of x and those of y.
    """
    charts = []
    for axes in figure.axes:
        errors = [of for of in axes.containers if isinstance(of, ErrorbarContainer)]
        names = {id(of[0]): str(of.get_label()) for of in errors}
        names |= {id(line): str(line.get_label()) for line in axes.lines if id(line) not in names}
        names = {key: name for key, name in names.items() if not name.startswith("_")}
        by_color = {to_hex(line.get_color()): names[id(line)] for line in axes.lines if id(line) in names}
        caps = {id(line) for of in errors for line in of[1]}
        shown = [line for line in axes.lines if id(line) in names or line.get_marker() not in ("None", "", " ", None)]
        lines = [
            _points(axes, line, names.get(id(line), by_color.get(to_hex(line.get_color()), "")))
            for line in shown
            if id(line) not in caps and line.get_transform() == axes.transData
        ]
        scales = {axes.get_xscale(), axes.get_yscale()}
        if scales <= {"linear", "log"} and any(xs for _, xs, _ in lines):
            box = axes.get_position()
            charts.append(
                {
                    "box": [round(of, 4) for of in (box.x0, 1 - box.y1, box.width, box.height)],
                    "x": _axis(axes.xaxis, axes.get_xlim(), axes.get_xlabel(), axes.get_xscale()),
                    "y": _axis(axes.yaxis, axes.get_ylim(), axes.get_ylabel(), axes.get_yscale()),
                    "lines": lines,
                }
            )
    return json.dumps(charts, separators=(",", ":")).replace("<", "\\u003c") if charts else ""


def _points(axes: Axes, line: Line2D, name: str) -> tuple[str, list[float], list[float]]:
    """Those that are within the axes."""
    xy = np.array(line.get_xydata(), dtype=float)
    xy = xy[np.isfinite(xy).all(axis=1)]
    low, high = np.sort([axes.get_xlim(), axes.get_ylim()], axis=1).T
    xy = xy[((xy >= low) & (xy <= high)).all(axis=1)]
    xy = xy[:: max(1, math.ceil(len(xy) / MAX_POINTS))]
    xs, ys = ([_short(value) for value in column] for column in xy.T)
    return name, xs, ys


def _short(value: float) -> float:
    """To four digits, as an integer if it is one."""
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() else short


def _axis(axis: Axis, limits: tuple[float, float], name: str, scale: str) -> dict[str, Any]:
    formatter = axis.get_major_formatter()
    found: dict[str, Any] = {"name": name, "limits": [float(f"{limit:.6g}") for limit in limits]}
    if scale == "log":
        found["log"] = True
    if isinstance(formatter, PercentFormatter):
        found["percent"] = True
    if isinstance(axis, YAxis) and isinstance(formatter, FixedFormatter):
        found["names"] = {int(at): text for at, text in zip(axis.get_ticklocs(), formatter.seq, strict=False)}
    return found
