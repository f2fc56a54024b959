"""Question 5 and how it is answered."""

from math import inf, nan
from typing import Any

from exercise.formatting import describe_outcome
from exercise.questions.momentum.network import (
    ALL,
    EXTREME,
    PACE,
    RATE,
    USUAL,
    ByMomentum,
    at_one_pace,
    at_one_rate,
    describe_extreme,
    describe_momentum_alone,
    describe_one_pace,
    describe_one_rate,
    format_percent,
    share_of_distance,
    steps_of,
)
from exercise.questions.momentum.plots import plot_curves, plot_distances, plot_paths
from exercise.questions.momentum.quadratic import CURVATURES, LR, NAME, descend, passes
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence
from trainlab.report import Cell, Table


def answer(evidence: Evidence) -> Answer:
    """The bowl, the network at one rate, the network at one final speed."""
    bowl, rate, pace = evidence.measured(NAME), at_one_rate(evidence), at_one_pace(evidence)
    return Answer(
        [describe_quadratic(bowl), f"{describe_one_rate(rate)}{describe_undecided(bowl, rate)}"],
        agrees(bowl, rate),
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
    told = (
        f"In the bowl {who} settles first: {_swings(bowl[first])} and stays within 1 % of the start's "
        f"distance after {bowl[first]['settled']:,} steps"
    )
    told += f"; without momentum that takes {_steps(bowl[none])}." if none in bowl and first != none else "."
    high = bowl[extreme_one]
    if first == extreme_one:
        return told
    late = (
        f"settles after {high['settled']:,} steps"
        if high["settled"] is not None
        else f"has not settled in {high['taken']:,} steps (by theory it will after {_rounded(high['predicted'])})"
    )
    return f"{told} {extreme_one} runs {100 * high['overshoot']:.0f} % past the minimum and {late}."


def _swings(of: dict[str, Any]) -> str:
    """How often it runs past the minimum until it has settled, as far as the drawn steps tell."""
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
    return describe_extreme(rate)[1] if _overshoots(bowl) else False


def describe_undecided(bowl: dict[str, Any], rate: ByMomentum) -> str:
    """What it is that leaves the answer open; "" where it is not."""
    if agrees(bowl, rate) is not None:
        return ""
    return " In the bowl it is clear; that it harms the network, too, is not shown, and so the answer is open."


def _overshoots(bowl: dict[str, Any]) -> bool:
    usual, high = bowl[f"{USUAL:g}"], bowl[f"{EXTREME:g}"]
    return usual["overshoot"] < high["overshoot"] and _settled(usual) < _settled(high)


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


SECTIONS = (
    Section(
        "5",
        "5",
        "5. Momentum close to 1",
        "What happens with a momentum of 0.99999 in stochastic gradient descent?",
        "It picks up speed, runs past the minimum, comes back, runs past it again, and takes far longer to converge "
        "than with a smaller momentum.",
        answer,
        [ALL],
        [Measurement(NAME, descend)],
        [
            f"The bowl's curvatures are {CURVATURES[0]:g} along and {CURVATURES[1]:g} across, the learning rate "
            f"{LR:g}. Equal gradients g lead to a final speed of lr g / (1 - momentum) a step: at one learning rate a "
            f"higher momentum is a higher speed. So the network is trained at a rate of {RATE:g} for all, and at "
            f"{PACE:g} (1 - momentum), where the final speed is the same. After n steps 1 - momentum^n of it is "
            "reached. The verdict rests on the bowl and on the network at one learning rate. Where most runs diverge "
            "with the one momentum and none with the other, and the rest is worse than any of the other's, that "
            "counts as a cost.",
        ],
    ),
)
