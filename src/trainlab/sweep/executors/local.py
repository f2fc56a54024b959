"""Runs items in processes of this machine, as many at a time as there are slots."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainlab.processes import POLL_S, SHARE, THREADS, Forked, signals_handled, threads_asked_for
from trainlab.runs import notices
from trainlab.runs.lease import check_lease
from trainlab.runs.result import ENDED, folder_of_result
from trainlab.sweep.folder import positions_folder
from trainlab.sweep.outcome import on_disk, record_outcome, recorded_outcome
from trainlab.sweep.plan import Item
from trainlab.sweep.progress import Watcher
from trainlab.sweep.rebalance import can_be_split, split
from trainlab.sweep.resources import count_threads
from trainlab.sweep.state import State, epochs_of
from trainlab.training.step_report import VARIABLE

_MEMBERS_S = 1.0  # between two checks of the members of populations
_GRACE_S = 5.0  # from the second Ctrl-C until processes are killed

# Set by another launcher or an enclosing run: a job that used them would wait for processes that do not exist.
FOREIGN_VARIABLES = (
    *("LOCAL_RANK", "RANK", "GROUP_RANK", "NODE_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE", "PL_GLOBAL_SEED", "TRAINLAB_START", "TRAINLAB_LR"),
)


Work = Callable[[Item], Any]  # runs in the item's process; returns errors of jobs by number


@dataclass
class _Running:
    item: Item
    process: Forked
    slots: list[int]
    cards: list[int]
    before: dict[int, bytes | None]
    splits: bool = False  # stops after its epoch; the jobs that are left continue in parts

    def stop(self, at_once: bool = False) -> None:
        """Stop after the epoch, or at once, which the second signal does."""
        if at_once or not self.splits:
            self.process.send(signal.SIGINT)


def run_items(
    items: Sequence[Item], work: Work, state: State, gpus: int, stop_early: bool, watch: Watcher, folder: Path
) -> bool:
    """Run ``items`` in order, and record the outcomes of their jobs in ``state``.

    After the first Ctrl-C or SIGTERM running items stop after their epoch and no more are started; the second one stops
    them at once.

    Args:
        items: the items to run.
        work: called in the process of an item.
        state: state of the sweep.
        gpus: number of GPUs; an item has its GPUs to itself.
        stop_early: whether the first failure stops the sweep like Ctrl-C.
        watch: shows the progress.
        folder: of the sweep.

    Returns:
        Whether the sweep was interrupted.

    Raises:
        LeaseLost: another process has taken over the folder of the sweep. The running items are killed.
    """
    waiting, running = deque(items), list[_Running]()
    free, cards = set(range(state.slots)), set(range(gpus))
    stopping, deadline = 0, float("inf")  # number of stop signals sent to the running items
    check_members = 0.0
    signals: list[int] = []
    with positions_folder(folder) as positions, signals_handled(lambda number, _: signals.append(number)):
        warned = notices.Notices(positions / "notices")
        try:
            while running or (waiting and not stopping and not signals):
                if time.monotonic() > check_members:
                    check_lease(positions)  # another process may have taken this one for dead, and run the sweep
                while waiting and not stopping and not signals and _fits(waiting[0], state, free, cards, gpus):
                    running.append(_start(waiting.popleft(), work, state, free, cards, positions))
                if time.monotonic() > check_members:
                    check_members = time.monotonic() + _MEMBERS_S
                    for one in running:
                        _end_members(one, state, watch)
                    if not waiting and not stopping and not signals:
                        _split(running, len(free), state, watch)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    free.update(one.slots)
                    cards.update(one.cards)
                    waiting += _end(one, state, bool(stopping or signals), len(free), watch)
                failed = stop_early and any(o.failed and n in state.seconds for n, o in state.outcomes.items())
                wanted = min(2, len(signals) + int(failed))
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
                for text in warned.new():
                    watch.say(text)
                watch.tick(state)
                time.sleep(POLL_S)
        finally:
            for one in running:
                one.process.kill()
    return bool(signals)


_ANNOUNCEMENTS = (
    "stopping: running jobs are saved after their epoch; press Ctrl-C again to stop now and lose it",
    "stopping now",
)


def _fits(item: Item, state: State, free: set[int], cards: set[int], gpus: int) -> bool:
    """Whether enough slots and GPUs are free for an item; it takes one slot per device, at most all of them."""
    return len(free) >= min(item.devices, state.slots) and len(cards) >= _cards(item, gpus)


def _cards(item: Item, gpus: int) -> int:
    return min(item.devices, gpus) if item.on_gpu else 0


def _start(item: Item, work: Work, state: State, free: set[int], cards: set[int], positions: Path) -> _Running:
    slots = sorted(free)[: min(item.devices, state.slots)]
    own = sorted(cards)[: _cards(item, len(cards))]
    free.difference_update(slots)
    cards.difference_update(own)
    report = positions / f"{item.jobs[0].number}_{time.monotonic_ns()}"  # a population may continue in parts
    environment = limits(len(slots), state.slots, own, item.devices)
    before = {job.number: on_disk(folder_of_result(job.folder, job.fingerprint)) for job in item.jobs}

    def in_child() -> Any:
        for name in FOREIGN_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(environment | {VARIABLE: str(report), notices.VARIABLE: str(positions / "notices")})
        if environment:
            torch.set_num_threads(int(environment[THREADS]))
        return work(item)

    process = Forked(in_child)
    state.start(item, process.started, report)
    return _Running(item, process, slots, own, before)


def _split(running: Sequence[_Running], free: int, state: State, watch: Watcher) -> None:
    """Stop the item with the most jobs left after its epoch, to continue it in parts on free slots and idle threads."""
    idle = min(free, count_threads() - (state.slots - free))
    if idle < 1 or any(one.splits for one in running):
        return
    for one in sorted(running, key=lambda one: -len(state.left_of(one.item))):
        left, seconds = state.left_of(one.item), time.monotonic() - one.process.started
        if can_be_split(left, [epochs_of(job) for job in left], [state.begun[job.number] for job in left], seconds):
            one.stop()
            one.splits = True
            watch.say(f"no jobs are waiting: the population of {len(left)} continues in parts after this epoch")
            return


def _end(one: _Running, state: State, stopped: bool, slots: int, watch: Watcher) -> list[Item]:
    """Record how the jobs of an item have ended. Returns the parts that continue it on ``slots``, if it was split."""
    status = one.process.poll()
    assert status is not None
    errors = one.process.returned or {}
    ending = [job for job in one.item.jobs if job.number in state.started]
    for job in ending:
        state.seconds[job.number] = time.monotonic() - state.started.pop(job.number)
        state.outcomes[job.number] = record_outcome(
            job, one.before[job.number], status, errors.get(job.number), stopped
        )
    interrupted = [job for job in ending if state.outcomes[job.number].status == "interrupted"]
    parts = split(interrupted, slots) if one.splits and not stopped and interrupted else []
    if parts:
        state.replace(one.item, parts)
    for job in ending:  # after all of them are recorded as ended
        if not parts or job not in interrupted:
            watch.ended(job, state)
    return parts


def _end_members(one: _Running, state: State, watch: Watcher) -> None:
    """Record members of a population that have ended while others continue."""
    if len(one.item.jobs) == 1:
        return
    for job in one.item.jobs:
        if job.number in state.started and on_disk(job.folder) != one.before[job.number]:
            outcome = recorded_outcome(job.folder)
            if outcome.status in ENDED:
                state.seconds[job.number] = time.monotonic() - state.started.pop(job.number)
                state.outcomes[job.number] = outcome
                watch.ended(job, state)


def limits(slots: int, of: int, cards: Sequence[int], processes: int) -> dict[str, str]:
    """Environment variables that leave an item with ``slots`` of ``of`` slots its part of the machine.

    Args:
        slots: that the item has.
        of: number of slots; an item that has the only one is not limited.
        cards: indices of its GPUs among the visible ones.
        processes: that it trains with, which divide its CPU threads.
    """
    if of == 1:
        return {}
    share = str(max(1, count_threads() * slots // of // processes))
    found = {THREADS: share} if threads_asked_for() else {THREADS: share, SHARE: share}
    if cards:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else None
        found["CUDA_VISIBLE_DEVICES"] = ",".join(names[i] if names else str(i) for i in cards)
    return found
