"""Question 5 and how it is answered."""

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from exercise.formatting import describe_outcome
from exercise.plots import marked
from exercise.questions.momentum.network import (
    ALL,
    ENOUGH,
    EXTREME,
    PACE,
    RATE,
    USUAL,
    ByMomentum,
    describe_extreme,
    describe_momentum_alone,
    describe_one_pace,
    describe_one_rate,
    format_percent,
    groups_by_momentum,
    share_of_distance,
    steps_of,
)
from exercise.questions.momentum.quadratic import CURVATURES, DRAWN_STEPS, LR, NAME, NEAR, START, descend, passes
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence
from trainlab.report import COLORS, Cell, Plot, Table, band, canvas, legend_below, render

UNDECIDED = " In the bowl it is clear; that it harms the network, too, is not shown, and so the answer is open."


def answer(evidence: Evidence) -> Answer:
    """The bowl, the network at one rate, the network at one final speed."""
    bowl, rate, pace = evidence.measured(NAME), groups_by_momentum(evidence, False), groups_by_momentum(evidence, True)
    verdict = agrees(bowl, rate)
    return Answer(
        [describe_quadratic(bowl), f"{describe_one_rate(rate)}{'' if verdict is not None else UNDECIDED}"],
        verdict,
        [plot_paths(bowl), plot_distances(bowl), plot_curves(rate, pace)],
        [("By momentum", _table(bowl, rate, pace))],
        [describe_one_pace(pace), describe_momentum_alone(rate, pace)],
    )


def describe_quadratic(bowl: dict[str, Any]) -> str:
    """Who arrives first, and how far beyond the minimum and how late the extreme one is."""
    none, extreme_one = "0", f"{EXTREME:g}"
    first = min(bowl, key=lambda momentum: _settled(bowl[momentum]))
    if bowl[first]["settled"] is None:
        return f"In the bowl no momentum is within 1 % of the start's distance in {bowl[first]['taken']:,} steps."
    who = "the path without momentum" if first == none else f"a momentum of {first}"
    text = (
        f"In the bowl {who} settles first: {_swings(bowl[first])} and stays within 1 % of the start's distance after "
        f"{bowl[first]['settled']:,} steps"
    )
    text += f"; without momentum that takes {_steps(bowl[none])}." if none in bowl and first != none else "."
    high = bowl[extreme_one]
    if first == extreme_one:
        return text
    late = (
        f"settles after {high['settled']:,} steps"
        if high["settled"] is not None
        else f"has not settled in {high['taken']:,} steps (by theory it will after {_rounded(high['predicted'])})"
    )
    return f"{text} {extreme_one} runs {100 * high['overshoot']:.0f} % past the minimum and {late}."


def _swings(of: dict[str, Any]) -> str:
    """How often it runs past the minimum until it has settled, as far as the drawn steps show."""
    far = f"{100 * of['overshoot']:.0f} %"
    if far == "0 %":
        return "it does not run past the minimum"
    if of["settled"] >= len(of["path"]):
        return f"it runs {far} past the minimum"
    often = passes(of["path"][: of["settled"] + 1])
    if often <= 1:
        return f"it runs {far} past the minimum once"
    return f"it runs past the minimum {'twice' if often == 2 else f'{often} times'}, by {far} at most,"


def agrees(bowl: dict[str, Any], rate: ByMomentum) -> bool | None:
    """Whether a momentum too close to 1 overshoots more and arrives later than the usual one, and trains worse.

    The rates that are lowered with the momentum take no part: with them it hardly moves, which is not overshooting.
    """
    usual, high = bowl[f"{USUAL:g}"], bowl[f"{EXTREME:g}"]
    overshoots = usual["overshoot"] < high["overshoot"] and _settled(usual) < _settled(high)
    return describe_extreme(rate)[1] if overshoots else False


def _settled(of: dict[str, Any]) -> float:
    return inf if of["settled"] is None else of["settled"]


def _steps(of: dict[str, Any]) -> str:
    return f"over {of['taken']:,}" if of["settled"] is None else f"{of['settled']:,}"


def _rounded(steps: float) -> str:
    """Three digits: more are of no use."""
    return f"{float(f'{steps:.3g}'):,.0f}"


def _table(bowl: dict[str, Any], rate: ByMomentum, pace: ByMomentum) -> Table:
    rows: list[list[Cell]] = []
    steps = steps_of(pace)
    for momentum, of in bowl.items():
        value = float(momentum)
        covered = share_of_distance(value, steps) if steps else nan
        rows.append(
            [
                (momentum, value),
                (_steps(of), _settled(of)),
                (_rounded(of["predicted"]), of["predicted"]),
                (f"{100 * of['overshoot']:.0f} %", of["overshoot"]),
                _accuracy(rate, value),
                _accuracy(pace, value),
                (format_percent(covered) if steps else "-", covered),
            ]
        )
    headings = ["momentum", "steps", "by theory", "past it"]
    return Table(
        [*headings, f"at {RATE:g}", f"at {PACE:g} (1 - momentum)", "of the way"],
        rows,
        "Steps: in the bowl, until it stays within 1 % of the start's distance; by theory: the same, from the factor "
        "by which the slower of the two directions shrinks each step. Past it: how far it runs past the minimum, as a "
        f"share of the start's distance. At {RATE:g}, at {PACE:g} (1 - momentum): validation accuracy of the network "
        "at these learning rates, at the epoch with the lowest validation loss, mean over the seeds. Of the way: how "
        f"far equal gradients carry it in {steps:,} steps, as a share of the way at the final speed.",
    )


def _accuracy(groups: ByMomentum, momentum: float) -> Cell:
    group = groups.get(momentum)
    return (describe_outcome(group), group.summary("metrics", "val_acc").mean) if group else ("-", nan)


_WIDE, _HIGH = 1.15 * START[0], 1.5 * START[1]


def plot_paths(found: dict[str, Any]) -> Plot:
    """The first steps of each momentum over the contours of the bowl."""
    with canvas(8.6, 4.2, 3, 2) as (figure, axes):
        x, y = np.meshgrid(np.linspace(-_WIDE, _WIDE, 80), np.linspace(-_HIGH, _HIGH, 60))
        heights = 0.5 * (CURVATURES[0] * x * x + CURVATURES[1] * y * y)
        for i, (one, (momentum, of)) in enumerate(zip(axes, found.items(), strict=False)):
            one.contour(x, y, heights, levels=8, colors="#C8C8C8", linewidths=0.7)
            path = np.array(of["path"])
            one.plot(path[:, 0], path[:, 1], color=COLORS[i], linewidth=0.9, alpha=0.8)
            one.plot(path[:, 0], path[:, 1], ".", color=COLORS[i], markersize=3)
            one.plot(*START, "o", color="#000000", markersize=5, markerfacecolor="none")
            one.plot(0, 0, "x", color="#000000", markersize=7, markeredgewidth=2)
            one.set_title(f"momentum {momentum}", fontsize=10)
            one.set_xlim(-_WIDE, _WIDE)
            one.set_ylim(-_HIGH, _HIGH)
            one.tick_params(labelsize=8)
            one.grid(visible=False)
        return Plot(
            "5_bowls",
            f"{DRAWN_STEPS} steps in a bowl",
            f"From the circle to the minimum (cross), all at a learning rate of {LR:g}; each dot is a step, the grey "
            "lines are of equal height. See which creeps along the bottom, which swings a little and is there, and "
            "how far up the other side each runs.",
            *render(figure),
        )


def plot_distances(found: dict[str, Any]) -> Plot:
    """How far from the minimum a path still comes, by step."""
    with canvas(6.4, 3.5) as (figure, (axes,)):
        for i, (momentum, of) in enumerate(found.items()):
            style = {**marked(i), "markevery": 12, "linewidth": 1.6, "label": f"momentum {momentum}"}
            axes.plot([step + 1 for step in of["steps"]], np.maximum(of["farthest"], 1e-4), **style)
        axes.axhline(NEAR, color="#7F7F7F", linewidth=1, linestyle="--")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("steps, from 1")
        axes.set_ylabel("farthest it still comes")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        legend_below(figure, axes)
        return Plot(
            "5_distances",
            "How far from the minimum it still comes",
            "In % of the start's distance, at this step or any later one, so that a swing through the minimum does "
            "not count as having arrived. Dashed: 1 %. See which momentum gets below it first, and whether some never "
            "do.",
            *render(figure),
        )


def plot_curves(rate: ByMomentum, pace: ByMomentum) -> Plot:
    """Validation accuracy of the deep network by epoch, at one rate and at one final speed."""
    lost = [
        f"at {title} with {m:g}"
        for title, of in (("one rate", rate), ("one final speed", pace))
        for m in of
        if of[m].others
    ]
    ended = f" Not all of their runs came to the end: {'; '.join(lost)}." if lost else ""
    with canvas(8.6, 3.6, 2, scale_a_row=True) as (figure, axes):
        for one, groups, title in zip(axes, (rate, pace), ("one learning rate", "one final speed"), strict=True):
            _draw(one, groups)
            one.set_title(title)
            one.set_xlabel("epochs")
        axes[0].set_ylabel("validation accuracy")
        axes[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        legend_below(figure, axes[0] if len(rate) >= len(pace) else axes[1])
        return Plot(
            "5_curves",
            "The deep network",
            "Left: one learning rate for all, so that a higher momentum is also a higher speed. Right: the rate "
            f"lowered so that equal gradients lead to the same final speed.{_describe_slow(pace)} Line: mean over the "
            f"seeds; band: from the lowest to the highest. Epochs are short, of a few hundred steps.{ended} See left "
            "which momentum learns fastest and which fall back or stay at guessing, and right which have hardly begun.",
            *render(figure),
        )


def _describe_slow(pace: ByMomentum) -> str:
    """Which momenta do not reach the final speed in the steps that there are."""
    steps = steps_of(pace)
    covered = {m: share_of_distance(m, steps) for m in pace} if steps else {}
    short = [f"{m:g} {format_percent(share)}" for m, share in covered.items() if share < ENOUGH]
    if not short:
        return ""
    return (
        f" High momenta reach it late. Of the way that they would go at that speed, {steps:,} steps cover: "
        f"{', '.join(short)}."
    )


def _draw(axes: Axes, groups: ByMomentum) -> None:
    for i, (momentum, group) in enumerate(groups.items()):
        runs: Sequence[Any] = [*group.runs.values()] or group.others
        lines = band([run.curve for run in runs if run.curve], "val/acc")
        style = {**marked(i), "linestyle": "-" if group.runs else ":", "linewidth": 1.6}
        axes.plot(lines.x, lines.mean, label=f"momentum {momentum:g}", **style)
        axes.fill_between(lines.x, lines.low, lines.high, color=COLORS[i], alpha=0.15, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)


SECTION = Section(
    "5",
    "5",
    "5. Momentum close to 1",
    "What happens with a momentum of 0.99999 in stochastic gradient descent?",
    "It picks up speed, runs past the minimum, comes back, runs past it again, and takes far longer to converge than "
    "with a smaller momentum.",
    answer,
    [ALL],
    [Measurement(NAME, descend)],
    [
        f"The bowl's curvatures are {CURVATURES[0]:g} along and {CURVATURES[1]:g} across, the learning rate {LR:g}. "
        "Equal gradients g lead to a final speed of lr g / (1 - momentum) a step: at one learning rate a higher "
        f"momentum is a higher speed. So the network is trained at a rate of {RATE:g} for all, and at {PACE:g} (1 - "
        "momentum), where the final speed is the same. After n steps 1 - momentum^n of it is reached. The verdict "
        "rests on the bowl and on the network at one learning rate. Where most runs diverge with the one momentum and "
        "none with the other, and the rest is worse than any of the other's, that counts as a cost.",
    ],
)
