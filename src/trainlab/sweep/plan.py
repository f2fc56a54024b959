"""What a sweep has to do, as data. Who carries it out shares nothing with it but the file system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainlab.population.grouping import CAPPED, Candidate, groups, parts
from trainlab.runs.fingerprint import telling
from trainlab.sweep.resources import Memory

KEEP = "keep"  # it has come to an end: completed, or failed and not to be tried again
RUN = "run"
CONTINUE = "continue"
RETRY = "retry"
_PROCESS_BYTES = 2**30  # torch and CIFAR-10


@dataclass(frozen=True)
class Job:
    """A run of a sweep.

    Attributes:
        number: place in the sweep.
        overrides: as given, those that all jobs share too.
        folder: of the run.
        fingerprint: of its settings.
        identity: jobs that share it are one run, `trainlab.runs.fingerprint.identity`.
        todo: KEEP, RUN, CONTINUE or RETRY.
        devices: processes that it trains with; more than one only if it is yet to be trained.
        on_gpu: whether those are GPUs.
        max_epochs: None where there is no limit.
        settings: by which it is told from others, `trainlab.population.grouping.comparable`; of jobs to do.
        ineligible_reason: why it cannot be trained together with others; "" if it can.
        member_bytes: memory that it takes where it is trained together with others; an estimate.
    """

    number: int
    overrides: tuple[str, ...]
    folder: Path
    fingerprint: str
    todo: str
    identity: str = ""
    devices: int = 1
    on_gpu: bool = False
    max_epochs: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    ineligible_reason: str = ""
    member_bytes: int = 0


@dataclass(frozen=True)
class Item:
    """What is carried out in one go: a job, or several that are trained together.

    Attributes:
        jobs: by number.
        reason: why there is only one, where others were looked for.
    """

    jobs: tuple[Job, ...]
    reason: str = ""

    @property
    def devices(self) -> int:
        """Devices it needs at once."""
        return max(job.devices for job in self.jobs)

    @property
    def on_gpu(self) -> bool:
        """Whether those are GPUs."""
        return any(job.on_gpu for job in self.jobs)


def plan(
    jobs: Sequence[Job],
    most: int | None = 1,
    memory: Memory | None = None,
    slots: int = 1,
    gpus: int = 0,
) -> list[Item]:
    """Items in the order in which they start, that of their first jobs; jobs that have come to an end are in none.

    Args:
        jobs: of the sweep.
        most: to be trained together; None for as many as half of the memory holds.
        memory: that is free.
        slots: how many items run at once. Items are halved until there are so many.
        gpus: how many there are; an item has one to itself.
    """
    todo = [job for job in jobs if job.todo != KEEP]
    if most == 1:
        return [Item((job,)) for job in todo]
    by_number = {job.number: job for job in todo}
    at_once = min(slots, len(todo))
    items = []
    for group in groups([Candidate(job.number, job.settings, job.ineligible_reason) for job in todo]):
        members = [by_number[number] for number in group.numbers]
        room = _room(members, memory or Memory(), at_once)
        cap = min((limit for limit in (most, room) if limit is not None), default=None)
        alone = group.reason or ("there is no memory for two" if room == 1 else CAPPED.format(cap))
        items += [_item(part, alone) for part in parts(members, cap)]
    on_gpus = gpus > 0 and all(item.on_gpu for item in items)
    return sorted(_spread(items, min(at_once, gpus) if on_gpus else at_once), key=lambda item: item.jobs[0].number)


def slots_for(jobs: Sequence[Job], memory: Memory, threads: int, gpus: int) -> int:
    """How many items run at once where nobody says it: one a GPU; on the processor one a thread of it.

    Networks of this size are trained faster by processes with a thread each than by one whose small operations are
    divided. Jobs that have ended count, too: how sums are divided decides how they round, so what goes on after an
    interruption goes on with as many threads as before.

    Args:
        jobs: of the sweep.
        memory: that is free. Half of it holds what a process takes besides its members.
        threads: of the processor.
        gpus: how many there are.
    """
    todo = [job for job in jobs if job.todo != KEEP]
    if any(job.on_gpu for job in todo):
        return max(1, min(gpus, len(todo)))
    room = threads if memory.host is None else memory.host // 2 // _PROCESS_BYTES
    return max(1, min(threads, room, len(jobs)))


def _item(jobs: tuple[Job, ...], alone: str) -> Item:
    return Item(jobs, alone if len(jobs) == 1 else "")


def _room(members: Sequence[Job], memory: Memory, at_once: int) -> int | None:
    """How many of the members half of the memory holds: of a GPU, or of the processor's by those who run at once."""
    free = memory.gpu if members[0].on_gpu else memory.host
    each = max(job.member_bytes for job in members)
    if free is None or not each:
        return None
    return max(1, free // 2 // (1 if members[0].on_gpu else at_once) // each)


def _spread(items: Sequence[Item], slots: int) -> list[Item]:
    """The items, the largest ones halved until no slot is empty, as far as that goes."""
    spread = list(items)
    while spread and sum(item.devices for item in spread) < slots:
        largest = max(spread, key=lambda item: len(item.jobs))
        if len(largest.jobs) == 1:
            break
        spread.remove(largest)
        half = -(-len(largest.jobs) // 2)
        spread += [_item(part, f"{slots} run at once") for part in parts(largest.jobs, half)]
    return spread


def labels(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """What sets each job apart from the others."""
    every = [telling(overrides) for overrides in job_overrides]
    shared = set.intersection(*map(set, every)) if len(every) > 1 else set()
    return [" ".join(o for o in own if o not in shared) or " ".join(own) or "default" for own in every]
