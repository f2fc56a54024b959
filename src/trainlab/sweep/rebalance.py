"""Jobs that are trained together are divided where a part of the machine would else have nothing to do."""

from collections.abc import Sequence
from dataclasses import replace

from trainlab.sweep.plan import CONTINUE, Item, Job

WORTH_S = 60.0  # that an item has run, and goes on; to end it and to start its parts takes some five seconds
_COMPILED = 5  # times as long, since each part compiles anew
# Of a part. One job by itself is computed by other code, so that its rounding would depend on the clock.
FEWEST = 2


def can_be_divided(left: Sequence[Job], epochs: Sequence[int], begun: Sequence[int], seconds: float) -> bool:
    """Whether what is left of an item can go on in parts, and it is worth it.

    Not on a GPU, which is hardly faster with half of them. Not before each has made an epoch: what precedes it, such as
    the search of a learning rate, would begin anew.

    Args:
        left: jobs of the item that have not come to an end.
        epochs: that each has made.
        begun: that each had made when the item started.
        seconds: since then.
    """
    if len(left) < 2 * FEWEST or any(job.on_gpu for job in left):
        return False
    if any(now <= max(before, _required(job) - 1) for job, now, before in zip(left, epochs, begun, strict=True)):
        return False
    worth_s = WORTH_S * (_COMPILED if any(job.settings.get("compile") for job in left) else 1)
    epoch_s = seconds / max(now - before for now, before in zip(epochs, begun, strict=True))
    limits = [job.max_epochs for job in left]
    to_come = max(n - now for n, now in zip(limits, epochs, strict=True) if n) if all(limits) else float("inf")
    return seconds >= worth_s and to_come * epoch_s > worth_s


def divided(jobs: Sequence[Job], parts: int) -> list[Item]:
    """Items of nearly equal sizes, at most ``parts`` and of at least FEWEST jobs, that go on with ``jobs``.

    Neighbours in a sweep mostly differ in their seeds alone, and take as long as each other: they come into different
    items.
    """
    continued = [replace(job, todo=CONTINUE) for job in jobs]
    count = max(1, min(parts, len(jobs) // FEWEST))
    return [Item(tuple(continued[first::count])) for first in range(count)]


def _required(job: Job) -> int:
    """Epochs that an interruption waits for."""
    return job.settings.get("trainer.min_epochs") or 0
