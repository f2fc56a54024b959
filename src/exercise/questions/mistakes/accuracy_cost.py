"""What a mistake costs, in words, and whether that is more than the noise."""

from math import isnan

from exercise.formatting import compare_pair, describe_test, format_difference, format_seeds, verdict
from exercise.outcomes import guessing_accuracy, num_classes
from exercise.store import diverged_runs
from trainlab.report import Group
from trainlab.statistics import Difference, Interval

NEXT_TO_NOTHING = 1.5  # times the accuracy of guessing: up to there a network has learned next to nothing; a choice
FEWEST = 3  # runs a side: if all of one end worse than all of the other, chance does that in 1 of 20 orders


def describe_cost(wrong: Group, right: Group) -> tuple[str, bool | None]:
    """What ``wrong`` costs of validation accuracy compared with ``right``; whether it clearly does, None where open.

    Where some runs diverged the points are of the others, which says nothing in favour of the network that lost them.
    """
    if not right.runs:
        return f"No run of {right.label} was completed, so there is nothing to compare {wrong.label} with.", None
    if not wrong.runs:
        return _nothing_left(wrong, right)
    counts = _counts(wrong, right)
    if loses_most(wrong, right):
        return f"{counts} {_rest(wrong, right)}", True
    between = compare_pair(wrong, right).difference
    text, costs = _costs(wrong.label, right.label, between, len(wrong.runs))
    if costs and at_guessing(wrong.summary("metrics", "val_acc"), guessing_accuracy(wrong)):
        text += f" That is down to about guessing one of {num_classes(wrong)} classes, below which it cannot cost more."
    if not counts:
        return text, costs
    text = f"{counts} Of the others: {text[:1].lower()}{text[1:]}"
    favoured = right if costs else wrong
    if costs is None or not diverged_runs(favoured):
        return text, costs
    return f"{text} They do not cover the runs of {favoured.label} that diverged, so it is undecided.", None


def loses_most(wrong: Group, right: Group) -> bool:
    """Whether most runs of ``wrong`` diverged and none of ``right``, and each that is left is worse than any of it.

    Then all runs of the one end worse than all of the other, by counting: no interval is claimed.
    """
    lost, ours, theirs = len(diverged_runs(wrong)), _accuracies(wrong), _accuracies(right)
    if diverged_runs(right) or min(lost + len(ours), len(theirs)) < FEWEST:
        return False
    return lost > len(ours) and max(ours, default=0.0) < min(theirs)


def at_guessing(of: Interval, guessed: float) -> bool:
    """Whether a mean accuracy, and all of its interval, is no more than a little above that of guessing."""
    return of.mean + (0.0 if isnan(of.half_width) else of.half_width) <= NEXT_TO_NOTHING * guessed


def _nothing_left(wrong: Group, right: Group) -> tuple[str, bool | None]:
    lost, of = len(diverged_runs(wrong)), len(wrong.others)
    if not lost or lost < of:
        return f"No run of {wrong.label} was completed.", None
    if diverged_runs(right):
        return f"{_counts(wrong, right)} So it is left open what is due to the one that lost all.", None
    if min(of, len(right.runs)) < FEWEST:
        return f"{_counts(wrong, right)} Of so few runs nothing is claimed.", None
    return f"It costs everything: all {of} runs of {wrong.label} diverged.", True


def _counts(wrong: Group, right: Group) -> str:
    """How many runs of each diverged; "" where none did."""
    lost, others = len(diverged_runs(wrong)), len(diverged_runs(right))
    if not lost and not others:
        return ""
    of, of_others = lost + len(wrong.runs), others + len(right.runs)
    return (
        f"{lost or 'None'} of {of} runs of {wrong.label} diverged, {others or 'none'} of {of_others} of {right.label}."
    )


def _rest(wrong: Group, right: Group) -> str:
    """What became of the few runs that are left."""
    reached = _accuracies(wrong)
    which = "The other one" if len(reached) == 1 else f"The other {len(reached)}"
    most = "" if len(reached) == 1 else " at most"
    no_more = max(reached) <= guessing_accuracy(wrong)
    guess = f", no more than guessing one of {num_classes(wrong)} classes" if no_more else ""
    return (
        f"{which} reached {100 * max(reached):.1f} %{most}{guess}, and less than any run of {right.label}: with those "
        "that diverged as the worst, every run of the one is worse than every run of the other, which chance does in 1 "
        "of 20 orders of three and three (these are counts, without an interval)."
    )


def _accuracies(group: Group) -> list[float]:
    return [*group.of("metrics", "val_acc").values()]


def _costs(wrong: str, right: str, between: Difference, n: int) -> tuple[str, bool | None]:
    compared = f"{wrong} compared with {right}"
    points = f"{100 * abs(between.mean):.1f} ± {100 * between.half_width:.1f} points of validation accuracy"
    how = describe_test(between)
    match verdict(between):
        case "lower":
            return f"It costs {points}, more than the noise ({compared}, {how}).", True
        case "higher":
            return f"It costs nothing here: {wrong} is {points} ahead, more than the noise ({compared}, {how}).", False
        case "not distinguishable":
            found = f"{format_difference(between)} points of validation accuracy"
            return (
                f"What it costs is not larger than the noise of {format_seeds(n)} ({compared}: {found}, {how}).",
                None,
            )
    why = between.reason or "too few seeds"
    mean = "" if isnan(between.mean) else f" ({100 * between.mean:+.1f} points)"
    return f"Nothing can be claimed of {compared}{mean}: {why}.", None
