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
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from trainlab.callbacks import StopOnInterrupt
from trainlab.data import ImageData
from trainlab.module import Classifier
from trainlab.population.progress import count_epoch
from trainlab.population.stack import Stack

_M_ARENA_MAX = -8  # in malloc.h
_FULL_ENOUGH = 0.75  # share of a compiled stack's rows that have members
Work = Callable[["Member"], Any]


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
        torch.set_num_threads(1)  # with a second set of threads OpenMP would let those of the steps sleep
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
    """

    def __init__(self, works: Sequence[Work]) -> None:
        self.started = time.perf_counter()
        _share_free_memory()
        self.threads = torch.get_num_threads()
        self.members = [Member(work, self) for work in works]
        self.data: ImageData | None = None  # of the first member
        self._stack: Stack | None = None
        self._presses = 0

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
            while waiting := [member for member in self.members if member.module]:
                error: BaseException | None = None
                start = time.perf_counter()
                try:
                    self._train_epoch([member.module for member in waiting if member.module])
                except (Exception, SIGTERMException) as failure:
                    error = failure
                share_s = (time.perf_counter() - start) / len(waiting)
                for member in waiting:
                    member.go_on(error, share_s)
        return [member.outcome for member in self.members]

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
            losses, correct, sizes = self._stack.train_epoch(moving, steps, self._check_presses)
        for module, own, right in zip(self._stack.members, losses.unbind(1), correct, strict=True):
            if module in moving:
                module.take_epoch(own, right, sizes)
                count_epoch(module.trainer, steps)

    def _check_presses(self) -> None:
        if self._presses > 1:
            raise SIGTERMException

    @contextlib.contextmanager
    def _interrupts(self) -> Iterator[None]:
        def press(number: int, _: Any) -> None:
            self._presses += 1 if number == signal.SIGINT else 2
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
