"""Warnings about the runs of a report: which are left out, and what makes comparisons doubtful."""

import math
from collections.abc import Sequence

from trainlab.report.formatting import count_of
from trainlab.report.groups import Group, differing_hold_out
from trainlab.report.runs import LONG_EPOCH, Run, kinds_of


def run_warnings(groups: Sequence[Group], runs: Sequence[Run]) -> list[str]:
    """Runs that are left out, and what makes comparisons of the others doubtful."""
    found = []
    total = len(runs)
    if pruned := sum(run.status == "pruned" for run in runs):
        found.append(f"{_left_out(pruned, total, 'was ended early by the search', 'were ended early by the search')}.")
    if debug := sum(run.status == "debug" for run in runs):
        found.append(f"{_left_out(debug, total, 'is a debug run', 'are debug runs')}.")
    if continued := sum(bool(run.continued) for run in runs):
        verbs = "continues a run with other settings", "continue runs with other settings"
        found.append(f"{_left_out(continued, total, *verbs)}.")
    if without := [run for run in runs if run.status == "completed" and not math.isfinite(run.rank)]:
        metrics = ", ".join(dict.fromkeys(run.metrics.primary.label for run in without))
        found.append(f"{_left_out(len(without), total, f'has no finite {metrics}', f'have no finite {metrics}')}.")
    if len(kinds := kinds_of(runs)) > 1:
        compared, chosen = (
            ", ".join(dict.fromkeys(of.label for of in by)) for by in zip(*(of.kind for of in kinds), strict=True)
        )
        found.append(
            f"The runs differ in their metrics: groups are compared only where that is by the same one ({compared}), "
            f"and runs are ranked among those with the same primary metric ({chosen})."
        )
    if keys := differing_hold_out([group for group in groups if group.runs]):
        found.append(
            f"The groups differ in {', '.join(keys)}, so they do not hold the same images out for validation: a "
            "difference between such groups may come from the images, and they are not paired by seed."
        )
    if slow := sum(run.is_completed and run.had_a_long_epoch for run in runs):
        found.append(
            f"{slow} run{'s have' if slow > 1 else ' has'} an epoch more than {LONG_EPOCH} times "
            f"{'their' if slow > 1 else 'its'} median: something else ran, the machine slept, or the first epoch was "
            "compiled; seconds are not to be trusted."
        )
    if incomplete := [group.label for group in groups if group.runs and group.others]:
        found.append(
            f"Some seeds of {', '.join(incomplete[:5])}{' and others' if len(incomplete) > 5 else ''} did not "
            "complete: those that did may be the luckier ones."
        )
    found += filter(None, [describe_repeats(groups, total), describe_last_epochs(groups, runs)])
    return found


def describe_repeats(groups: Sequence[Group], total: int) -> str:
    """How many of ``total`` runs are left out because another has their settings and seed; "" if none."""
    repeats = sum(len(group.repeats) for group in groups)
    verbs = "repeats the settings and the seed of another", "repeat the settings and the seed of another"
    return f"{_left_out(repeats, total, *verbs)}: each seed counts once." if repeats else ""


def describe_last_epochs(groups: Sequence[Group], runs: Sequence[Run]) -> str:
    """That training may have been too short to rank the runs: in half of the completed ones the last epoch is best.

    "" if there are fewer. A run whose learning rate had fallen to a tenth by then ended as planned, and does not count.
    """
    completed = [run for run in runs if run.is_completed]
    last = sum(run.was_improving for run in completed)
    if not last or 2 * last < len(completed):
        return ""
    several = sum(bool(group.runs) for group in groups) > 1
    of = f"In {last} of {len(completed)} completed runs the" if len(completed) > 1 else "The"
    so = "the order may change" if several else "the model may become better"
    return f"{of} last epoch was the best: with longer training {so}."


def _left_out(n: int, total: int, one: str, several: str) -> str:
    """ "7 of 19 runs are debug runs and are left out of means and tests"."""
    return f"{count_of(n, total, one, several)} and {'is' if n == 1 else 'are'} left out of means and tests"
