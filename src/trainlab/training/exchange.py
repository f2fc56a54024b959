"""What the processes of a training exchange."""

import torch
from lightning import Trainer
from torch import Tensor, nn


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
