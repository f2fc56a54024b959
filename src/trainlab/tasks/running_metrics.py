"""Metrics of torchmetrics over the images of one pass."""

import copy

import torch
import torchmetrics
from torch import Tensor

from trainlab.tasks.task import Task


class RunningMetrics:
    """The ``metrics`` of a task over one pass, in float32.

    Args:
        task: whose own metrics are left as they are.
        device: of the outputs and targets.
        of_all_processes: whether `compute` is over the images of all processes, each of which calls it.
    """

    def __init__(self, task: Task, device: torch.device, of_all_processes: bool = True) -> None:
        self._task = task
        self._metrics = {name: copy.deepcopy(metric).to(device) for name, metric in task.metrics.items()}
        for metric in self._metrics.values():
            metric.reset()
            for part in metric.modules():
                if isinstance(part, torchmetrics.Metric) and not of_all_processes:
                    part.distributed_available_fn = lambda: False

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch."""
        if self._metrics:
            predictions, truth = self._task.metric_inputs(outputs.float(), targets)
            for metric in self._metrics.values():
                metric.update(predictions, truth)

    def compute(self) -> dict[str, float]:
        """Values by name."""
        return {name: float(metric.compute()) for name, metric in self._metrics.items()}
