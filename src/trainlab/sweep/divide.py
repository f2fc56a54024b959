"""Jobs that are trained together are divided where a part of the machine would else have nothing to do."""

from collections.abc import Sequence
from dataclasses import replace

from trainlab.metrics_csv import read_rows
from trainlab.sweep.plan import CONTINUE, Item, Job

WORTH_S = 60.0  # that an item has run; to end it and to start its parts takes some five seconds


def can_be_divided(left: Sequence[Job], seconds: float) -> bool:
    """Whether what is left of an item can go on in parts, and it is worth it.

    Not on a GPU, which is hardly faster with half of them. Not before each has made an epoch: what precedes it, such as
    the search of a learning rate, would begin anew.

    Args:
        left: jobs of the item that have not come to an end.
        seconds: since it started.
    """
    if len(left) < 2 or seconds < WORTH_S or any(job.on_gpu for job in left):
        return False
    return all(read_rows(job.folder / "metrics.csv") for job in left)


def divided(jobs: Sequence[Job], parts: int) -> list[Item]:
    """Items of nearly equal sizes, at most ``parts``, that go on with ``jobs``.

    Neighbours in a sweep mostly differ in their seeds alone, and take as long as each other: they come into different
    items.
    """
    continued = [replace(job, todo=CONTINUE) for job in jobs]
    count = min(parts, len(jobs))
    return [Item(tuple(continued[first::count])) for first in range(count)]
