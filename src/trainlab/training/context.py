"""What a run gets from its runner, which may train it together with others."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from trainlab.data import TrainingData
from trainlab.training.module import EpochSteps


@dataclass
class StopRequest:
    """Whether a training is to end after its epoch; several trainings may share one."""

    requested: bool = False


@dataclass(frozen=True)
class RunContext:
    """What a run gets from its runner. The defaults are those of a solo run.

    Attributes:
        clock: seconds, of which differences count as the time of the run.
        num_threads: of the CPU that the training uses.
        set_num_threads: has it use that many.
        stop: ends the training after its epoch.
        epoch_steps: makes the steps of its epochs; None for the `TaskModule` itself.
        callbacks: that take part in the training besides the run's own.
        share_images: is called with the data before anything is read, and may have them share images with others.
        in_one_process: whether the run may not start processes for other devices.
        population: `time.population` of the result, up to now; None for a solo run.
        gpus_elsewhere: GPUs for the run on the machine that trains it; None if it is this one. Only for checks.
    """

    clock: Callable[[], float] = time.perf_counter
    num_threads: Callable[[], int] = torch.get_num_threads
    set_num_threads: Callable[[int], object] = torch.set_num_threads
    stop: StopRequest = field(default_factory=StopRequest)
    epoch_steps: EpochSteps | None = None
    callbacks: Sequence[Callback] = ()
    share_images: Callable[[TrainingData], object] = lambda data: None
    in_one_process: bool = False
    population: Callable[[], dict[str, Any] | None] = lambda: None
    gpus_elsewhere: int | None = None
