"""Times that are compared with each other, on a machine that runs other things at the same time."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import exp, hypot, log

import torch

from trainlab.statistics import Ratio, ratio

CLOCK = "Times are those of the process on the processor: while another one has the core, the clock stands still."


def time_alternately(
    actions: Mapping[str, Callable[[], object]],
    rounds: int,
    times: int = 1,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Milliseconds of each action on the processor, one for each of ``rounds``: the shortest of ``times`` in a row.

    What else the machine does can only make an action longer, and while another process has the core the clock of this
    one stands. The actions take turns within a round, so that what is left of it meets all of them; each round begins
    with another one. A round before the first is not counted.
    """
    names = list(actions)
    found: dict[str, list[float]] = {name: [] for name in names}
    for i in range(-1, rounds):
        start = i % len(names)
        for name in names[start:] + names[:start]:
            taken = []
            for _ in range(times):
                begun = clock()
                actions[name]()
                taken.append(1000 * (clock() - begun))
            if i >= 0:
                found[name].append(min(taken))
    return found


def time_ratio(first: Sequence[float], second: Sequence[float]) -> Ratio:
    """What the first takes over what the second takes, round by round."""
    return ratio(dict(enumerate(first)), dict(enumerate(second)))


def ratio_product(first: Ratio, second: Ratio) -> Ratio:
    """Of two that were measured apart, so that the squares of their relative uncertainties add up."""
    value = first.value * second.value
    within = exp(hypot(*(log(of.high / of.value) for of in (first, second))))
    return Ratio(value, value / within, value * within)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: two in a small network wait for each other more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
