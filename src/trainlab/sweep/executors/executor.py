"""What carries out the items of a sweep, as the loop that schedules them sees it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from trainlab.sweep.plan import Item, Job
from trainlab.sweep.resources import Memory

QUEUED, RUNNING = "queued", "running"
STOP, LEAVE, CANCEL = "stop", "leave", "cancel"  # what Ctrl-C does to running items


@dataclass(frozen=True)
class Program:
    """How the items of a sweep are run.

    Attributes:
        folder: of the sweep.
        work: runs an item in a process that was forked from that of the sweep; returns errors of jobs by number.
        command: the words that run the item whose files are in a folder, in a process on any machine.
        name: of the sweep.
        environment: variables of such a process.
        say: prints a line.
        detach: whether the sweep ends once its items are submitted.
    """

    folder: Path
    work: Callable[[Item], Any]
    command: Callable[[Path], Sequence[str]] = lambda folder: ()
    name: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], object] = lambda text: None
    detach: bool = False


@dataclass(frozen=True)
class Ended:
    """How an item has ended.

    Attributes:
        status: exit status of its process; the negative signal number if it was killed.
        errors: type, message and traceback of the exceptions that ended jobs, by number.
        reason: what is known besides the status, one line; "" if nothing is.
        again: whether its jobs are to be continued in another item, as after a time limit.
    """

    status: int
    errors: Mapping[int, dict[str, str]] = field(default_factory=dict)
    reason: str = ""
    again: bool = False


@dataclass(eq=False)
class Submitted:
    """An item that an executor has taken.

    Attributes:
        item: the item.
        before: digest of the result of each job before, by number; see `trainlab.sweep.outcome.on_disk`.
        report: file with the position of its training.
    """

    item: Item
    before: Mapping[int, str | None]
    report: Path


H = TypeVar("H", bound=Submitted)


class Executor(ABC, Generic[H]):
    """Carries out items. What runs is decided by the plan, what has come of it is in the folders of the runs.

    Attributes:
        on_interrupt: what Ctrl-C does to running items: STOP after their epoch, LEAVE, or CANCEL.
        free: slots that are not taken; on these a population may be continued in parts when nothing else waits.
        shares_clock: whether `time.monotonic` is the same in the items' processes.
        can_leave: whether items outlive this process.
        is_settled: whether nothing is known of an item that could soon be known better.
        gpus_elsewhere: GPUs that an item asks for on other machines; None where items run on this one.
    """

    on_interrupt: str = STOP
    free: int = 0
    shares_clock: bool = True
    can_leave: bool = False
    is_settled: bool = True
    gpus_elsewhere: int | None = None

    @abstractmethod
    def capacity(self, jobs: Sequence[Job], memory: Memory, gpus: int) -> tuple[int, Memory, int]:
        """Items that run at the same time unless the user says how many, their memory, and the GPUs that they share.

        Those are 0 where each item has GPUs of its own.

        Args:
            jobs: of the sweep.
            memory: of this machine.
            gpus: of this machine.
        """

    @abstractmethod
    def opened(self, program: Program, slots: int, gpus: int) -> AbstractContextManager[Path]:
        """Be ready for items, at most ``slots`` at a time with at most ``gpus`` GPUs.

        The value is the file that jobs append notices to.
        """

    @abstractmethod
    def submit(self, items: Sequence[Item]) -> Sequence[H]:
        """Take the first of ``items``, as many as there is room for."""

    @abstractmethod
    def poll(self, submitted: H) -> str | Ended:
        """QUEUED, RUNNING, or how it has ended."""

    def forget(self, submitted: H) -> None:
        """Remove what is kept of an item that has ended, as the outcomes of its jobs are on disk."""

    @abstractmethod
    def ask_to_stop(self, submitted: H) -> None:
        """Have it stop after its epoch, at the second call at once. One that has not begun does not begin."""

    @abstractmethod
    def kill(self, submitted: H) -> None:
        """End it."""

    @abstractmethod
    def attach(self, program: Program, jobs: Sequence[Job]) -> Sequence[H]:
        """Items that an earlier process of the sweep has submitted and whose end is not recorded, with their ``jobs``.

        To be called before it is opened.

        Raises:
            ValueError: another executor has submitted some, or they were submitted with other settings.
        """
