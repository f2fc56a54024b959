"""The plan of a sweep, as data. The executors that run it share only the file system with it."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from trainlab.config.resolvers import CONF
from trainlab.config.run_folders import differing
from trainlab.loggers.hyperparameters import Value
from trainlab.population.grouping import kind_of
from trainlab.runs.numbers import short_number
from trainlab.sweep.resources import Memory
from trainlab.tasks.reported import DEFAULT, TaskMetrics

KEEP = "keep"  # it has ended: completed, or failed and not to be retried
RUN = "run"
CONTINUE = "continue"
RETRY = "retry"
TEST = "test"  # it is completed, and was trained with test=false
UNMATCHED = "no other run differs from it only in numbers"
OTHER_FOLDS = "no other run of its fold differs from it only in numbers; other folds have other training images"
OTHER_THREADS = "others that differ from it only in numbers were begun with another number of threads"
OFF = "sweep.population is off"
_PROCESS_BYTES = 2**30  # torch and CIFAR-10


@dataclass(frozen=True)
class Job:
    """A run of a sweep.

    Attributes:
        number: index in the sweep.
        overrides: all overrides, including those that jobs share.
        folder: folder of the run.
        fingerprint: fingerprint of its settings.
        identity: jobs that share it are one run, `trainlab.runs.fingerprint.identity`.
        todo: KEEP, RUN, CONTINUE, RETRY or TEST.
        devices: number of processes that it trains with; 1 if it is not to be trained.
        on_gpu: whether it trains on GPUs.
        max_epochs: None for no limit.
        settings: settings to compare jobs by, from `trainlab.population.grouping.comparable`; empty if it has ended.
        ineligible_reason: why it cannot be trained together with others; "" if it can.
        member_bytes: memory that it takes where it is trained together with others; an estimate.
        num_threads: of the CPU that its run was begun with; None for a new one, and where that is not known.
        metrics: those of its task.
        hyperparameters: as loggers get them, `trainlab.loggers.hyperparameters`.
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
    num_threads: int | None = None
    metrics: TaskMetrics = DEFAULT
    hyperparameters: Mapping[str, Value] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Item:
    """A unit of execution: a solo job, or a population of several.

    Attributes:
        jobs: by number, those that were begun first.
        reason: why a job runs solo; "" for a population.
    """

    jobs: tuple[Job, ...]
    reason: str = ""

    @property
    def devices(self) -> int:
        """Number of devices that it needs."""
        return max(job.devices for job in self.jobs)

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on GPUs."""
        return any(job.on_gpu for job in self.jobs)


def plan(
    jobs: Sequence[Job],
    most: int | None = 1,
    memory: Memory | None = None,
    slots: int = 1,
    gpus: int = 0,
) -> list[Item]:
    """Items in the order in which they start, without jobs that have ended.

    Args:
        jobs: jobs of the sweep.
        most: maximal size of a population; None for as many as fit in half of the memory.
        memory: free memory.
        slots: number of items that run at the same time. Items are halved until there are at least as many.
        gpus: number of GPUs; each item has its own.
    """
    todo = sorted((job for job in jobs if job.todo != KEEP), key=lambda job: job.number)
    if most == 1:
        return [Item((job,), OFF) for job in todo]
    at_once = min(slots, len(todo))
    groups: dict[tuple[Hashable, int | None], list[Job]] = defaultdict(list)
    begun: dict[Hashable, int | None] = {}
    for job in sorted(todo, key=lambda job: job.num_threads is None):  # new ones train with as many as others
        kind = job.number if job.ineligible_reason else kind_of(job.settings)
        begun.setdefault(kind, job.num_threads)
        groups[kind, job.num_threads or begun[kind]].append(job)
    items: list[Item] = []
    for (kind, _), members in groups.items():
        room = _room(members, memory or Memory(), at_once)
        cap = min((limit for limit in (most, room) if limit is not None), default=None)
        if len(members) == 1:
            unmatched = OTHER_FOLDS if "data.num_folds" in members[0].settings else UNMATCHED
            if sum(other == kind for other, _ in groups) > 1:
                unmatched = OTHER_THREADS
            solo_reason = members[0].ineligible_reason or unmatched
        else:
            solo_reason = "there is not enough memory for two" if room == 1 else f"at most {cap} runs per population"
        items += _items(members, cap, solo_reason)
    on_gpus = gpus > 0 and all(item.on_gpu for item in items)
    return sorted(_spread(items, min(at_once, gpus) if on_gpus else at_once), key=lambda item: item.jobs[0].number)


def slots_for(jobs: Sequence[Job], memory: Memory, threads: int, gpus: int) -> int:
    """Default number of items that run at the same time: one per GPU, or one per CPU thread.

    Small networks train faster in processes with one thread each than in one process that divides small operations
    among threads. Jobs that have ended count, too: the number of threads affects rounding, so a resumed sweep must use
    as many as before.

    Args:
        jobs: jobs of the sweep.
        memory: free memory; half of it is for the processes themselves, without their members.
        threads: number of CPU threads.
        gpus: number of GPUs.
    """
    todo = [job for job in jobs if job.todo != KEEP]
    if any(job.on_gpu for job in todo):
        return max(1, min(gpus, len(todo)))
    room = threads if memory.host is None else memory.host // 2 // _PROCESS_BYTES
    return max(1, min(threads, room, len(jobs)))


def _items(members: Sequence[Job], most: int | None, solo_reason: str) -> list[Item]:
    """``members`` in their order, in as few items of at most ``most`` as there can be, sizes equal or one apart."""
    count = -(-len(members) // most) if most else 1
    ends = [len(members) * i // count for i in range(count + 1)]
    return [Item(tuple(members[a:b]), solo_reason if b - a == 1 else "") for a, b in pairwise(ends)]


def _room(members: Sequence[Job], memory: Memory, at_once: int) -> int | None:
    """Number of members that fit in half of the memory of a GPU, or of the host, which ``at_once`` items may share."""
    free = memory.gpu if members[0].on_gpu else memory.host
    each = max(job.member_bytes for job in members)
    if free is None or not each:
        return None
    return max(1, free // 2 // (1 if members[0].on_gpu or memory.is_of_each else at_once) // each)


def _spread(items: Sequence[Item], slots: int) -> list[Item]:
    """Halve the largest items until every slot is used, or no item can be halved."""
    spread = list(items)
    while spread and sum(item.devices for item in spread) < slots:
        largest = max(spread, key=lambda item: len(item.jobs))
        if len(largest.jobs) == 1:
            break
        spread.remove(largest)
        spread += _items(largest.jobs, -(-len(largest.jobs) // 2), f"{slots} run at once")
    return spread


def labels(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Overrides in which each job differs from the others."""
    return [" ".join(own) or "default" for own in differing(job_overrides)]


def labels_by_number(jobs: Sequence[Job]) -> dict[int, str]:
    """Names of ``jobs`` by number, as reports name runs: "elu_he seed=3 lr=1e-3" of the overrides that differ.

    Options of groups come first and stand alone, settings have the last part of their keys where that is clear.
    """
    own = differing([job.overrides for job in jobs])
    keys = {override.lstrip("+").partition("=")[0] for overrides in own for override in overrides}
    last = Counter(key.rpartition(".")[2] for key in keys)

    def name(override: str) -> tuple[bool, str]:
        key, equals, value = override.lstrip("+").partition("=")
        if equals and value != "null" and (CONF / key).is_dir():
            return False, value
        short = key.rpartition(".")[2]
        return True, f"{short if last[short] == 1 else key}{equals}{short_number(value)}"

    names = [[text for _, text in sorted(map(name, overrides), key=lambda found: found[0])] for overrides in own]
    return {job.number: " ".join(words) or "default" for job, words in zip(jobs, names, strict=True)}
