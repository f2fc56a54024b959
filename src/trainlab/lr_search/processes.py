"""Work that is divided among forked processes, one thread each, which wait for each other's reports."""

import contextlib
import multiprocessing
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch

from trainlab.processes import Forked

Share = TypeVar("Share")
Ask = Callable[[Any], Any]
Step = Callable[[int], object]
Decide = Callable[[Mapping[int, Any]], Mapping[int, Any]]

_REPORT_S = 0.5  # between two messages of steps made


def divided(
    shares: Sequence[Share],
    work: Callable[[Share, Ask, Step], Any],
    decide: Decide,
    step: Step,
) -> list[Any]:
    """What ``work`` returns for each of ``shares``, all worked on at once. The parent must not have used CUDA.

    Args:
        shares: one a process.
        work: is called with a share, ``ask`` and ``step``. ``ask(report)`` returns its part of what is decided once all
            that have not come to their end have asked.
        decide: reports by number of the share -> answers by number.
        step: is told of steps that were made in any process.

    Raises:
        Exception: the first that a work raised.
        RuntimeError: a process was killed.
        KeyboardInterrupt: there was a Ctrl-C.
    """
    processes, ends = [], []
    try:
        for share in shares:
            mine, theirs = multiprocessing.Pipe()  # one by one: no process holds another's end and hides that it ended
            processes.append(Forked(partial(_run_share, work, share, theirs)))
            theirs.close()
            ends.append(mine)
        return _serve(ends, decide, step)
    finally:
        for process in processes:
            process.kill()


def _serve(ends: Sequence[Connection], decide: Decide, step: Step) -> list[Any]:
    numbers = {end: number for number, end in enumerate(ends)}
    asked: dict[int, Any] = {}
    returned: dict[int, Any] = {}
    while len(returned) < len(ends):
        for end in wait([end for end, number in numbers.items() if number not in returned]):
            assert isinstance(end, Connection)
            number = numbers[end]
            try:
                kind, content = end.recv()
            except (EOFError, ConnectionError):
                raise RuntimeError("a process of the search was killed; out of memory is the usual reason") from None
            if kind == "raised":
                raise content
            if kind == "steps":
                step(content)
            else:
                (asked if kind == "asked" else returned)[number] = content
        if asked and len(asked) + len(returned) == len(ends):
            answers = decide(asked)
            asked = {}
            for number, answer in answers.items():
                ends[number].send(answer)
    return [returned[number] for number in range(len(ends))]


def _run_share(work: Callable[[Share, Ask, Step], Any], share: Share, connection: Connection) -> None:
    torch.set_num_threads(1)  # a forked process has none of OpenMP's others
    made, due = 0, 0.0

    def ask(report: Any) -> Any:
        connection.send(("asked", report))
        return connection.recv()

    def step(count: int) -> None:
        nonlocal made, due
        made += count
        if time.monotonic() > due:
            connection.send(("steps", made))
            made, due = 0, time.monotonic() + _REPORT_S

    try:
        message = ("returned", work(share, ask, step))
    except BaseException as error:
        message = ("raised", _sendable(error))
    with contextlib.suppress(BrokenPipeError):  # the parent has stopped listening
        connection.send(message)


def _sendable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
