"""The number of CPU threads of a training."""

import contextlib
import copy
import logging
import math
import os
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from trainlab.processes import THREADS, count_cores, threads_asked_for
from trainlab.randomness import global_generators_restored

log = logging.getLogger(__name__)
# Of a step on one batch. A second thread saves a fifth of such a step's time, up to a third of a compiled one's. Where
# other processes use the cores, too, the two wait for each other most of the time.
SMALL_STEP_FLOPS = 3e8


@torch.no_grad()
def step_flops(network: nn.Module, image_shape: tuple[int, int, int], batch_size: int) -> float:
    """Floating-point operations of a step's matrix products and convolutions, forward and backward, estimated.

    Three times those of the forward computation, which is made once, for one image of zeros and by a copy. Infinite for
    a network that cannot be copied.
    """
    try:
        own = copy.deepcopy(network).cpu().float().eval()
    except Exception:  # whatever its modules raise: an open file, a lock
        return math.inf
    with global_generators_restored(), FlopCounterMode(display=False) as counter:
        own(torch.zeros(1, *image_shape, dtype=torch.uint8))
    return 3.0 * batch_size * counter.get_total_flops()


@contextlib.contextmanager
def threads_restored() -> Iterator[None]:
    """Have the number of threads of before at the end, for what follows in this process."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def threads_of_process(threads: int, sharing: int) -> int:
    """Of the ``threads`` of this process, those that it may use where so many processes share its cores.

    A number in OMP_NUM_THREADS, of the user or of a sweep, is that of each process.
    """
    return threads if os.environ.get(THREADS) else max(1, min(threads, count_cores()) // sharing)


def choose_num_threads(flops: Callable[[], float], available: int, recorded: int | None) -> int:
    """Threads for a training on the CPU: those the user asks for, those it was begun with, or by its size.

    Args:
        flops: returns those of a step; see `step_flops`.
        available: threads of this process.
        recorded: with which the checkpoint was trained that it continues, if there is one.
    """
    asked = threads_asked_for()
    if asked and recorded and asked != recorded:
        log.warning(
            "OMP_NUM_THREADS is %d and the run was begun with %d: results are equal up to rounding; "
            "unset it to continue to the bit",
            *(asked, recorded),
        )
    if recorded and not asked and recorded > count_cores():
        log.warning("the run was begun with %d threads and keeps them, on %d cores", recorded, count_cores())
    return asked or recorded or (1 if flops() <= SMALL_STEP_FLOPS else available)
