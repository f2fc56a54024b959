"""Question 5 and how it is answered."""

from math import nan
from typing import Any

from exercise.formatting import describe_outcome
from exercise.questions.momentum.network import (
    ALL,
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
    plot_curves,
    share_of_distance,
    steps_of,
)
from exercise.questions.momentum.quadratic import (
    CURVATURES,
    LR,
    NAME,
    descend,
    describe_quadratic,
    format_rounded,
    format_steps,
    plot_distances,
    plot_paths,
    settled_steps,
)
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence
from trainlab.report import Cell, Table

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


def agrees(bowl: dict[str, Any], rate: ByMomentum) -> bool | None:
    """Whether a momentum too close to 1 overshoots more and arrives later than the usual one, and trains worse.

    The rates that are lowered with the momentum take no part: with them it hardly moves, which is not overshooting.
    """
    usual, high = bowl[f"{USUAL:g}"], bowl[f"{EXTREME:g}"]
    overshoots = usual["overshoot"] < high["overshoot"] and settled_steps(usual) < settled_steps(high)
    return describe_extreme(rate)[1] if overshoots else False


def _table(bowl: dict[str, Any], rate: ByMomentum, pace: ByMomentum) -> Table:
    rows: list[list[Cell]] = []
    steps = steps_of(pace)
    for momentum, of in bowl.items():
        value = float(momentum)
        covered = share_of_distance(value, steps) if steps else nan
        rows.append(
            [
                (momentum, value),
                (format_steps(of), settled_steps(of)),
                (format_rounded(of["predicted"]), of["predicted"]),
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
