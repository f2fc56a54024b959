"""Trainings that go on in threads, one at a time, and whose epochs are made all at once.

Each member is a whole run of its own, with Lightning's loops, callbacks and loggers. Only the steps of an epoch are not
its own: it waits for them until all members have come to theirs. So what it leaves is what it would leave alone.
"""

import contextlib
import ctypes
import gc
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any

import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from trainlab.callbacks import StopOnInterrupt
from trainlab.data import ImageData
from trainlab.population.progress import count_epoch
from trainlab.population.stack import Stack
from trainlab.training.module import Classifier

_M_ARENA_MAX = -8  # in malloc.h
_FULL_ENOUGH = 0.75  # share of a compiled stack's rows that have members
Work = Callable[["Member"], Any]
Choose = Callable[[list[int]], Collection[int]]


class LeftOut(Exception):
    """A member was not among those who go on."""


class Member:
    """A training of a population, seen from its own thread."""

    def __init__(self, work: Work, population: "Population") -> None:
        self._population = population
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)  # whose turn it is
        self._thread = threading.Thread(target=self._live, args=(work,), daemon=True)
        self._spent, self._since = 0.0, None  # type: tuple[float, float | None]
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None
        self._interrupt: StopOnInterrupt | None = None
        self._data: ImageData | None = None
        self.module: Classifier | None = None  # while it waits for its epoch
        self.outcome: Any = None  # what the work returned or raised

    def seconds(self) -> float:
        """Time spent on this member: its own and its share of the epochs."""
        return self._spent + (time.perf_counter() - self._since if self._since is not None else 0.0)

    @property
    def shared(self) -> dict[str, Any]:
        """How many members the population has, and its wall seconds so far."""
        return {"members": len(self._population.members), "wall_s": time.perf_counter() - self._population.started}

    @property
    def threads(self) -> int:
        """Of the processor, for all members together."""
        return self._population.threads

    @property
    def begun(self) -> bool:
        """Whether its thread has been started."""
        return self._thread.ident is not None

    @property
    def stacked(self) -> bool:
        """Whether its epochs are made together with those of the others, and not in its own thread."""
        return self._population.stacked

    def listen(self, interrupt: StopOnInterrupt) -> None:
        """Tell ``interrupt`` of a Ctrl-C, also of one that has been."""
        self._interrupt = interrupt
        interrupt.interrupted = self._population.interrupted

    def press(self) -> None:
        """Let it end its epoch."""
        if self._interrupt:
            self._interrupt.interrupted = True

    def share(self, data: ImageData) -> None:
        """Let ``data`` have the images of the first member."""
        self._data, first = data, self._population.data
        if first is None:
            self._population.data = data
        else:
            data.share(first)

    def train_epoch(self, module: Classifier) -> None:
        """Wait until the steps of the epoch that ``module`` is at have been made."""
        self.module = module
        self._theirs.release()
        self._mine.acquire()
        self.module = None
        if self._error:
            raise self._error.with_traceback(self._trace)  # others have raised it, too

    def check(self) -> None:
        """Before a step that it makes by itself: raise SIGTERMException if all are to end at once."""
        self._population.check(1)

    def go_on(self, error: BaseException | None = None, share_s: float = 0.0) -> None:
        """From the outside: let it run, or end by ``error``, until it waits again or has come to its end."""
        self._error, self._trace = error, error.__traceback__ if error else None
        self._spent += share_s
        self._since = time.perf_counter()
        if self.begun:
            self._mine.release()
        else:
            self._thread.start()
        self._theirs.acquire()
        self._spent += time.perf_counter() - self._since
        self._since = None

    def _live(self, work: Work) -> None:
        torch.get_num_threads()  # finds what a thread starts with, which would overwrite what is set before
        # With a second set of threads OpenMP would let those of the steps sleep.
        torch.set_num_threads(1 if self.stacked else self.threads)
        try:
            self.outcome = work(self)
        except BaseException as error:
            self.outcome = error.with_traceback(None)  # which would keep all that it went through
        self._interrupt = None  # it knows the module
        if self._data:  # which others may go on with
            self._data.trainer = None
        self._theirs.release()


class Population:
    """Trains members to their ends.

    Ctrl-C lets all end their epoch; a second one, or SIGTERM, ends all at once.

    Args:
        works: what each does. It calls `Member.train_epoch` for every epoch.
        choose: is given the numbers of the works that wait for their next epoch, and returns those that go on; the
            others' `Member.train_epoch` raises LeftOut.
        before_step: is called with how many members are to make a step together.
        stacked: whether epochs are made all at once. If not, a work makes its own when `Member.train_epoch` returns,
            while the others wait, and calls `Member.check` in every step.
        at_once: whether the first Ctrl-C ends all at once.
    """

    def __init__(
        self,
        works: Sequence[Work],
        choose: Choose = lambda waiting: waiting,
        before_step: Callable[[int], object] = lambda members: None,
        stacked: bool = True,
        at_once: bool = False,
    ) -> None:
        self.started = time.perf_counter()
        _share_free_memory()
        self.threads = torch.get_num_threads()
        self.members = [Member(work, self) for work in works]
        self.data: ImageData | None = None  # of the first member
        self._stack: Stack | None = None
        self._presses = 0
        self._choose, self._before_step, self.stacked, self._at_once = choose, before_step, stacked, at_once

    @property
    def interrupted(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._presses > 0

    def run(self) -> list[Any]:
        """What each work returned, or the exception that it raised."""
        with self._interrupts():
            for member in self.members:
                if self.interrupted:
                    member.outcome = KeyboardInterrupt()
                else:
                    member.go_on()
            while self._waiting():
                for member in self._left_out():
                    member.go_on(LeftOut())
                waiting = self._waiting()
                error: BaseException | None = None
                start = time.perf_counter()
                try:
                    if self.stacked and waiting:
                        self._train_epoch([member.module for member in waiting if member.module])
                except (Exception, SIGTERMException) as failure:
                    error = failure
                share_s = (time.perf_counter() - start) / max(1, len(waiting))
                for member in waiting:
                    member.go_on(error, share_s)
        return [member.outcome for member in self.members]

    def _waiting(self) -> list[Member]:
        return [member for member in self.members if member.module]

    def _left_out(self) -> list[Member]:
        waiting = [number for number, member in enumerate(self.members) if member.module]
        chosen = self._choose(waiting)
        return [self.members[number] for number in waiting if number not in chosen]

    def _train_epoch(self, modules: list[Classifier]) -> None:
        """Make the steps of an epoch of all ``modules``."""
        held, moving = set(self._stack.members if self._stack else ()), set(modules)
        # Rows that members leave are closed up at once, or where that means another compilation, when it is worth it.
        most_held = len(moving) / _FULL_ENOUGH if modules[0].compile_step else len(moving)
        if self._stack is None or not moving <= held or len(held) > most_held:
            self._stack = None
            gc.collect()  # those who have left, before others take their place
            self._stack = Stack(modules)
        (steps,) = {module.steps_per_epoch for module in modules}
        with _default_dtype(modules[0].flat.parameter.dtype):
            losses, correct, sizes = self._stack.train_epoch(moving, steps, partial(self.check, len(modules)))
        for module, own, right in zip(self._stack.members, losses.unbind(1), correct, strict=True):
            if module in moving:
                module.take_epoch(own, right, sizes)
                count_epoch(module.trainer, steps)

    def check(self, members: int) -> None:
        """Before a step of so many members: raise SIGTERMException if all are to end at once."""
        if self._presses > 1:
            raise SIGTERMException
        self._before_step(members)

    @contextlib.contextmanager
    def _interrupts(self) -> Iterator[None]:
        def press(number: int, _: Any) -> None:
            self._presses += 1 if number == signal.SIGINT and not self._at_once else 2
            for member in self.members:
                member.press()

        before = {number: signal.signal(number, press) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _share_free_memory() -> None:
    """Let threads use what others have freed: glibc keeps it for each of them, some 10 MB a member."""
    with contextlib.suppress(OSError, AttributeError):  # where there is another C library
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, 1)


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
