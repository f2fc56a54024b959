"""Runs items as command lines in processes that outlive this one, on this machine or others."""

import contextlib
import itertools
import math
import shutil
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainlab.processes import INTERRUPTED
from trainlab.runs.heartbeat import holder_of, observe
from trainlab.runs.starts import note_start, starts_in_a_row
from trainlab.sweep.executors.executor import CANCEL, LEAVE, QUEUED, RUNNING, STOP, Ended, Executor, Program
from trainlab.sweep.executors.remote_item import Remote, earlier_items, write_item
from trainlab.sweep.items import ITEMS, NOTICES, check_executor, items_of
from trainlab.sweep.outcome import has_ended
from trainlab.sweep.plan import Item, Job
from trainlab.sweep.resources import Memory

_AT_ONCE = 16  # items that run at the same time, unless the user says how many
_POLL_S, _POLL_EACH_S = 0.5, 0.002  # between two looks at an item: at least, and for each of all
_PATIENCE_S = 5.0  # from the end of a process until its files are seen, where a file system caches attributes
_ANSWER_S, _REFUSED_S = 5.0, 60.0  # until jobs are submitted again that did not reach the scheduler, or were refused
# Memory that items have on other machines, where nobody says it: what small partitions and small GPUs give.
_HOST_BYTES, _GPU_BYTES = 2 * 2**30, 8 * 2**30


class NotTaken(Exception):
    """A scheduler does not take a submission; the message says why, in one line."""


class Silent(NotTaken):
    """A scheduler does not answer; the same submission may be taken later."""


class RemoteExecutor(Executor[Remote]):
    """Base of executors that run command lines.

    What an item is and how it has ended are files in the folder of the sweep; whoever starts the sweep again finds
    them. A subclass starts command lines, and says of each whether it is queued, runs or is gone.

    Args:
        cpus: threads of an item, for each of its devices.
        mem_gb: memory of an item in GiB; None for what the scheduler gives.
        gpus: of an item.
        restarts: how often in a row a run is started again without a new checkpoint.
        on_interrupt: what Ctrl-C does to running jobs: stop (after their epoch, saved), leave or cancel.

    Attributes:
        name: the option of `sweep/executor`.
        queues: whether more items of a detached sweep than there are slots can be submitted: it limits itself how many
            of them run at the same time.
        is_here: whether items run on this machine, whose memory and GPUs they share.
    """

    shares_clock = False
    can_leave = True
    queues = False
    is_here = False
    name: str

    def __init__(self, cpus: int, mem_gb: float | None, gpus: int, restarts: int, on_interrupt: str) -> None:
        if cpus < 1:
            raise ValueError(f"cpus must be at least 1, got {cpus}; set sweep.executor.cpus")
        if mem_gb is not None and mem_gb <= 0:
            raise ValueError(f"mem_gb must be above 0, got {mem_gb}; set sweep.executor.mem_gb")
        if gpus < 0:
            raise ValueError(f"gpus must be at least 0, got {gpus}; set sweep.executor.gpus")
        if restarts < 0:
            raise ValueError(f"restarts must be at least 0, got {restarts}; set sweep.executor.restarts")
        if on_interrupt not in (STOP, LEAVE, CANCEL):
            rule = "on_interrupt must be stop, leave or cancel"
            raise ValueError(f"{rule}, got {on_interrupt!r}; set sweep.executor.on_interrupt")
        self.cpus, self.mem_gb, self.gpus = cpus, mem_gb, gpus
        self.restarts, self.on_interrupt = restarts, on_interrupt
        self._live: list[Remote] = []
        self._failed = False
        self._unused, self._waiting = 0, 0  # slots that no array of a detached sweep has; items that are not submitted
        self._at_most, self._again_at = math.inf, math.inf  # live items, until a time by time.monotonic
        self._has_said = False  # that a scheduler takes no more
        self._ended_s = -math.inf  # when an item has ended, by time.monotonic

    @abstractmethod
    def start(self, items: Sequence[Remote], commands: Sequence[Sequence[str]]) -> Sequence[str]:
        """Have the command lines started, one for each of ``items``. Returns the ids of the first ones, which were.

        Raises:
            NotTaken: none was taken.
        """

    @abstractmethod
    def look(self, submitted: Remote) -> str | Ended:
        """QUEUED, RUNNING, or how it has ended as far as that is known without its record."""

    @abstractmethod
    def interrupt(self, submitted: Remote) -> bool:
        """Send SIGINT to a running item. Returns whether that could be sent."""

    @abstractmethod
    def cancel(self, submitted: Remote) -> bool:
        """End an item that is queued or runs. Returns whether that could be sent."""

    def about(self, id_: str) -> Mapping[str, Any]:
        """What is to be known of an item that was started, besides its id."""
        return {}

    def capacity(self, jobs: Sequence[Job], memory: Memory, gpus: int) -> tuple[int, Memory, int]:
        """See `Executor`. Of other machines, a plan supposes the same whatever this one has and does."""
        free = memory if self.is_here else Memory(_HOST_BYTES, _GPU_BYTES, is_of_each=True)
        if self.mem_gb is not None:
            free = replace(free, host=int(self.mem_gb * 2**30), is_of_each=True)
        return self.at_once, free, gpus if self.is_here else 0

    @property
    def gpus_elsewhere(self) -> int | None:  # type: ignore[override]  # which is writable there
        """See `Executor`."""
        return None if self.is_here else self.gpus

    @property
    def is_settled(self) -> bool:  # type: ignore[override]  # which is writable there
        """See `Executor`."""
        return self._at_most > 0 and all(one.gone_since is None for one in self._live)

    @property
    def at_once(self) -> int:
        """Items that run at the same time unless the user says how many."""
        return _AT_ONCE

    @contextlib.contextmanager
    def opened(self, program: Program, slots: int, gpus: int) -> Iterator[Path]:
        """See `Executor`. What runs at the end is left."""
        self._program, self._slots = program, slots
        self._unused = slots - len(self._live)
        self.folder = program.folder / ITEMS
        has_earlier = self.folder.exists()
        self.folder.mkdir(exist_ok=True)
        try:
            yield self.folder / NOTICES
        finally:
            # Logs of a scheduler are of use after a failure only.
            if not self._failed and not items_of(program.folder) and not (has_earlier and _are_named(program.folder)):
                shutil.rmtree(self.folder, ignore_errors=True)

    def submit(self, items: Sequence[Item]) -> Sequence[Remote]:
        """See `Executor`.

        Raises:
            ValueError: the scheduler does not take it, and nothing runs, or has just ended, that could change that.
        """
        now = time.monotonic()
        if now >= self._again_at:
            self._again_at, self._at_most = math.inf, math.inf
        room = self._slots - len(self._live)
        if self.queues and self._program.detach:
            room = len(items) if self._unused > 0 else 0
        self._waiting = len(items)
        room = int(min(len(items), room, self._at_most - len(self._live)))
        if room < 1:
            return []
        taken, needs = [*itertools.islice(items, room)], (items[0].devices, items[0].on_gpu)
        taken = [*itertools.takewhile(lambda item: (item.devices, item.on_gpu) == needs, taken)]
        while True:
            made = [write_item(self._program, item, self.cpus, self.restarts) for item in taken]
            try:
                ids = self.start(made, [self._program.command(one.files.path) for one in made])
            except NotTaken as refusal:
                for one in made:
                    one.files.remove()
                if isinstance(refusal, Silent):
                    self._again_at, self._at_most = now + _ANSWER_S, 0
                    return []
                if len(taken) == 1:
                    self._refused(refusal)
                    return []
                del taken[len(taken) // 2 :]  # a limit may leave room for some
                continue
            for one, id_ in zip(made, ids, strict=False):
                one.id = id_
                one.files.write_submitted(self.name, id_, self.about(id_))
            for one in made[len(ids) :]:
                one.files.remove()
            self._live += made[: len(ids)]
            return made[: len(ids)]

    def _refused(self, refusal: NotTaken) -> None:
        """Wait for the end of a job, or a minute. A scheduler counts a job for a while after its end is recorded."""
        now = time.monotonic()
        if not self._live and now > self._ended_s + _REFUSED_S:
            raise ValueError(f"{refusal}; set sweep.executor") from None
        if not self._has_said:
            follows = "" if self._program.detach else "; others follow as these end"
            self._program.say(f"no more jobs are taken at present ({refusal}){follows}")
        self._again_at, self._at_most = now + (_REFUSED_S if self._live else _ANSWER_S), len(self._live)
        self._has_said = True

    def poll(self, submitted: Remote) -> str | Ended:
        """See `Executor`."""
        now = time.monotonic()
        if now < submitted.due:
            return submitted.status
        submitted.due = now + max(_POLL_S, _POLL_EACH_S * len(self._live))
        if record := submitted.files.ended():
            errors = {job.number: record["errors"].get(str(job.folder)) for job in submitted.item.jobs}
            known = {number: error for number, error in errors.items() if error}
            ended = Ended(record["status"], known, record["reason"], again=record["cut_short"])
            if submitted.is_requeued:
                self.cancel(submitted)  # its scheduler has given up a process that was alive
            return self._finished(submitted, ended)
        seen = self.look(submitted)
        if isinstance(seen, str):
            submitted.is_requeued = seen == QUEUED and (submitted.is_requeued or submitted.status == RUNNING)
            submitted.gone_since, submitted.status = None, seen
            if submitted.untold:
                self._tell(submitted, submitted.untold)
            return seen
        submitted.gone_since = submitted.gone_since or now
        left = [job for job in submitted.item.jobs if not has_ended(job, submitted.before[job.number])]
        if now - submitted.gone_since < _PATIENCE_S or self._may_live(submitted, left):
            return submitted.status
        if submitted.files.is_forbidden:
            seen = Ended(INTERRUPTED)
        elif seen.again:
            began = submitted.files.started() is not None
            count = starts_in_a_row if began else note_start  # where it began, it has noted that
            if (starts := max((count(job.folder) for job in left), default=0)) > self.restarts:
                reason = f"{seen.reason}; it was started {starts} times without a new checkpoint"
                seen = Ended(seen.status if began else 1, reason=reason)
        return self._finished(submitted, seen)

    def forget(self, submitted: Remote) -> None:
        """See `Executor`."""
        submitted.files.remove()

    def ask_to_stop(self, submitted: Remote) -> None:
        """See `Executor`."""
        submitted.files.forbid()
        self._tell(submitted, self.interrupt if submitted.status == RUNNING else self.cancel)

    def kill(self, submitted: Remote) -> None:
        """See `Executor`."""
        if not submitted.is_killed:
            submitted.is_killed = True
            submitted.files.forbid()
            self._tell(submitted, self.cancel)

    def attach(self, program: Program, jobs: Sequence[Job]) -> Sequence[Remote]:
        """See `Executor`."""
        check_executor(program.folder, self.name)
        self._live += earlier_items(program.folder, jobs)
        return [*self._live]

    def _may_live(self, submitted: Remote, left: Sequence[Job]) -> bool:
        """Whether an item runs though its scheduler does not say so: by the heartbeats of the runs that are ``left``.

        For those on other hosts that takes a minute. Who has asked it to stop does not wait for that.
        """
        holders = {job.folder: observe(job.folder) for job in left}
        alive = [folder for folder, is_alive in holders.items() if is_alive]
        if alive and not submitted.is_said:
            submitted.is_said = True
            self._program.say(
                f"{holder_of(alive[0])} still trains in {alive[0]}, though its job has ended; waiting for it"
            )
        return bool(alive) or (None in holders.values() and not submitted.files.is_forbidden)

    def _tell(self, submitted: Remote, how: Callable[[Remote], bool]) -> None:
        submitted.untold = None if how(submitted) else how

    def _finished(self, submitted: Remote, how: Ended) -> Ended:
        if submitted in self._live:
            self._live.remove(submitted)
        self._failed |= how.status not in (0, INTERRUPTED) or bool(how.reason)
        self._ended_s = time.monotonic()
        return how


def _are_named(sweep: Path) -> bool:
    """Whether a result of the sweep in a folder names a log of a scheduler."""
    return any(f"/{ITEMS}/".encode() in path.read_bytes() for path in sweep.rglob("result.json"))
