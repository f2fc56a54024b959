"""Work divided among forked processes of one thread each, which wait for each other's reports."""

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch

from trainlab.processes import Forked, can_be_sent

Chunk = TypeVar("Chunk")
Ask = Callable[[Any], Any]
Step = Callable[[int], object]
Decide = Callable[[Mapping[int, Any]], Mapping[int, Any]]

_REPORT_S = 0.5  # between two messages about steps


def run_in_processes(
    chunks: Sequence[Chunk],
    work: Callable[[Chunk, Ask, Step], Any],
    decide: Decide,
    step: Step,
) -> list[Any]:
    """Run ``work`` on each of ``chunks`` in a forked process; returns the results in the order of ``chunks``.

    The parent must not have initialized CUDA.

    Args:
        chunks: one per process.
        work: called with a chunk, ``ask`` and ``step``. ``ask(report)`` blocks until every process that still runs
            has reported, and returns the answer for this chunk.
        decide: maps reports, by the index of their chunk, to answers, by the same index.
        step: called with the number of steps that any process has done since the last call.

    Raises:
        Exception: the first exception of any ``work``.
        RuntimeError: a process was killed.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    processes, ends = [], []
    try:
        for chunk in chunks:
            mine, theirs = (
                multiprocessing.Pipe()
            )  # one at a time: no process inherits another's end, which would hide its exit
            processes.append(Forked(partial(_run_chunk, work, chunk, theirs)))
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


def _run_chunk(work: Callable[[Chunk, Ask, Step], Any], chunk: Chunk, connection: Connection) -> None:
    torch.set_num_threads(1)  # OpenMP's other threads do not survive a fork
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
        message = ("returned", work(chunk, ask, step))
    except BaseException as error:
        message = ("raised", error if can_be_sent(error) else RuntimeError(f"{type(error).__name__}: {error}"))
    with contextlib.suppress(BrokenPipeError):  # the parent has ended
        connection.send(message)
