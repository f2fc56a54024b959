"""Results of trained networks, and whether one converges faster than another or costs more.

Epochs have intervals over the seeds. Seconds of an epoch have none: seeds that are trained together share a clock, so
their spread says nothing of what another hour would show. Steps that are timed alternately stand in their place.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log, nan

import numpy as np

from exercise.formatting import accuracy_cells, format_accuracy
from exercise.step_costs import ratio_product
from exercise.store import diverged_runs
from trainlab.report import Cell, Group, compare_convergence, describe_convergence, format_epoch_seconds
from trainlab.statistics import Ratio


def describe_result(group: Group) -> str:
    """The accuracies of a group, and at which learning rate."""
    if not group.runs:
        return f"{group.label}: no run was completed, {len(diverged_runs(group))} of {len(group.others)} diverged."
    val, test = (format_accuracy(group.summary("metrics", name)) for name in ("val_acc", "test_acc"))
    lost, diverged = len(diverged_runs(group)), ""
    if lost:
        of = lost + len(group.runs)
        diverged = f" {lost} of {of} runs diverged: means are of the others, so no claim is made of it."
    return (
        f"{group.label}: validation accuracy {val}, test accuracy † {test}, at the epoch with the lowest validation "
        f"loss. {describe_learning_rate(group)}{diverged}"
    )


def describe_learning_rate(group: Group) -> str:
    """A sentence on where the learning rate is from, and on a search whose answer lies at the end of its range."""
    search = group.search
    if not search:
        return f"Learning rate {group.settings['optim.lr']:g}, given."
    rate = f"Learning rate {search['lr']:.2g}"
    if search["method"] == "range_test":
        return f"{rate}, found by a range test."
    (low, high), epochs = range_searched(group), group.settings.get("lr_search.epochs")
    length = f", in trainings of up to {epochs} epochs" if epochs else ""
    warning = " That is the end of the range: better ones may lie beyond." if is_at_an_end(group) else ""
    return f"{rate}, found by a grid from {low:.0e} to {high:.0e} on validation loss{length}.{warning}"


def rate_of(group: Group) -> float:
    """The learning rate that was found, or given."""
    return float(group.search["lr"] if group.search else group.settings.get("optim.lr", nan))


def is_at_an_end(group: Group) -> bool:
    """Whether the rate found is the lowest or the highest of those tried, so that a better one may lie beyond."""
    return group.search is not None and group.search["lr"] in range_searched(group)


def range_searched(group: Group) -> tuple[float, float]:
    """The lowest and the highest rate that was tried, of a group with a search."""
    assert group.search is not None
    tried = group.search["curve"]["lr"]
    return min(tried), max(tried)


def format_best_epochs(group: Group) -> str:
    """Epochs with the lowest validation loss: "13 to 15"."""
    return _format_range([round(epoch + 1) for epoch in group.of("metrics", "best_epoch").values()])


def describe_peaks(group: Group) -> str:
    """A sentence on when the validation loss was lowest, and the accuracy highest."""
    highest = [
        round(float(run.curve.epochs[np.nanargmax(run.curve.by_name["val/acc"])]))
        for run in group.runs.values()
        if run.curve
    ]
    return (
        f"The lowest validation loss came at epoch {format_best_epochs(group)}, the highest validation accuracy at "
        f"epoch {_format_range(highest)}."
    )


def _format_range(found: Sequence[int]) -> str:
    if not found:
        return "-"
    return f"{min(found)} to {max(found)}" if min(found) < max(found) else f"{found[0]}"


def result_cells(group: Group) -> list[Cell]:
    """Of a table: validation accuracy, test accuracy, seconds an epoch."""
    return [*accuracy_cells(group), (format_epoch_seconds(group), group.summary("time", "epoch_s").mean)]


def epochs_ratio(old: Group, new: Group) -> Ratio | None:
    """Epochs of the new one to a loss that both reach, over the old one's; None where a run does not beat guessing."""
    found = compare_convergence(old, new) if beats_guessing(old) and beats_guessing(new) else None
    return found.epochs_ratio if found else None


def epoch_ratios(old: Group, new: Group) -> dict[int, float]:
    """Epochs of the new one to a loss that both reach over the old one's, by seed; none where a run does not learn."""
    found: dict[int, float] = {}
    if beats_guessing(old) and beats_guessing(new):
        for seed in sorted(old.runs.keys() & new.runs.keys()):
            one = compare_convergence(*(replace(of, runs={seed: of.runs[seed]}) for of in (old, new)))
            found |= {seed: one.epochs_ratio.value} if one else {}
    return found


def takes_fewer_epochs(old: Group, new: Group) -> bool | None:
    """Whether the new one reaches a loss that both reach in clearly fewer epochs; False where in clearly more."""
    return is_less(epochs_ratio(old, new))


def time_to_as_low(old: Group, new: Group, step: Ratio | None) -> Ratio | None:
    """Time of the new one to that loss over the old one's: epochs times ``step``, new over old, of batches of one size.

    None where there is nothing to compare, or no step was timed.
    """
    epochs = epochs_ratio(old, new)
    return ratio_product(epochs, step) if epochs and step else None


def num_classes(group: Group) -> int:
    """Of the data that the runs of ``group`` were trained on."""
    return int(group.settings["model.num_classes"])


def guessing_accuracy(group: Group) -> float:
    """Accuracy of guessing one of the classes, each as often as the others."""
    return 1 / num_classes(group)


def beats_guessing(group: Group) -> bool:
    """Whether the validation loss of every run fell below that of naming all classes as equally probable."""
    return all(best < log(num_classes(group)) for best in _best_losses(group))


def describe_convergence_of(old: Group, new: Group) -> str:
    """Whether the new one converges faster, where all runs of both learn anything."""
    guessing = [_describe_guessing(group) for group in (old, new) if not beats_guessing(group)]
    return " ".join(guessing) or describe_convergence(old, new)


def _describe_guessing(group: Group) -> str:
    """How many runs fell below the loss of guessing."""
    guessing, losses = log(num_classes(group)), _best_losses(group)
    below = sum(best < guessing for best in losses)
    often = f"fell below {guessing:.2f}, that of guessing, in {below} of {len(losses)} runs"
    never = f"never fell below {guessing:.2f}, that of guessing"
    return f"The validation loss of {group.label} {often if below else never}."


def _best_losses(group: Group) -> list[float]:
    return [run.curve.best(run.metrics.primary) for run in group.runs.values() if run.curve]


def is_less(ratio: Ratio | None) -> bool | None:
    """Whether a ratio is below 1 with its whole interval; False where above, None where neither is clear."""
    if ratio is None:
        return None
    return True if ratio.high < 1 else False if ratio.low > 1 else None
