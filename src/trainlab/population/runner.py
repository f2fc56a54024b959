"""Runs in threads of one process, one active at a time, whose epochs are trained together.

Each member is a whole run, with its own Lightning loops, callbacks and loggers. Only the steps of an epoch are made
together, once all members wait for them. So a member writes what its solo run would write.
"""

import contextlib
import ctypes
import gc
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from trainlab.data import TrainingData
from trainlab.ending import Pace, ending
from trainlab.population.stack import Stack
from trainlab.processes import signals_handled
from trainlab.training.context import RunContext, StopRequest
from trainlab.training.lightning_internals import count_epoch, end_epoch_here
from trainlab.training.module import TaskModule
from trainlab.training.step_report import StepReport

_M_ARENA_MAX = -8  # in malloc.h
# Rows that a compiled stack can have: few numbers, each of which is compiled once. Less than a fifth is not used.
_SIZES = sorted({1, 2, 3} | {factor * 2**power for power in range(16) for factor in (4, 5, 6, 7)})
Work = Callable[[RunContext], Any]
Choose = Callable[[list[int]], Collection[int]]


class MemberDropped(Exception):
    """A member was not among those that continue."""


class Population:
    """Trains its members to their ends.

    Ctrl-C ends all after their epoch; a second one, or SIGTERM, ends all at once.

    Args:
        works: functions of the members, each called in a thread of its own with the context for its run.
        choose: numbers of the members that wait for their next epoch -> those that continue; the others get
            MemberDropped.
        before_step: is called with the number of members that make the next step together.
        stacked: whether epochs are trained together; otherwise each member trains its own, alternately.
        at_once: whether the first Ctrl-C ends all at once.
        report: gets the steps of the epochs that are trained together.
    """

    def __init__(
        self,
        works: Sequence[Work],
        choose: Choose = lambda waiting: waiting,
        before_step: Callable[[int], object] = lambda members: None,
        stacked: bool = True,
        at_once: bool = False,
        report: StepReport | None = None,
    ) -> None:
        self._report = report
        self.started = time.perf_counter()
        _share_free_memory()
        self.num_threads = torch.get_num_threads()
        self.stop = StopRequest()
        self._stop_at_once = self._stops_inside = False
        self._pace = Pace()
        self._choose, self._before_step, self.stacked, self._at_once = choose, before_step, stacked, at_once
        self._images: TrainingData | None = None  # of the first member
        self._stack: Stack | None = None
        self._members = [_Member(work, self) for work in works]

    @property
    def interrupted(self) -> bool:
        """Whether there was a Ctrl-C or SIGTERM."""
        return self.stop.requested

    def run(self) -> list[Any]:
        """What each work returned, or the exception that it raised."""
        with signals_handled(self._request_stop), ending.heeded_by(self._end_in_time):
            for member in self._members:
                if self.interrupted:
                    member.outcome = KeyboardInterrupt()
                else:
                    member.resume()
            while self._waiting():
                numbers = [number for number, member in enumerate(self._members) if member.module]
                for number in sorted({*numbers} - {*self._choose(numbers)}):
                    self._members[number].resume(MemberDropped())
                waiting = self._waiting()
                error: BaseException | None = None
                start = time.perf_counter()
                try:
                    if self.stacked and waiting:
                        self._train_epoch([member.module for member in waiting if member.module])
                except (Exception, SIGTERMException) as failure:
                    error = failure
                epoch_s = (time.perf_counter() - start) / max(1, len(waiting))
                for member in waiting:
                    member.resume(error, epoch_s)
        return [member.outcome for member in self._members]

    def _waiting(self) -> list["_Member"]:
        return [member for member in self._members if member.module]

    def _train_epoch(self, modules: list[TaskModule]) -> None:
        """Make the steps of an epoch of all ``modules``; those that `max_steps` ends at another step separately."""
        by_steps: dict[tuple[int, int], list[TaskModule]] = {}
        for module in modules:
            by_steps.setdefault((module.batches_made, module.steps_to_make), []).append(module)
        for (start, steps), own in by_steps.items():
            if len(by_steps) > 1:
                self._stack = None  # a compiled step changes the rows of all who do not make it
            self._make_steps(own, start, steps)

    def _make_steps(self, modules: list[TaskModule], start: int, steps: int) -> None:
        """Make the steps from ``start`` to ``steps`` of an epoch of all ``modules``."""
        if torch.get_num_threads() != self.num_threads:
            torch.set_num_threads(self.num_threads)
        held, rows = self._stack.members if self._stack else (), rows_for(modules)
        if self._stack is None or not {*modules} <= {*held} or len(self._stack.rows) != rows:
            self._stack, held = None, ()
            gc.collect()  # members that have left, before new memory is allocated
            self._stack = Stack(modules, rows, places_for(modules, rows))
            for module, place in zip(modules, self._stack.places, strict=True):
                module.row, module.rows = place, rows
        with modules[0].trainer.precision_plugin.forward_context():  # Lightning's, around a step of a solo run
            before_step = self._before_steps(len(modules), max(m.current_epoch for m in modules), start, steps)
            losses, scores, sizes = self._stack.train_epoch({*modules}, start, steps, before_step)
            self._pace.done()
        made = len(sizes) if self._stops_inside else steps - start  # fewer, too, if no loss is finite any more
        for module, own, score in zip(self._stack.members, losses.unbind(1), scores, strict=True):
            if module in modules:
                module.take_epoch(own, score, sizes)
                count_epoch(module.trainer, made, start + made == module.steps_per_epoch)
                if start + made < steps:
                    end_epoch_here(module.trainer)

    def _before_steps(self, members: int, epoch: int, start: int, steps: int) -> Callable[[], bool]:
        """What is called before each step of an epoch; it returns whether to stop inside it."""
        self._pace.begin(steps - start)
        if ending.at_s is not None:  # not all members had ended their epoch
            self._end_in_time(ending.at_s - time.monotonic())

        def before_step() -> bool:
            self._pace.made += 1
            if self._report and (batch := start + self._pace.made):
                self._report.made(epoch, batch, steps)
            self.check(members)
            return self._stops_inside

        return before_step

    def check(self, members: int) -> None:
        """Before a step of that many members: raise SIGTERMException if all are to end at once."""
        if self._stop_at_once:
            raise SIGTERMException
        self._before_step(members)

    def set_num_threads(self, number: int) -> None:
        """Make all steps that follow with that many threads."""
        self.num_threads = number

    def share_images(self, data: TrainingData) -> None:
        """Have ``data`` use the images of the first member."""
        if self._images is None:
            self._images = data
        else:
            data.share(self._images)

    def describe(self) -> dict[str, Any]:
        """`time.population` of a member's result: the number of members, and wall seconds so far."""
        return {"members": len(self._members), "wall_s": time.perf_counter() - self.started}

    def _end_in_time(self, left_s: float) -> None:
        """Where the end of the process is announced: stop after the epoch, or save inside it."""
        self.stop.requested = True
        self._stops_inside |= not self._pace.fits(left_s)

    def _request_stop(self, number: int, frame: Any) -> None:
        if number == signal.SIGTERM and ending.is_watched:
            ending.announce(number, frame)
            return
        self._stop_at_once |= self._at_once or self.interrupted or number == signal.SIGTERM
        self.stop.requested = True


class _Member:
    """A training of a population, and the thread that it runs in."""

    def __init__(self, work: Work, population: Population) -> None:
        self._population = population
        self._own_turn, self._main_turn = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._spent, self._since = 0.0, None  # type: tuple[float, float | None]
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None
        self._data: TrainingData | None = None
        self.module: TaskModule | None = None  # while it waits for its epoch
        self.outcome: Any = None  # what the work returned or raised

    def resume(self, error: BaseException | None = None, epoch_s: float = 0.0) -> None:
        """From the main thread: let it run, or end by ``error``, until it waits again or has ended.

        Args:
            error: raised where it waits.
            epoch_s: its share of the seconds of the epoch that it waited for.
        """
        self._error, self._trace = error, error.__traceback__ if error else None
        self._spent += epoch_s
        self._since = time.perf_counter()
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._own_turn.release()
        self._main_turn.acquire()
        self._spent += time.perf_counter() - self._since
        self._since = None

    def train_epoch(self, module: TaskModule) -> None:
        """Wait until the steps of the epoch have been made; without a stack, until it may make them itself."""
        self.module = module
        self._main_turn.release()
        self._own_turn.acquire()
        self.module = None
        if self._error:
            raise self._error.with_traceback(self._trace)  # others have raised it, too

    def _seconds(self) -> float:
        """Time spent on this member: its own and its share of the epochs."""
        return self._spent + (time.perf_counter() - self._since if self._since is not None else 0.0)

    def _share_images(self, data: TrainingData) -> None:
        self._data = data
        self._population.share_images(data)

    def _run(self, work: Work) -> None:
        population, stacked = self._population, self._population.stacked
        torch.get_num_threads()  # initializes the thread's count, which would otherwise overwrite what is set next
        # With a second pool of threads OpenMP would let those of the steps sleep.
        torch.set_num_threads(1 if stacked else population.num_threads)
        context = RunContext(
            clock=self._seconds,
            num_threads=lambda: population.num_threads,
            set_num_threads=population.set_num_threads,
            stop=population.stop,
            epoch_steps=self if stacked else None,
            callbacks=() if stacked else (_TakeTurns(self, population),),
            share_images=self._share_images,
            population=population.describe,
        )
        try:
            self.outcome = work(context)
        except BaseException as error:
            self.outcome = error.with_traceback(None)  # which would keep the frames alive
        if self._data:  # which others may still use
            self._data.trainer = None
        self._main_turn.release()


class _TakeTurns(Callback):
    """Lets a member that makes its own steps wait for its turn before each epoch."""

    def __init__(self, member: _Member, population: Population) -> None:
        self._member, self._population = member, population

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait."""
        assert isinstance(pl_module, TaskModule)
        self._member.train_epoch(pl_module)

    def on_train_batch_start(self, *_: Any) -> None:
        """End where all are to end."""
        self._population.check(1)


def rows_for(members: Sequence[TaskModule]) -> int:
    """Rows of a stack of ``members``: one for each, and where they are compiled, those that may not be used.

    Members keep the rows of their latest epoch, which a checkpoint has, while more than three quarters of these are
    used: another number would have to be compiled, and rounds differently.
    """
    count, kept = len(members), max(member.rows for member in members)
    if not members[0].compile_step:
        return count
    return kept if 3 * kept < 4 * count <= 4 * kept else next(size for size in _SIZES if size >= count)


def places_for(members: Sequence[TaskModule], rows: int) -> Sequence[int]:
    """The row of each of ``members``: that of their latest epoch, where all had one of so many; the last may round
    differently."""
    kept = [member.row for member in members]
    return kept if {member.rows for member in members} == {rows} and len({*kept}) == len(kept) else range(len(members))


def _share_free_memory() -> None:
    """Let threads reuse memory that others freed: glibc keeps an arena per thread, about 10 MB per member."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, 1)
