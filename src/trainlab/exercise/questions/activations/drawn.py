"""The figures of the comparison of activations."""

import math
from collections.abc import Mapping

from matplotlib.ticker import PercentFormatter

from trainlab.report.curves import Band, band
from trainlab.report.drawing import COLOURS, canvas, rendered
from trainlab.report.figures import Picture
from trainlab.report.groups import Group
from trainlab.report.statistics import Ratio

_FAINT = "#BBBBBB"
_COLUMNS = 4
# Where a name stands, in points from its marker, so that few of them cross: above on the right, below on the right, ...
_PLACES = ((6, 5), (6, -12), (-6, 5), (-6, -12))


def curves(groups: Mapping[str, Group]) -> Picture:
    """Validation accuracy by epoch, an axes a group with all others in grey."""
    bands = {
        key: band([run.curve for run in group.runs.values() if run.curve], "val/acc") for key, group in groups.items()
    }
    drawn = {key: lines for key, lines in bands.items() if len(lines.x)}
    columns = min(_COLUMNS, max(1, len(drawn)))
    rows = max(1, math.ceil(len(drawn) / columns))
    with canvas(2.1 * columns, 1.75 * rows + 0.3, columns, rows) as (figure, axes):
        for one in axes[len(drawn) :]:
            one.set_visible(False)
        for place, (one, (key, lines)) in enumerate(zip(axes, drawn.items(), strict=False)):
            for other in drawn.values():
                one.plot(other.x, other.mean, color=_FAINT, linewidth=0.7)
            one.fill_between(lines.x, lines.low, lines.high, color=COLOURS[0], alpha=0.25, linewidth=0)
            one.plot(lines.x, lines.mean, color=COLOURS[0], linewidth=2)
            one.set_title(groups[key].label, fontsize=10)
            one.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            one.set_ylim(0, 1.08 * _highest(drawn))
            one.tick_params(labelsize=8, labelleft=place % columns == 0, labelbottom=place + columns >= len(drawn))
        figure.supxlabel("epochs", fontsize=10)
        figure.supylabel("validation accuracy", fontsize=10)
        png, svg = rendered(figure)
    return Picture(
        "4_curves",
        "How each activation learns",
        "Blue: mean over the seeds, with a band from the lowest to the highest one; grey: the other activations, on "
        "the same axes. See which rise at once, which late, and which not at all.",
        png,
        svg,
    )


def _highest(drawn: Mapping[str, Band]) -> float:
    return max(float(lines.high.max()) for lines in drawn.values())


def price(groups: Mapping[str, Group], costs: Mapping[str, Ratio]) -> Picture:
    """Accuracy with its interval against the time of a step, ReLU's being 1."""
    with canvas(6.4, 4.0) as (figure, (axes,)):
        shown = [(key, group) for key, group in groups.items() if group.runs and (key in costs or key == "relu")]
        shown.sort(key=lambda item: costs[item[0]].value if item[0] in costs else 1.0)
        for place, (key, group) in enumerate(shown):
            found = group.summary("metrics", "val_acc")
            cost = costs.get(key)
            x = cost.value if cost else 1.0
            aside = [[x - cost.low], [cost.high - x]] if cost and not math.isnan(cost.low) else None
            spread = None if math.isnan(found.half_width) else found.half_width
            colour = COLOURS[place % len(COLOURS)]
            axes.errorbar(x, found.mean, yerr=spread, xerr=aside, fmt="o", color=colour, capsize=3, markersize=6)
            dx, dy = _PLACES[place % len(_PLACES)]
            axes.annotate(
                group.label,
                (x, found.mean),
                (dx, dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right",
                fontsize=9,
                color=colour,
            )
        axes.margins(0.12)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("time of a training step, ReLU = 1")
        axes.set_ylabel("validation accuracy")
        png, svg = rendered(figure)
    return Picture(
        "4_price",
        "What an activation gives, and what it costs",
        "Up is more accurate, left is cheaper. Bars: 95 % intervals, of accuracy over the seeds, of time over rounds "
        "in which all activations made steps in turn.",
        png,
        svg,
    )
