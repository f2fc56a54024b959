"""What trained networks came to, beside each other: accuracy, epochs, seconds.

Epochs have intervals over the seeds. Seconds have none: seeds that are trained together share a clock, so their spread
says nothing of what another hour would show. A margin stands in its place.
"""

from math import isnan

from trainlab.exercise.evidence import diverged
from trainlab.exercise.wording import accuracy, times
from trainlab.report.convergence import convergence
from trainlab.report.groups import Group, saw_other_images
from trainlab.report.sections import Cell
from trainlab.report.statistics import Ratio, ratio
from trainlab.report.verdicts import not_compared

CLOSE = 1.1  # ratio of times up to which none is called longer
_FOUND = {"grid": "by a grid on validation loss", "range_test": "by a range test"}


def reached(group: Group) -> str:
    """What a group came to, and at which learning rate."""
    if not group.runs:
        return f"{group.label}: no run was completed, {len(diverged(group))} of {len(group.others)} diverged."
    if group.search:
        rate = f"{group.search['lr']:.2g}, found {_FOUND[group.search['method']]}"
    else:
        rate = f"{group.settings['optim.lr']:g}, given"
    val, test = (accuracy(group.summary("metrics", name)) for name in ("val_acc", "test_acc"))
    return (
        f"{group.label}: validation accuracy {val}, test accuracy † {test}, at the epoch with the lowest validation "
        f"loss. Learning rate {rate}."
    )


def best_epochs(group: Group) -> str:
    """Epochs with the lowest validation loss: "13 to 15"."""
    found = [round(epoch + 1) for epoch in group.of("metrics", "best_epoch").values()]
    if not found:
        return "-"
    return f"{min(found)} to {max(found)}" if min(found) < max(found) else f"{found[0]}"


def epoch_s(group: Group) -> str:
    """Seconds of an epoch; of seeds that were trained together, a share of the time of all."""
    found = group.summary("time", "epoch_s")
    return f"{found.mean:.1f}" if found.n else "-"


def cells(group: Group) -> list[Cell]:
    """Of a table: validation accuracy, test accuracy, seconds an epoch."""
    val, test = (group.summary("metrics", name) for name in ("val_acc", "test_acc"))
    return [
        (accuracy(val), val.mean),
        (accuracy(test), test.mean),
        (epoch_s(group), group.summary("time", "epoch_s").mean),
    ]


def an_epoch(old: Group, new: Group) -> str:
    """A sentence on what an epoch of the new one costs."""
    if saw_other_images(old, new):
        return not_compared(old, new)
    longer = _epoch_ratio(old, new)
    if isnan(longer):
        return f"There are no times to compare {old.label} and {new.label} with."
    return (
        f"An epoch of {new.label} takes {longer:.2f} times as long as one of {old.label}: {epoch_s(new)} s against "
        f"{epoch_s(old)} s."
    )


def is_dearer(old: Group, new: Group) -> bool | None:
    """Whether an epoch of the new one takes longer; False where it takes less time, None where they are close."""
    return _beyond(Ratio(*[_epoch_ratio(old, new)] * 3), CLOSE)


def converging(old: Group, new: Group) -> str:
    """A sentence on what the new one takes to a validation loss that both come to."""
    if saw_other_images(old, new):
        return not_compared(old, new)
    found = convergence(old, new)
    if found is None:
        return f"There is no validation loss by epoch to compare {old.label} and {new.label} with."
    epochs = found.common_epochs_ratio
    clear = {True: "more", False: "fewer", None: "not clearly different"}[_beyond(epochs, 1)]
    claim = "no claim" if isnan(epochs.low) else clear
    seconds = epochs.value * _epoch_ratio(old, new)
    return (
        f"To the higher of the two best validation losses ({found.common:.4f}) {new.label} takes {times(epochs)} the "
        f"epochs of {old.label}: {claim}{'' if isnan(seconds) else f'; and {seconds:.2f} times the seconds'}."
    )


def takes_fewer_epochs(old: Group, new: Group) -> bool | None:
    """Whether the new one comes to a loss that both come to in clearly fewer epochs; False where in clearly more."""
    found = convergence(old, new)
    return None if found is None else _contrary(_beyond(found.common_epochs_ratio, 1))


def takes_less_time(old: Group, new: Group) -> bool | None:
    """The same in seconds: the interval of the epochs times what an epoch takes, and by more than the margin."""
    found = convergence(old, new)
    if found is None:
        return None
    epochs, each = found.common_epochs_ratio, _epoch_ratio(old, new)
    return _contrary(_beyond(Ratio(epochs.value * each, epochs.low * each, epochs.high * each), CLOSE))


def _epoch_ratio(old: Group, new: Group) -> float:
    """What an epoch of the new one takes over what one of the old one takes; NaN where that is not known."""
    ours, theirs = new.of("time", "epoch_s"), old.of("time", "epoch_s")
    return ratio(ours, theirs).value if ours and theirs else float("nan")


def _beyond(of: Ratio, margin: float) -> bool | None:
    """Whether a ratio lies above the margin; False where it lies below its inverse, None where neither is clear."""
    return True if of.low > margin else False if of.high < 1 / margin else None


def _contrary(claim: bool | None) -> bool | None:
    return None if claim is None else not claim
