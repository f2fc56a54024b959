"""Splits a population when cores would otherwise be idle."""

from collections.abc import Sequence
from dataclasses import replace

from trainlab.sweep.plan import CONTINUE, Item, Job

WORTH_S = 60.0  # minimal time that an item has run and has left; stopping it and starting its parts takes about 5 s
_COMPILED = 5  # times as long with compiled steps, as each part compiles again
# Jobs of a part. A solo job is computed by other code, so its rounding would depend on the clock.
MIN_JOBS = 2


def can_be_split(left: Sequence[Job], epochs: Sequence[int], begun: Sequence[int], seconds: float) -> bool:
    """Whether an item can be continued in parts, and is worth it.

    Not on a GPU, where half a population is hardly faster. Not before each job has trained an epoch: what precedes it,
    such as a learning-rate search, would be repeated.

    Args:
        left: jobs of the item that have not ended.
        epochs: epochs that each has trained.
        begun: epochs that each had trained when the item started.
        seconds: time since then.
    """
    if len(left) < 2 * MIN_JOBS or any(job.on_gpu for job in left):
        return False
    if any(now <= max(before, _required(job) - 1) for job, now, before in zip(left, epochs, begun, strict=True)):
        return False
    worth_s = WORTH_S * (_COMPILED if any(job.settings.get("compile") for job in left) else 1)
    epoch_s = seconds / max(now - before for now, before in zip(epochs, begun, strict=True))
    limits = [job.max_epochs for job in left]
    to_come = max(n - now for n, now in zip(limits, epochs, strict=True) if n) if all(limits) else float("inf")
    return seconds >= worth_s and to_come * epoch_s > worth_s


def split(jobs: Sequence[Job], parts: int) -> list[Item]:
    """At most ``parts`` items of nearly equal sizes, each with at least MIN_JOBS, that continue ``jobs``.

    Neighbours in a sweep often differ in their seeds only and take the same time, so they go into different items.
    """
    continued = [replace(job, todo=CONTINUE) for job in jobs]
    count = max(1, min(parts, len(jobs) // MIN_JOBS))
    return [Item(tuple(continued[first::count])) for first in range(count)]


def _required(job: Job) -> int:
    """Epochs that an interrupted run still trains."""
    return job.settings.get("trainer.min_epochs") or 0
