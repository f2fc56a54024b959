"""What a mistake costs, in words, and whether that is more than the noise."""

from math import isnan

from trainlab.exercise.evidence import diverged
from trainlab.exercise.wording import pair_of, seeds, signed, verdict
from trainlab.report.groups import Group
from trainlab.report.statistics import Difference
from trainlab.report.verdicts import p_value


def price(wrong: Group, right: Group) -> tuple[str, bool | None]:
    """What ``wrong`` costs of validation accuracy beside ``right``; whether it clearly does, None where open.

    Where some runs diverged the figure is of the others, which says nothing in favour of the network that lost them.
    """
    lost = len(diverged(wrong))
    if not right.runs:
        return f"No run of {right.label} was completed, so there is nothing to set {wrong.label} beside.", None
    if not wrong.runs:
        of = len(wrong.others)
        if lost and lost == of:
            return f"It costs everything: all {of} runs of {wrong.label} diverged.", True
        return f"No run of {wrong.label} was completed.", None
    between = pair_of(wrong, right).difference
    said, costs = _costs(wrong.label, right.label, between, len(wrong.runs))
    said += "".join(map(_left_out, (wrong, right)))
    favoured = right if costs else wrong
    return said, None if diverged(favoured) else costs


def _left_out(group: Group) -> str:
    lost, left = len(diverged(group)), len(group.runs)
    if not lost:
        return ""
    return f" {lost} of {left + len(group.others)} runs of {group.label} diverged: the figure is of the other {left}."


def _costs(wrong: str, right: str, between: Difference, n: int) -> tuple[str, bool | None]:
    beside = f"{wrong} beside {right}"
    points = f"{100 * abs(between.mean):.1f} ± {100 * between.half_width:.1f} points of validation accuracy"
    p = p_value(between.p)
    how = f"95 %, {'paired t' if between.method == 'paired' else 'Welch'}, p {p if p.startswith('<') else f'= {p}'}"
    match verdict(between):
        case "lower":
            return f"It costs {points}, more than the noise ({beside}, {how}).", True
        case "higher":
            return f"It costs nothing here: {wrong} is {points} ahead, more than the noise ({beside}, {how}).", False
        case "not distinguishable":
            found = f"{signed(between)} points of validation accuracy"
            return f"What it costs is not larger than the noise of {seeds(n)} ({beside}: {found}, {how}).", None
    why = between.reason or "too few seeds"
    mean = "" if isnan(between.mean) else f" ({100 * between.mean:+.1f} points)"
    return f"{beside}{mean}: nothing can be claimed, {why}.", None
