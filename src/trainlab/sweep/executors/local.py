"""Carries items out in processes of this machine, as many at once as there are slots."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from trainlab.processes import POLL_S, Forked
from trainlab.runs.result import folder_of_result
from trainlab.sweep.outcome import on_disk, recorded_outcome, settle
from trainlab.sweep.plan import Item, Job
from trainlab.sweep.rebalance import can_be_divided, divided
from trainlab.sweep.resources import count_threads
from trainlab.sweep.state import State, epochs_of

_MEMBERS_S = 1.0  # between two looks at the members of populations
_GRACE_S = 5.0  # from the second Ctrl-C to the end of patience

# Of another launcher, or of a run around this one: a job that believed them would wait for processes that never come.
FOREIGN_VARIABLES = (
    *("LOCAL_RANK", "RANK", "GROUP_RANK", "NODE_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE", "PL_GLOBAL_SEED", "TRAINLAB_START", "TRAINLAB_LR"),
)


@dataclass(frozen=True)
class Share:
    """What an item has of the machine.

    Attributes:
        threads: of the processor, for all its processes together; None for what it would take alone.
        gpus: for CUDA_VISIBLE_DEVICES; None for all.
    """

    threads: int | None = None
    gpus: str | None = None

    def take(self, processes: int) -> None:
        """Keep this process, and the ``processes`` that it may start, to the share."""
        if self.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpus
        if self.threads:
            each = max(1, self.threads // processes)
            os.environ["OMP_NUM_THREADS"] = str(each)
            torch.set_num_threads(each)


Work = Callable[[Item, Share], Any]  # runs in the item's process; returns the errors that ended jobs, by number


class Watcher(Protocol):
    """Who shows how it goes."""

    def tick(self, state: State) -> None:
        """Now and then."""

    def ended(self, job: Job, state: State) -> None:
        """A job has come to its end."""

    def say(self, text: str) -> None:
        """Something that cannot wait."""


@dataclass
class _Running:
    item: Item
    process: Forked
    slots: list[int]
    cards: list[int]
    before: dict[int, bytes | None]
    divides: bool = False  # it ends its epoch, and what is left of it goes on in parts

    def stop(self, at_once: bool = False) -> None:
        """Let it end its epoch, or end at once; the second signal is understood as that."""
        if at_once or not self.divides:
            self.process.send(signal.SIGINT)


def carry_out(items: Sequence[Item], work: Work, state: State, gpus: int, stop_early: bool, watch: Watcher) -> bool:
    """Carry out ``items`` in their order, and note in ``state`` what becomes of their jobs.

    The first Ctrl-C (or SIGTERM) lets the running ones end their epoch and starts no more; the second ends them.

    Args:
        items: to carry out.
        work: what to do in an item's process.
        state: of the sweep they belong to.
        gpus: how many there are; an item that needs some has them to itself.
        stop_early: whether the first failure ends the sweep like a Ctrl-C.
        watch: who shows it.

    Returns:
        Whether it was interrupted.
    """
    waiting, running = deque(items), list[_Running]()
    free, cards = set(range(state.slots)), set(range(gpus))
    stopping, deadline = 0, float("inf")  # how often the running ones were told to stop
    look_at_members = 0.0
    with _presses() as presses:
        try:
            while running or (waiting and not stopping and not presses):
                while waiting and not stopping and not presses and _fits(waiting[0], state, free, cards, gpus):
                    running.append(_start(waiting.popleft(), work, state, free, cards))
                if time.monotonic() > look_at_members:
                    look_at_members = time.monotonic() + _MEMBERS_S
                    for one in running:
                        _end_members(one, state, watch)
                    if not waiting and not stopping and not presses:
                        _divide(running, len(free), state, watch)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    free.update(one.slots)
                    cards.update(one.cards)
                    waiting += _end(one, state, bool(stopping or presses), len(free), watch)
                failed = stop_early and any(o.failed and n in state.seconds for n, o in state.outcomes.items())
                wanted = min(2, len(presses) + int(failed))
                while stopping < wanted and running:
                    stopping += 1
                    watch.say(_ANNOUNCEMENTS[stopping - 1])
                    for one in running:
                        one.stop(at_once=stopping == 2)
                    deadline = time.monotonic() + _GRACE_S if stopping == 2 else deadline
                stopping = max(stopping, wanted)
                if time.monotonic() > deadline:
                    for one in running:
                        one.process.kill()
                watch.tick(state)
                time.sleep(POLL_S)
        finally:
            for one in running:
                one.process.kill()
    return bool(presses)


_ANNOUNCEMENTS = (
    "stopping: what runs ends its epoch and is saved; Ctrl-C again to stop now and lose that epoch",
    "stopping now",
)


def _fits(item: Item, state: State, free: set[int], cards: set[int], gpus: int) -> bool:
    """Whether there are slots enough for an item, one a device as far as there are so many, and GPUs."""
    return len(free) >= min(item.devices, state.slots) and len(cards) >= _cards(item, gpus)


def _cards(item: Item, gpus: int) -> int:
    return min(item.devices, gpus) if item.on_gpu else 0


def _start(item: Item, work: Work, state: State, free: set[int], cards: set[int]) -> _Running:
    slots = sorted(free)[: min(item.devices, state.slots)]
    own = sorted(cards)[: _cards(item, len(cards))]
    free.difference_update(slots)
    cards.difference_update(own)
    share = share_of(len(slots), state.slots, own)
    before = {job.number: on_disk(folder_of_result(job.folder, job.fingerprint)) for job in item.jobs}

    def in_child() -> Any:
        for name in FOREIGN_VARIABLES:
            os.environ.pop(name, None)
        return work(item, share)

    process = Forked(in_child)
    state.start(item, process.started)
    return _Running(item, process, slots, own, before)


def _divide(running: Sequence[_Running], free: int, state: State, watch: Watcher) -> None:
    """Let the item with most left end its epoch, so that it goes on in parts where slots are free and threads idle."""
    idle = min(free, count_threads() - (state.slots - free))
    if idle < 1 or any(one.divides for one in running):
        return
    can_be = [one for one in running if _can_be_divided(one, state)]
    if can_be:
        largest = max(can_be, key=lambda one: len(state.left_of(one.item)))
        largest.stop()
        largest.divides = True
        left = len(state.left_of(largest.item))
        watch.say(f"nothing else waits: {left} that are trained together end their epoch and go on in parts")


def _can_be_divided(one: _Running, state: State) -> bool:
    left = state.left_of(one.item)
    begun = [state.begun[job.number] for job in left]
    return can_be_divided(left, [epochs_of(job) for job in left], begun, time.monotonic() - one.process.started)


def _end(one: _Running, state: State, stopped: bool, slots: int, watch: Watcher) -> list[Item]:
    """Note how the item's jobs have ended. Returns what goes on with them in so many slots, if it was divided."""
    status = one.process.poll()
    assert status is not None
    errors = one.process.returned or {}
    ending = [job for job in one.item.jobs if job.number in state.started]
    for job in ending:
        state.seconds[job.number] = time.monotonic() - state.started.pop(job.number)
        state.outcomes[job.number] = settle(job, one.before[job.number], status, errors.get(job.number), stopped)
    going_on = [job for job in ending if state.outcomes[job.number].status == "interrupted"]
    parts = divided(going_on, slots) if one.divides and not stopped and going_on else []
    if parts:
        state.replace(one.item, parts)
    for job in ending:  # none of them is taken for running any more
        if not parts or job not in going_on:
            watch.ended(job, state)
    return parts


def _end_members(one: _Running, state: State, watch: Watcher) -> None:
    """Note which members of a population have come to their ends, while others go on."""
    if len(one.item.jobs) == 1:
        return
    for job in one.item.jobs:
        if job.number in state.started and on_disk(job.folder) != one.before[job.number]:
            outcome = recorded_outcome(job.folder)
            if outcome.status in ("completed", "debug", "pruned", "diverged", "failed"):
                state.seconds[job.number] = time.monotonic() - state.started.pop(job.number)
                state.outcomes[job.number] = outcome
                watch.ended(job, state)


def share_of(slots: int, of: int, cards: Sequence[int]) -> Share:
    """The share of an item that has ``slots`` of ``of``, and some of the GPUs that can be seen."""
    if of == 1:
        return Share()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else None
    return Share(max(1, count_threads() * slots // of), ",".join(names[i] if names else str(i) for i in cards) or None)


@contextmanager
def _presses() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM, as they come, instead of what they do."""
    presses: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: presses.append(number)) for number in numbers]
    try:
        yield presses
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
