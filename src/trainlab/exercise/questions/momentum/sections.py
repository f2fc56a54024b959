"""Question 5 and how it is answered."""

from math import inf, nan
from typing import Any

from trainlab.exercise.evidence import Evidence
from trainlab.exercise.questions.momentum.bowl import CURVATURES, LR, NAME, descend
from trainlab.exercise.questions.momentum.drawn import bowls, curves, distances
from trainlab.exercise.questions.momentum.network import (
    ALL,
    EXTREME,
    PACE,
    RATE,
    USUAL,
    ByMomentum,
    at_one_pace,
    at_one_rate,
    due,
    extreme,
    extreme_told,
)
from trainlab.exercise.section import Answer, Measurement, Section
from trainlab.exercise.wording import all_hold, outcome
from trainlab.report.sections import Cell, Table


def answer(evidence: Evidence) -> Answer:
    """The bowl, the network at one rate, the network at one pace."""
    bowl, rate, pace = evidence.measured(NAME), at_one_rate(evidence), at_one_pace(evidence)
    return Answer(
        [bowl_told(bowl), extreme_told(rate, pace), due(rate, pace)],
        agrees(bowl, rate, pace),
        [bowls(bowl), distances(bowl), curves(rate, pace)],
        [("By momentum", _table(bowl, rate, pace))],
    )


def bowl_told(bowl: dict[str, Any]) -> str:
    """Who arrives first, and how far beyond the minimum and how late the extreme one is."""
    first = min(bowl, key=lambda momentum: _settled(bowl[momentum]))
    high = bowl[f"{EXTREME:g}"]
    late = (
        f"settles after {high['settled']:,} steps"
        if high["settled"] is not None
        else f"has not settled in {high['taken']:,} steps (by theory it will after {_rounded(high['predicted'])})"
    )
    if bowl[first]["settled"] is None:
        return f"In the bowl no momentum is within 1 % of the start's distance in {high['taken']:,} steps."
    return (
        f"In the bowl a momentum of {first} is the first to stay within 1 % of the start's distance, after "
        f"{bowl[first]['settled']:,} steps and {100 * bowl[first]['overshoot']:.0f} % beyond the minimum; without it "
        f"takes {_steps(bowl['0'])}, and {EXTREME:g} runs {100 * high['overshoot']:.0f} % beyond it and "
        f"{late}."
    )


def agrees(bowl: dict[str, Any], rate: ByMomentum, pace: ByMomentum) -> bool | None:
    """Whether a momentum too close to 1 overshoots more and arrives later than the usual one, and trains worse."""
    usual, high = bowl[f"{USUAL:g}"], bowl[f"{EXTREME:g}"]
    if usual["overshoot"] >= high["overshoot"] or _settled(usual) >= _settled(high):
        return False
    return all_hold(extreme(rate)[1], extreme(pace)[1])


def _settled(of: dict[str, Any]) -> float:
    return inf if of["settled"] is None else of["settled"]


def _steps(of: dict[str, Any]) -> str:
    return f"over {of['taken']:,}" if of["settled"] is None else f"{of['settled']:,}"


def _rounded(steps: float) -> str:
    """Three digits: more are of no use."""
    return f"{float(f'{steps:.3g}'):,.0f}"


def _table(bowl: dict[str, Any], rate: ByMomentum, pace: ByMomentum) -> Table:
    rows: list[list[Cell]] = []
    for momentum, of in bowl.items():
        value = float(momentum)
        rows.append(
            [
                (momentum, value),
                (_steps(of), _settled(of)),
                (_rounded(of["predicted"]), of["predicted"]),
                (f"{100 * of['overshoot']:.0f} %", of["overshoot"]),
                _accuracy(rate, value),
                _accuracy(pace, value),
            ]
        )
    headings = ["momentum", "steps", "by theory", "beyond"]
    return Table(
        [*headings, f"at rate {RATE:g}", f"at pace {PACE:g}"],
        rows,
        "Steps in the bowl until it stays within 1 % of the start's distance, and by theory from the slower mode's "
        "factor a step. Beyond: how far it runs past the minimum, as a share of the start's distance. At rate and "
        "pace: the network's validation accuracy at the epoch with the lowest validation loss, mean over the seeds.",
    )


def _accuracy(groups: ByMomentum, momentum: float) -> Cell:
    group = groups.get(momentum)
    return (outcome(group), group.summary("metrics", "val_acc").mean) if group else ("-", nan)


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
            f"{LR:g}. Equal gradients g add up to steps of lr g / (1 - momentum): at one learning rate a higher "
            f"momentum is a higher pace. So the network is trained at a rate of {RATE:g} for all, and at "
            f"{PACE:g} (1 - momentum).",
        ],
    ),
)
