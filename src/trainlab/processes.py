"""Child processes of this machine: forked, each alone in a process group, and gone when their parent is."""

import atexit
import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

INTERRUPTED = 130  # exit status after Ctrl-C
POLL_S = 0.05
THREADS, SHARE = "OMP_NUM_THREADS", "TRAINLAB_NUM_THREADS"  # what the user asks for; a sweep sets both to a job's share
# Set by another launcher or an enclosing run: a job that used them would wait for processes that do not exist.
FOREIGN_VARIABLES = (
    *("LOCAL_RANK", "RANK", "GROUP_RANK", "NODE_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE", "PL_GLOBAL_SEED", "TRAINLAB_DECISION"),
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# By process, which may itself be a child: both ends of a pipe. It holds the end to write to, and never writes.
_lifelines: dict[int, tuple[int, int]] = {}


class Forked:
    """``work()`` in a process of its own.

    It starts with the parent's modules, so their import is paid for once, and in a process group of its own: a Ctrl-C
    at the terminal reaches the parent alone. The parent must not have used CUDA before.

    Attributes:
        started: by time.monotonic.
        returned: what ``work`` returned; None while it runs and if the process ended otherwise.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        if os.getpid() not in _lifelines:
            _lifelines[os.getpid()] = os.pipe()
        context = multiprocessing.get_context("fork")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_child, args=(work, sender, _lifelines[os.getpid()]))
        self.returned: Any = None
        self.started = time.monotonic()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the child has handlers of its own
        try:
            with warnings.catch_warnings():
                # Python 3.12 warns of forks in a process with threads. Those of torch are idle; no child uses them.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        sender.close()
        with contextlib.suppress(OSError):  # the child does the same; who comes first does not matter
            os.setpgid(self.pid, self.pid)

    @property
    def pid(self) -> int:
        """Of the process and its group."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Exit status, negative for a signal's number; None while it runs. Whom it has left behind is killed."""
        self._receive()
        status = self._process.exitcode
        if status is not None:
            self._receive()
            self.kill()
        return status

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and those that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it, and those that it has started."""
        self.send(signal.SIGKILL)
        self._process.join()

    def _receive(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            if self.returned is None and self._receiver.poll():
                self.returned = self._receiver.recv()


def run_forked(
    works: Sequence[Callable[[], Any]], at_once: int, tick: Callable[[], object] = lambda: None
) -> list[Forked]:
    """Run each of ``works`` in a process, at most ``at_once`` at a time. Returns the processes, which have ended.

    ``tick`` is called again and again while they run.
    """
    processes: list[Forked] = []
    running: list[Forked] = []
    try:
        while running or len(processes) < len(works):
            started = [Forked(work) for work in works[len(processes) :][: at_once - len(running)]]
            processes += started
            running = [process for process in running + started if process.poll() is None]
            tick()
            time.sleep(POLL_S)
    finally:
        for process in running:
            process.kill()
    return processes


@contextlib.contextmanager
def signals_handled(handler: Callable[[int, Any], object]) -> Iterator[None]:
    """Have ``handler`` called at SIGINT and SIGTERM, instead of the handlers of before."""
    before = [signal.signal(number, handler) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, earlier in zip(_SIGNALS, before, strict=True):
            signal.signal(number, earlier)


def can_be_sent(value: Any) -> bool:
    """Whether another process can receive ``value``."""
    try:
        pickle.loads(pickle.dumps(value))
    except Exception:
        return False
    return True


def count_cores() -> int:
    """Cores of the processor that this process may use; all of them where the system knows no such limit.

    Inside a job of SLURM they are those that it was given on this node, whether or not the cluster binds processes to
    them.
    """
    return max(1, min([_cores_that_run_it(), *_cores_of_slurm(os.environ)]))


def has_part_of_cores() -> bool:
    """Whether a job of SLURM was given fewer cores than this process could run on, which nothing else limits."""
    return count_cores() < _cores_that_run_it()


def _cores_that_run_it() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cores_of_slurm(environment: Mapping[str, str]) -> Iterator[int]:
    """Upper limits of the cores of this process inside a job: one of its tasks, or the only process on its node."""
    numbers = {name: int(value) for name, value in environment.items() if value.isdecimal()}
    is_one_of_tasks = numbers.get("SLURM_STEP_NUM_TASKS", 1) > 1
    on_nodes = _expanded(environment.get("SLURM_JOB_CPUS_PER_NODE", ""))  # of the job; a step may have less
    if here := numbers.get("SLURM_CPUS_ON_NODE", next(iter(on_nodes), 0)):
        tasks = _expanded(environment.get("SLURM_STEP_TASKS_PER_NODE", "")) if is_one_of_tasks else []
        node = numbers.get("SLURM_NODEID", 0)
        yield here // (tasks[node] if node < len(tasks) else 1)
    of_task = numbers.get("SLURM_CPUS_PER_TASK", 0)
    if of_task and (is_one_of_tasks or numbers.get("SLURM_NTASKS", 1) == 1):
        yield of_task


def _expanded(counts: str) -> list[int]:
    """Numbers of nodes as SLURM writes them: "2(x3),1" are 2, 2, 2 and 1."""
    found = []
    for part in filter(None, counts.split(",")):
        number, _, times = part.rstrip(")").partition("(x")
        found += [int(number)] * int(times or 1)
    return found


def threads_asked_for() -> int | None:
    """OMP_NUM_THREADS, if the user has set it."""
    asked = os.environ.get(THREADS, "")
    return int(asked) if asked.isdecimal() and int(asked) and asked != os.environ.get(SHARE) else None


def _child(work: Callable[[], Any], sender: Connection, lifeline: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    reading, writing = lifeline
    os.close(writing)
    threading.Thread(target=_end_with_parent, args=(reading,), daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the terminal's input is the parent's
    # As from Python 3.14 on: what the parent has registered is the parent's, what the work registers is run.
    atexit._clear()
    try:
        returned = work()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        atexit._run_exitfuncs()
    sender.send(returned)


def _end_with_parent(reading: int) -> None:
    os.read(reading, 1)  # ends when nobody is left to write: the parent is gone, however it went
    os.killpg(os.getpgrp(), signal.SIGKILL)
