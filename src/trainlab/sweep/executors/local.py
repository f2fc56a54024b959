"""Runs items in processes of this machine, as many at a time as there are slots."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainlab.processes import FOREIGN_VARIABLES, SHARE, THREADS, Forked, has_part_of_cores, threads_asked_for
from trainlab.runs import notices
from trainlab.sweep.executors.executor import CANCEL, RUNNING, STOP, Ended, Executor, Program, Submitted
from trainlab.sweep.folder import positions_folder
from trainlab.sweep.items import check_executor
from trainlab.sweep.outcome import results_before
from trainlab.sweep.plan import Item, Job, slots_for
from trainlab.sweep.resources import Memory, count_threads
from trainlab.training.step_report import VARIABLE


@dataclass(eq=False)
class Running(Submitted):
    """An item in a process, with the slots and GPUs that it has to itself."""

    process: Forked
    slots: list[int]
    cards: list[int]


class LocalExecutor(Executor[Running]):
    """Forks a process for each item, which starts with what this one has imported and ends with it.

    Args:
        on_interrupt: what Ctrl-C does to running jobs: stop (after their epoch, saved) or cancel (now).
    """

    def __init__(self, on_interrupt: str = STOP) -> None:
        if on_interrupt not in (STOP, CANCEL):
            raise ValueError(
                f"on_interrupt must be stop or cancel, as local jobs end with the sweep, got {on_interrupt!r}; set "
                "sweep.executor.on_interrupt"
            )
        self.on_interrupt = on_interrupt

    def capacity(self, jobs: Sequence[Job], memory: Memory, gpus: int) -> tuple[int, Memory, int]:
        """See `Executor`."""
        return slots_for(jobs, memory, count_threads(), gpus), memory, gpus

    def attach(self, program: Program, jobs: Sequence[Job]) -> Sequence[Running]:
        """None: they have ended with the process that started them.

        Raises:
            ValueError: another executor has submitted some, or the sweep is to go on without this process.
        """
        if program.detach:
            raise ValueError("sweep.detach needs jobs that outlive the sweep; set sweep/executor=slurm or slurm_local")
        check_executor(program.folder, "local")
        return ()

    @contextlib.contextmanager
    def opened(self, program: Program, slots: int, gpus: int) -> Iterator[Path]:
        """See `Executor`. At the end no process is left."""
        self._work, self._slots = program.work, slots
        self._free, self._cards = set(range(slots)), set(range(gpus))
        self._running: list[Running] = []
        with positions_folder(program.folder) as self._positions:
            try:
                yield self._positions / "notices"
            finally:
                for one in self._running:
                    one.process.kill()

    @property
    def free(self) -> int:  # type: ignore[override]  # which is writable there
        """See `Executor`."""
        return len(self._free)

    def submit(self, items: Sequence[Item]) -> Sequence[Running]:
        """See `Executor`."""
        started: list[Running] = []
        while len(started) < len(items) and self._fits(items[len(started)]):
            started.append(self._start(items[len(started)]))
        return started

    def poll(self, submitted: Running) -> str | Ended:
        """See `Executor`."""
        status = submitted.process.poll()
        if status is None:
            return RUNNING
        if submitted in self._running:
            self._running.remove(submitted)
            self._free.update(submitted.slots)
            self._cards.update(submitted.cards)
        return Ended(status, submitted.process.returned or {})

    def ask_to_stop(self, submitted: Running) -> None:
        """See `Executor`."""
        submitted.process.send(signal.SIGINT)

    def kill(self, submitted: Running) -> None:
        """See `Executor`."""
        submitted.process.kill()

    def _fits(self, item: Item) -> bool:
        """Whether enough slots and GPUs are free for an item; it takes one slot per device, at most all of them."""
        return len(self._free) >= min(item.devices, self._slots) and len(self._cards) >= self._count_cards(item)

    def _count_cards(self, item: Item) -> int:
        every = len(self._cards) + sum(len(one.cards) for one in self._running)
        return min(item.devices, every) if item.on_gpu else 0

    def _start(self, item: Item) -> Running:
        slots = sorted(self._free)[: min(item.devices, self._slots)]
        own = sorted(self._cards)[: self._count_cards(item)]
        self._free.difference_update(slots)
        self._cards.difference_update(own)
        # A population may continue in parts.
        report = self._positions / f"{item.jobs[0].number}_{time.monotonic_ns()}"
        environment = limits(len(slots), self._slots, own, item.devices)
        variables = {VARIABLE: str(report), notices.VARIABLE: str(self._positions / "notices")}
        before, work = results_before(item), self._work

        def in_child() -> Any:
            for name in FOREIGN_VARIABLES:
                os.environ.pop(name, None)
            os.environ.update(environment | variables)
            if environment:
                torch.set_num_threads(int(environment[THREADS]))
            return work(item)

        self._running.append(Running(item, before, report, Forked(in_child), slots, own))
        return self._running[-1]


def limits(slots: int, of: int, cards: Sequence[int], processes: int) -> dict[str, str]:
    """Environment variables that leave an item with ``slots`` of ``of`` slots its part of the machine.

    Args:
        slots: that the item has.
        of: number of slots; an item that has the only one is limited only to what a job of SLURM has.
        cards: indices of its GPUs among the visible ones.
        processes: that it trains with, which divide its CPU threads.
    """
    if of == 1 and not has_part_of_cores():
        return {}
    share = str(max(1, count_threads() * slots // of // processes))
    found = {THREADS: share} if threads_asked_for() else {THREADS: share, SHARE: share}
    if cards:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else None
        found["CUDA_VISIBLE_DEVICES"] = ",".join(names[i] if names else str(i) for i in cards)
    return found
