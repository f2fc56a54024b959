"""Steps of a learning-rate schedule, and the rates of the optimizer's latest step."""

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer


class SchedulerSteps:
    """Steps a scheduler once per step or epoch, as it counts.

    Args:
        optimizer: torch's own.
        schedule: Lightning's dictionary of the scheduler, its interval and what it monitors; None for a constant rate.
    """

    def __init__(self, optimizer: Optimizer, schedule: Mapping[str, Any] | None) -> None:
        self._optimizer, self._schedule = optimizer, schedule
        self._latest: tuple[float, float] | None = None  # where a schedule changes the rates after each step

    @property
    def lr_and_momentum(self) -> tuple[float, float]:
        """Learning rate and momentum, beta1 for Adam and the like, of the latest step, and not of the next one."""
        return self._latest or self._current()

    def step(self, interval: str, metrics: Mapping[str, float]) -> None:
        """Step a schedule that counts in ``interval``, "step" or "epoch"; a monitored metric is one of ``metrics``."""
        if self._schedule is None or self._schedule["interval"] != interval:
            return
        if interval == "step":
            self._latest = self._current()
        scheduler, monitor = self._schedule["scheduler"], self._schedule.get("monitor")
        if monitor is None:
            scheduler.step()
        elif monitor in metrics:
            scheduler.step(metrics[monitor])

    def _current(self) -> tuple[float, float]:
        group = self._optimizer.param_groups[0]
        lr = group["lr"] / group.get("lr_multiplier", 1.0)
        return lr, group["betas"][0] if "betas" in group else group.get("momentum", 0.0)
