"""What trained networks came to, and whether one converges faster than another or costs more.

Epochs have intervals over the seeds. Seconds have none: seeds that are trained together share a clock, so their spread
says nothing of what another hour would show. A margin stands in its place.
"""

from math import nan

from trainlab.exercise.evidence import diverged
from trainlab.exercise.wording import accuracy
from trainlab.report.convergence import convergence
from trainlab.report.groups import Group
from trainlab.report.sections import Cell
from trainlab.report.statistics import ratio
from trainlab.report.verdicts import seconds_an_epoch

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


def cells(group: Group) -> list[Cell]:
    """Of a table: validation accuracy, test accuracy, seconds an epoch."""
    val, test = (group.summary("metrics", name) for name in ("val_acc", "test_acc"))
    return [
        (accuracy(val), val.mean),
        (accuracy(test), test.mean),
        (seconds_an_epoch(group), group.summary("time", "epoch_s").mean),
    ]


def is_dearer(old: Group, new: Group) -> bool | None:
    """Whether an epoch of the new one takes longer; False where it takes less time, None where they are close."""
    less = _epoch_ratio(new, old)
    return _is_less(less, less, CLOSE)


def takes_fewer_epochs(old: Group, new: Group) -> bool | None:
    """Whether the new one comes to a loss that both come to in clearly fewer epochs; False where in clearly more."""
    found = convergence(old, new)
    return _is_less(found.common_epochs_ratio.low, found.common_epochs_ratio.high, 1) if found else None


def takes_less_time(old: Group, new: Group) -> bool | None:
    """The same in seconds: the interval of the epochs times what an epoch takes, and by more than the margin."""
    found, each = convergence(old, new), _epoch_ratio(old, new)
    return (
        _is_less(found.common_epochs_ratio.low * each, found.common_epochs_ratio.high * each, CLOSE) if found else None
    )


def _epoch_ratio(old: Group, new: Group) -> float:
    """What an epoch of the new one takes over what one of the old one takes; NaN where that is not known."""
    ours, theirs = new.of("time", "epoch_s"), old.of("time", "epoch_s")
    return ratio(ours, theirs).value if ours and theirs else nan


def _is_less(low: float, high: float, margin: float) -> bool | None:
    """Whether a ratio in an interval is below 1 by the margin; False where it is above, None where neither is clear."""
    return True if high < 1 / margin else False if low > margin else None
