"""What the processes of a training exchange, and how they end when one of them has died."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import torch
from lightning import Trainer
from torch import Tensor, nn

_POLL_S = 0.5


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error means that another process has died."""
    return isinstance(error, torch.distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


@contextlib.contextmanager
def going_with_the_main_process() -> Iterator[None]:
    """In a process that the main one has started: exit quietly once that has ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except RuntimeError as error:
        if is_lost_connection(error):
            raise SystemExit(1) from None  # the main process reports it
        raise


def gather(part: Tensor, trainer: Trainer) -> Tensor:
    """(processes, ...): a tensor of the same shape in each process, on the CPU."""
    parts = [part]
    if trainer.world_size > 1:
        parts = [torch.zeros_like(part) for _ in range(trainer.world_size)]
        torch.distributed.all_gather(parts, part)
    return torch.stack(parts).cpu()


def reduce_sum(sums: Tensor, trainer: Trainer) -> Tensor:
    """Sum over all processes."""
    if trainer.world_size == 1:
        return sums
    return trainer.strategy.reduce(sums.to(trainer.strategy.root_device), reduce_op="sum").cpu()


def broadcast_buffers(network: nn.Module, trainer: Trainer) -> None:
    """Copy the buffers of process 0 to all: under manual optimization Lightning does not."""
    if trainer.world_size > 1:
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, 0)
