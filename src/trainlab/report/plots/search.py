"""Plots of a hyperparameter search: its course, which settings mattered, and the objective against each of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainlab.report.formatting import capitalized
from trainlab.report.plots.canvas import PercentTicks, Plot, canvas, legend_below, render, shorten
from trainlab.report.plots.curves import WILD
from trainlab.report.search import Dimension, Search, Trial

NAMES = ("search_history", "search_importance", "search_slices")
SEARCH = "The search"  # section of the report
MAX_SLICES = 9
_COLUMNS = 3
_BEST, _COMPLETED, _PRUNED, _FAILED = "#D55E00", "#0072B2", "#7F7F7F", "#CC79A7"
_RING: Any = {"markersize": 11, "markerfacecolor": "none", "markeredgecolor": _BEST, "markeredgewidth": 1.8}


def plot_search(search: Search) -> list[Plot]:
    """Every plot that the search has data for."""
    if search.best is None:
        return []
    shares = [plot_importance(search)] if search.importance else []
    return [plot_history(search, search.best), *shares, plot_slices(search, search.best)]


def plot_history(search: Search, best: Trial) -> Plot:
    """The objective of every trial in their order, and the best so far."""
    least = search.metric.mode == "min"
    completed, pruned = _with_value(search.of("completed")), _with_value(search.of("pruned"))
    top = _top(search)
    with canvas(6.4, 3.7) as (figure, (axes,)):
        axes.plot(*_points(pruned, top), "x", color=_PRUNED, markersize=6, label="pruned, at its last epoch")
        axes.plot(*_points(completed, top), "o", color=_COMPLETED, markersize=5.5, label="completed")
        numbers, losses = _points(completed)
        last = max(trial.number for trial in search.trials)
        reached = (np.minimum if least else np.maximum).accumulate(losses)
        line: Any = {"where": "post", "color": _BEST, "linewidth": 1.6, "label": "best so far"}
        axes.step([*numbers, last], [*reached, reached[-1]], **line)
        axes.plot(*_points([best]), "o", color=_BEST, markersize=8)
        if failed := search.of("failed", "diverged"):
            across = axes.get_xaxis_transform()
            at = [trial.number for trial in failed]
            style: Any = {"color": _FAILED, "markersize": 7, "clip_on": False}
            axes.plot(at, [0.98] * len(at), "v", transform=across, label="diverged or failed", **style)
        axes.set_ylim(top=top + 0.08 * (top - min(losses)) or None)
        axes.set_xlim(-0.5, last + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        axes.set_xlabel("trial")
        axes.set_ylabel(search.metric.label)
        legend_below(figure, axes)
        better = "Lower" if least else "Higher"
        cut = _cut([*completed, *pruned], top, search.metric.name)
        caption = f"{better} is better; the orange dot is the best trial.{cut}"
        return Plot(NAMES[0], "The search, trial by trial", caption, *render(figure), SEARCH)


def plot_importance(search: Search) -> Plot:
    """The share of each key in what sets the best trials apart."""
    shares = sorted(search.importance.items(), key=lambda share: share[1])
    with canvas(6.4, 1.2 + 0.42 * len(shares)) as (figure, (axes,)):
        bars = axes.barh([shorten(key, 34) for key, _ in shares], [share for _, share in shares], color="#56B4E9")
        axes.bar_label(bars, [f"{share:.0%}".replace("%", " %") for _, share in shares], padding=4)
        axes.set_xlim(0, 1.12 * max(share for _, share in shares))
        axes.xaxis.set_major_formatter(PercentTicks())
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("share of the importance")
        caption = (
            "How much the values of the best trials, a tenth of the completed or at least five, are unlike those of "
            "all (PED-ANOVA). Of a few dozen trials it is a hint, no measurement."
        )
        return Plot(NAMES[1], "Which settings mattered", caption, *render(figure), SEARCH)


def plot_slices(search: Search, best: Trial) -> Plot:
    """The objective against each key, one panel per key, the most important first."""
    keys = sorted(search.space, key=lambda key: -search.importance.get(key, 0.0))[:MAX_SLICES]
    completed, pruned = _with_value(search.of("completed")), _with_value(search.of("pruned"))
    top, columns = _top(search), min(_COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    with canvas(8.6, 3.1 * rows + 0.4, columns, rows) as (figure, panels):
        age = Normalize(0, max(1, max(trial.number for trial in search.trials)))
        for axes, key in zip(panels, keys, strict=False):
            dimension = search.space[key]
            axes.plot(*_slice(key, dimension, pruned, top), "x", color=_PRUNED, markersize=5.5)
            colours = [_map(age(trial.number)) for trial in completed]
            axes.scatter(*_slice(key, dimension, completed, top), c=colours, s=34, zorder=3)
            if dimension.values:
                axes.set_xticks(range(len(dimension.values)), [shorten(value, 14) for value in dimension.values])
                axes.set_xlim(-0.5, len(dimension.values) - 0.5)
            elif dimension.log:
                axes.set_xscale("log")
                axes.set_xlim(dimension.low / 1.1, dimension.high * 1.1)
            axes.set_xlabel(shorten(key, 30))
            axes.plot(*_slice(key, dimension, [best], top), "o", **_RING)
        for axes in panels[len(keys) :]:
            axes.set_visible(False)
        for axes in panels[::columns]:
            axes.set_ylabel(search.metric.label)
        _age_bar(figure, panels, age)
        kept = (
            f"The {len(keys)} most important of {len(search.space)} settings. " if len(keys) < len(search.space) else ""
        )
        crosses = " Crosses: pruned trials, at their last epoch." if pruned else ""
        caption = f"{kept}One dot per completed trial, coloured by its number; ringed: the best.{crosses}"
        title = f"{capitalized(search.metric.label)} against each setting"
        caption += _cut([*completed, *pruned], top, search.metric.name)
        return Plot(NAMES[2], title, caption, *render(figure), SEARCH)


def _slice(key: str, dimension: Dimension, trials: Sequence[Trial], top: float) -> tuple[list[float], list[float]]:
    """Where the trials stand in a panel; those of one choice a little aside of each other."""
    across = [
        dimension.values.index(str(trial.params[key])) + 0.24 * ((trial.number * 0.618) % 1 - 0.5) * 2
        if dimension.values
        else float(trial.params[key])
        for trial in trials
    ]
    return across, _points(trials, top)[1]


def _age_bar(figure: Figure, panels: Sequence[Axes], age: Normalize) -> None:
    """The legend of the colours."""
    colours = ListedColormap([_map(place) for place in np.linspace(0, 1, 64)])
    bar = figure.colorbar(ScalarMappable(age, colours), ax=list(panels), shrink=0.8, aspect=26, pad=0.02)
    bar.set_label("trial")
    bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    bar.outline.set_visible(False)


def _map(place: float) -> tuple[float, float, float, float]:
    """Colour of a trial from the first, 0, to the last, 1: pale to dark."""
    red, green, blue, alpha = colormaps["viridis_r"](0.12 + 0.88 * place)
    return red, green, blue, alpha


def _with_value(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.value is not None]


def _points(trials: Sequence[Trial], top: float = np.inf) -> tuple[list[float], list[float]]:
    return [t.number for t in trials], [min(t.value, top) for t in trials if t.value is not None]


def _top(search: Search) -> float:
    """The highest value that is drawn; of a loss ``WILD`` times the median at most: one trial must not hide others."""
    losses = np.array([t.value for t in _with_value(search.of("completed", "pruned"))], dtype=float)
    if search.metric.mode == "max" or losses.min() < 0:
        return float(losses.max())
    return float(losses[losses <= WILD * np.median(losses)].max())


def _cut(trials: Sequence[Trial], top: float, name: str) -> str:
    wild = sum(trial.value > top for trial in trials if trial.value is not None)
    return f" {wild} with a higher {name} {'are' if wild > 1 else 'is'} drawn at the top." if wild else ""
