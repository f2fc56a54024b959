"""Work among processes that meet, and what becomes of them when one or the first of them ends badly."""

import os
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from trainlab.lr_search.processes import run_in_processes


def survivors(reports: Mapping[int, Any]) -> dict[int, Any]:
    """The larger of all reports, to those that asked."""
    return dict.fromkeys(reports, max(reports.values()))


def test_those_who_ask_wait_for_each_other_and_not_for_those_who_have_ended():
    def work(chunk: int, ask: Any, step: Any) -> list[int]:
        step(10)
        return [ask(10 * chunk + turn) for turn in range(chunk)]

    steps: list[int] = []
    # Three ask in the first turn, then two, then one; the one with nothing to ask asks never.
    assert run_in_processes([0, 1, 2, 3], work, survivors, steps.append) == [[], [30], [30, 31], [30, 31, 32]]
    assert sum(steps) == 40


def test_each_has_a_process_and_a_thread():
    import torch

    found = run_in_processes([1, 2], lambda chunk, ask, step: (os.getpid(), torch.get_num_threads()), survivors, print)
    assert len({os.getpid(), *(pid for pid, _ in found)}) == 3
    assert [threads for _, threads in found] == [1, 1]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Odd(Exception):
    """Cannot be sent."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


@pytest.mark.parametrize(
    ("ending", "error", "message"),
    [
        (lambda: (_ for _ in ()).throw(ValueError("a setting")), ValueError, "^a setting$"),
        (lambda: (_ for _ in ()).throw(Odd("a", "b")), RuntimeError, "^Odd: ab$"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), RuntimeError, "a process of the search was killed"),
    ],
)
def test_where_one_ends_badly_so_do_all(ending: Any, error: type[Exception], message: str):
    pids: list[int] = []

    def work(chunk: int, ask: Any, step: Any) -> None:
        step(os.getpid())
        if chunk == 1:
            time.sleep(0.2)
            ending()
        ask(0)

    with pytest.raises(error, match=message):
        run_in_processes([0, 1], work, survivors, pids.append)
    assert pids and not any(map(alive, pids))


def test_ctrl_c_ends_all():
    pids: list[int] = []

    def work(chunk: int, ask: Any, step: Any) -> None:
        step(os.getpid())
        time.sleep(60)

    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_in_processes([0, 1], work, survivors, pids.append)
    assert time.monotonic() - start < 10
    assert len(pids) == 2 and not any(map(alive, pids))


def test_they_go_with_the_process_that_needs_them():
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:  # never to return into pytest
        try:
            run_in_processes(
                [0, 1],
                lambda chunk, ask, step: (os.write(writing, b"%10d" % os.getpid()), time.sleep(60)),
                survivors,
                print,
            )
        finally:
            os._exit(0)
    pids = [int(os.read(reading, 10)) for _ in range(2)]
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    end = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(alive, pids))
