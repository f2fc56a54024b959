"""SGD with momentum in a bowl of two dimensions, twenty times as steep across as along."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from exercise.plots import marked
from exercise.questions.momentum.network import EXTREME, MOMENTA
from exercise.store import Evidence, Measured
from trainlab.report import COLORS, Plot, canvas, legend_below, render

NAME = "question_5_bowl"
CURVATURES = (1.0, 20.0)  # along and across
START = (10.0, 3.0)
LR = 0.02
MOST_STEPS, QUICK_STEPS = 20_000, 2_000
NEAR = 0.01  # of the start's distance
STILL = 1e-4  # of it; what is as near and as slow stays near
DRAWN_STEPS = 150
PLACES = 120  # of the curve of distances
_WIDE, _HIGH = 1.15 * START[0], 1.5 * START[1]  # of a plot

Points = Sequence[tuple[float, float]]


def path(momentum: float, most: int) -> list[tuple[float, float]]:
    """Places after 0, 1, ... steps of torch's SGD, up to where it rests, or ``most``."""
    place = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    curvatures = torch.tensor(CURVATURES, dtype=torch.float64)
    optimizer = torch.optim.SGD([place], lr=LR, momentum=momentum)
    points = [START]
    for _ in range(most):
        place.grad = curvatures * place.detach()
        optimizer.step()
        x, y = place.tolist()
        points.append((x, y))
        if max(math.hypot(x, y), math.dist(points[-1], points[-2])) < STILL * math.hypot(*START):
            break
    return points


def summarize(points: Points, momentum: float) -> Measured:
    """Figures of a path.

    Returns:
        `overshoot`: how far beyond the minimum it went, along the bowl, as a share of the start's distance along it.
        `settled`: steps after which it stayed within ``NEAR``; None if it never did. `predicted`: steps to ``NEAR`` by
        the slower of the two modes. `path`: the steps that are drawn. `farthest`: at each of `steps`, how far from the
        minimum it still gets, as a share of the start's distance. `taken`: all steps.
    """
    start, later = math.hypot(*START), farthest_yet(points)
    steps = sorted({round(len(points) ** (i / (PLACES - 1))) - 1 for i in range(PLACES)})
    return {
        "overshoot": max(0.0, *(-x / START[0] for x, _ in points)),
        "settled": next((step for step, distance in enumerate(later) if distance <= NEAR * start), None),
        "predicted": math.log(NEAR) / math.log(factor(momentum)),
        "path": points[: DRAWN_STEPS + 1],
        "steps": steps,
        "farthest": [later[step] / start for step in steps],
        "taken": len(points) - 1,
    }


def farthest_yet(points: Points) -> list[float]:
    """The largest distance to the minimum that a path still has, at each step or after it."""
    distances = [math.hypot(x, y) for x, y in points]
    for step in range(len(distances) - 2, -1, -1):
        distances[step] = max(distances[step], distances[step + 1])
    return distances


def passes(points: Points) -> int:
    """How often it runs past the minimum, along the bowl, by more than ``NEAR`` of the start's distance along it."""
    beyond = [x > 0 for x, _ in points if abs(x) > NEAR * START[0]]
    return sum(a is not b for a, b in pairwise(beyond))


def factor(momentum: float) -> float:
    """By which the slower mode shrinks a step: the larger root of z^2 - (1 + m - lr c) z + m, for either curvature c.

    Polyak (1964). Below a discriminant of zero it oscillates, and the root's size is sqrt(m) whatever the rate is.
    """

    def root(curvature: float) -> float:
        half = (1 + momentum - LR * curvature) / 2
        discriminant = half * half - momentum
        return math.sqrt(momentum) if discriminant < 0 else abs(half) + math.sqrt(discriminant)

    return max(map(root, CURVATURES))


def descend(evidence: Evidence) -> Measured:
    """Paths and their figures by momentum."""
    most = QUICK_STEPS if evidence.setting.quick else MOST_STEPS
    return {f"{momentum:g}": summarize(path(momentum, most), momentum) for momentum in MOMENTA}


def describe_quadratic(bowl: Measured) -> str:
    """Who arrives first, and how far beyond the minimum and how late the extreme one is."""
    none, extreme_one = "0", f"{EXTREME:g}"
    first = min(bowl, key=lambda momentum: settled_steps(bowl[momentum]))
    if bowl[first]["settled"] is None:
        return f"In the bowl no momentum is within 1 % of the start's distance in {bowl[first]['taken']:,} steps."
    who = "the path without momentum" if first == none else f"a momentum of {first}"
    text = (
        f"In the bowl {who} settles first: {_swings(bowl[first])} and stays within 1 % of the start's distance after "
        f"{bowl[first]['settled']:,} steps"
    )
    text += f"; without momentum that takes {format_steps(bowl[none])}." if none in bowl and first != none else "."
    high = bowl[extreme_one]
    if first == extreme_one:
        return text
    late = (
        f"settles after {high['settled']:,} steps"
        if high["settled"] is not None
        else f"has not settled in {high['taken']:,} steps (by theory it will after {format_rounded(high['predicted'])})"
    )
    return f"{text} {extreme_one} runs {100 * high['overshoot']:.0f} % past the minimum and {late}."


def _swings(of: Measured) -> str:
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


def settled_steps(of: Measured) -> float:
    """Steps after which a path stays near the minimum; infinite if it never does."""
    return math.inf if of["settled"] is None else of["settled"]


def format_steps(of: Measured) -> str:
    """The same in words, "over 2,000"."""
    return f"over {of['taken']:,}" if of["settled"] is None else f"{of['settled']:,}"


def format_rounded(steps: float) -> str:
    """Three digits: more are of no use."""
    return f"{float(f'{steps:.3g}'):,.0f}"


def plot_paths(found: Measured) -> Plot:
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
            one.set(xlim=(-_WIDE, _WIDE), ylim=(-_HIGH, _HIGH))
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


def plot_distances(found: Measured) -> Plot:
    """How far from the minimum a path still comes, by step."""
    with canvas(6.4, 3.5) as (figure, (axes,)):
        for i, (momentum, of) in enumerate(found.items()):
            style = {**marked(i), "markevery": 12, "linewidth": 1.6, "label": f"momentum {momentum}"}
            axes.plot([step + 1 for step in of["steps"]], np.maximum(of["farthest"], 1e-4), **style)
        axes.axhline(NEAR, color="#7F7F7F", linewidth=1, linestyle="--")
        axes.set(xscale="log", yscale="log", xlabel="steps, from 1", ylabel="farthest it still comes")
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
