"""Metrics of torchmetrics over the images of one pass."""

import copy
import warnings

import torch
import torchmetrics
from torch import Tensor

from trainlab.tasks.task import Task, TaskData


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
        """Values by name, each the mean where a metric gives one for each class, label or value."""
        return {name: float(metric.compute().float().mean()) for name, metric in self._metrics.items()}


def check_metrics(task: Task, data: TaskData) -> None:
    """Raise ValueError unless each metric of the task can be computed from its predictions and targets, as a number."""
    outputs = torch.rand(4, task.count_outputs(data), generator=torch.Generator().manual_seed(0))
    predictions, targets = task.metric_inputs(outputs, data.example_targets(4))
    for name, metric in task.metrics.items():
        own, kind = copy.deepcopy(metric), type(metric).__name__
        try:
            with warnings.catch_warnings(action="ignore"):  # of targets that are all the same
                own.update(predictions, targets)
                value = own.compute()
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(
                f"{kind} cannot be computed for {type(task).__name__}: {reason[:200]}; set task.metrics.{name}"
            ) from error
        if not isinstance(value, Tensor) or value.ndim > 1:
            got = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"a metric must be a number, {kind} gives {got}; set task.metrics.{name}")
