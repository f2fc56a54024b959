"""The loop that has an executor carry out the items of a sweep, and records what has come of them."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainlab.processes import POLL_S, signals_handled
from trainlab.runs.lease import check_lease
from trainlab.runs.notices import Notices
from trainlab.runs.result import ENDED
from trainlab.sweep.executors.executor import CANCEL, LEAVE, RUNNING, Ended, Executor, Submitted
from trainlab.sweep.outcome import on_disk, record_outcome, recorded_outcome
from trainlab.sweep.plan import Item
from trainlab.sweep.progress import Watcher
from trainlab.sweep.rebalance import can_be_split, split
from trainlab.sweep.resources import count_threads
from trainlab.sweep.state import State, epochs_of

_CHECK_S = 1.0  # between two checks of the sweep's lease, and of populations that could be split
# Between two checks of the members of a population: at least, and for each of all members; members checked in a row.
_MEMBERS_S, _MEMBERS_EACH_S, _MEMBERS_AT_ONCE = 1.0, 0.005, 100
_GRACE_S = 5.0  # from the second Ctrl-C until processes are killed
_ANNOUNCEMENTS = (
    "stopping: running jobs are saved after their epoch; press Ctrl-C again to stop now and lose it",
    "stopping now",
)


@dataclass(eq=False)
class _Running:
    submitted: Submitted
    started: float | None = None  # by time.monotonic; None while it is queued
    splits: bool = False  # stops after its epoch; the jobs that are left continue in parts
    asked: int = 0  # how often it was asked to stop
    due: float = 0.0  # when to check its members again, by time.monotonic

    @property
    def item(self) -> Item:
        return self.submitted.item


def run_items(
    items: Sequence[Item],
    executor: Executor[Any],
    state: State,
    notices: Path,
    stop_early: bool,
    watch: Watcher,
    attached: Sequence[Submitted] = (),
    detach: bool = False,
    more: Callable[[int], Sequence[Item] | None] = lambda room: (),
) -> bool:
    """Run ``items`` in order, and record the outcomes of their jobs in ``state``.

    After the first Ctrl-C or SIGTERM running items stop after their epoch and no more are started; the second one stops
    them at once, and the third one leaves those that outlive this process. With an executor that leaves or cancels
    them, the first one ends the loop, or them.

    Args:
        items: the items to run.
        executor: opened.
        state: state of the sweep.
        notices: file that jobs append notices to.
        stop_early: whether the first failure stops the sweep like Ctrl-C.
        watch: shows the progress.
        attached: items that have been submitted before.
        detach: whether to return once all are submitted for which there is room.
        more: returns further items, given for how many there is room; None if it is to be asked again. Called in every
            round until the sweep stops.

    Returns:
        Whether the sweep was interrupted.

    Raises:
        LeaseLost: another process has taken over the folder of the sweep.
    """
    waiting, running = deque(items), [_Running(submitted) for submitted in attached]
    state.shares_clock = executor.shares_clock
    stopping, deadline = 0, float("inf")  # how often the running items were asked to stop
    check = 0.0  # when, by time.monotonic
    signals: list[int] = []
    warned = Notices(notices)
    with signals_handled(lambda number, _: signals.append(number)):
        while True:
            if time.monotonic() > check:
                check_lease(notices)  # another process may have taken this one for dead, and run the sweep
            added: Sequence[Item] | None = ()
            if not stopping and not signals:
                added = more(max(0, state.slots - len(running) - len(waiting)))
                waiting += added or ()
            if not running and added is not None and (not waiting or stopping or signals):
                break
            taken: Sequence[Submitted] = ()
            if waiting and not stopping and not signals:
                taken = executor.submit(waiting)
                for submitted in taken:
                    waiting.popleft()
                    running.append(_Running(submitted))
            ended: list[tuple[_Running, Ended]] = []
            for one in running:
                status = executor.poll(one.submitted)
                if isinstance(status, Ended):
                    ended.append((one, status))
                elif status == RUNNING and one.started is None:
                    _begin(one, state)
            _end_members(running, state, watch)
            if time.monotonic() > check:
                check = time.monotonic() + _CHECK_S
                if not waiting and not stopping and not signals:
                    _split(running, executor, state, watch)
            for one, how in ended:
                running.remove(one)
                waiting += _end(one, how, state, bool(stopping or signals), executor.free, watch)
                executor.forget(one.submitted)
            failed = stop_early and any(o.failed and n in state.seconds for n, o in state.outcomes.items())
            if signals and executor.on_interrupt == LEAVE:
                break
            if len(signals) > 2 and executor.can_leave and running:
                watch.say("jobs that have not ended are left; the same command shows how far they are")
                break
            wanted = 2 if signals and executor.on_interrupt == CANCEL else min(2, len(signals) + int(failed))
            while stopping < wanted and running:
                stopping += 1
                watch.say(_ANNOUNCEMENTS[stopping - 1])
                for one in running:
                    _ask_to_stop(one, executor)
                deadline = time.monotonic() + _GRACE_S if stopping == 2 else deadline
            stopping = max(stopping, wanted)
            if time.monotonic() > deadline:
                for one in running:
                    executor.kill(one.submitted)
            for text in warned.new():
                watch.say(text)
            watch.tick(state)
            if detach and not taken and not ended and executor.is_settled:
                break
            time.sleep(POLL_S)
    if detach and waiting and not signals:
        count = sum(len(item.jobs) for item in waiting)
        watch.say(f"{count} jobs are not submitted yet; the same command submits them as others end")
    for one in running:  # which were left
        for job in state.left_of(one.item):
            state.outcomes[job.number] = recorded_outcome(job.folder)
    return bool(signals)


def _begin(one: _Running, state: State) -> None:
    one.started = time.monotonic()
    state.start(one.item, one.started, one.submitted.report)


def _ask_to_stop(one: _Running, executor: Executor[Any]) -> None:
    """Ask once more; one that splits has been asked already."""
    one.asked += 1
    if one.asked > 1 or not one.splits:
        executor.ask_to_stop(one.submitted)


def _split(running: Sequence[_Running], executor: Executor[Any], state: State, watch: Watcher) -> None:
    """Stop the item with the most jobs left after its epoch, to continue it in parts on free slots and idle threads."""
    idle = min(executor.free, count_threads() - (state.slots - executor.free))
    if idle < 1 or any(one.splits for one in running):
        return
    for one in sorted(running, key=lambda one: -len(state.left_of(one.item))):
        if one.started is None:
            continue
        left, seconds = state.left_of(one.item), time.monotonic() - one.started
        if can_be_split(left, [epochs_of(job) for job in left], [state.begun[job.number] for job in left], seconds):
            executor.ask_to_stop(one.submitted)
            one.splits = True
            watch.say(f"no jobs are waiting: the population of {len(left)} continues in parts after this epoch")
            return


def _end(one: _Running, how: Ended, state: State, stopped: bool, free: int, watch: Watcher) -> list[Item]:
    """Record how the jobs of an item have ended. Returns the items that continue it, if it was split or cut short."""
    if one.started is None:
        _begin(one, state)
    before, ending = one.submitted.before, state.left_of(one.item)
    for job in ending:
        state.seconds[job.number] = time.monotonic() - state.started.pop(job.number)
        state.outcomes[job.number] = record_outcome(
            job, before[job.number], how.status, how.errors.get(job.number), stopped, how.reason
        )
    left = [job for job in ending if state.outcomes[job.number].status not in ENDED]
    parts: list[Item] = []
    if left and not stopped and one.splits:
        parts = split(left, free)
    elif left and not stopped and how.again:
        parts = [replace(one.item, jobs=tuple(left))]
    if parts:
        state.replace(one.item, parts)
    for job in ending:  # after all of them are recorded as ended
        if not parts or job not in left:
            watch.ended(job, state)
    return parts


def _end_members(running: Sequence[_Running], state: State, watch: Watcher) -> None:
    """Record members of populations that have ended while others continue, of those populations that are due."""
    populations = [one for one in running if len(one.item.jobs) > 1]
    interval_s = max(_MEMBERS_S, _MEMBERS_EACH_S * sum(len(one.item.jobs) for one in populations))
    checked, now = 0, time.monotonic()
    for one in populations:
        if one.due <= now and checked < _MEMBERS_AT_ONCE:
            one.due = now + interval_s
            checked += len(one.item.jobs)
            _end_members_of(one, state, watch)


def _end_members_of(one: _Running, state: State, watch: Watcher) -> None:
    for job in one.item.jobs:
        if job.number in state.started and on_disk(job.folder) != one.submitted.before[job.number]:
            outcome = recorded_outcome(job.folder)
            if outcome.status in ENDED:
                state.seconds[job.number] = time.monotonic() - state.started.pop(job.number)
                state.outcomes[job.number] = outcome
                watch.ended(job, state)
