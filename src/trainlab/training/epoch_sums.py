"""Sums over the batches of an epoch, and over those of a validation."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

from trainlab.tasks.running_metrics import RunningMetrics
from trainlab.tasks.task import Task
from trainlab.training.exchange import gather, reduce_sum


class EpochSums:
    """What one process sums over the batches of an epoch, on its device.

    Attributes:
        losses: (batches of an epoch,), the mean loss of each batch so far.
        scores: (), sum of the scores, as of correct predictions.
        sizes: images of each batch so far.

    Args:
        batches: of an epoch.
        device: of the training.
    """

    def __init__(self, batches: int = 0, device: torch.device | None = None) -> None:
        self.losses = torch.zeros(batches, device=device)
        self.scores = torch.zeros((), dtype=type_of_sums(device), device=device)
        self.restart()

    def restart(self) -> None:
        """Start another epoch."""
        self.scores.zero_()
        self.sizes: list[int] = []
        self._checked = 0  # losses that are known to be finite

    @property
    def is_whole(self) -> bool:
        """Whether all batches of the epoch have been trained."""
        return len(self.sizes) == len(self.losses)

    def take(self, losses: Tensor, scores: Tensor, sizes: list[int]) -> None:
        """Take those of the batches that follow, ``losses`` and ``sizes``, and of all so far, ``scores``."""
        start = len(self.sizes)
        self.losses[start : start + len(losses)] = losses
        self.scores.copy_(scores)
        self.sizes = [*self.sizes, *sizes]

    def first_not_finite(self) -> int | None:
        """The first batch since the last call whose loss is NaN or infinite. Waits for the device."""
        start, self._checked = self._checked, len(self.sizes)
        if self._checked == start + 1:  # of one loss, the number: that takes 2 us
            return None if math.isfinite(self.losses[start]) else start
        finite = self.losses[start : self._checked].isfinite()
        return None if bool(finite.all()) else start + int((~finite).nonzero()[0])

    def losses_so_far(self) -> Tensor:
        """Those of the batches so far, on the CPU."""
        return self.losses[: len(self.sizes)].cpu()

    def totals(self, trainer: Trainer) -> Tensor:
        """(3,) float64: sum of losses, of scores, and images, over all processes."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        loss = (self.losses_so_far().double() * sizes).sum()
        return reduce_sum(torch.stack([loss, self.scores.cpu().double(), sizes.sum()]), trainer)

    def state(self, trainer: Trainer) -> dict[str, Any]:
        """That of all processes, for a checkpoint."""
        return {
            "sizes": self.sizes,
            "losses": gather(self.losses[: len(self.sizes)], trainer),
            "correct": gather(self.scores, trainer),  # sums of scores, whichever the task
        }

    def load(self, state: Mapping[str, Any], rank: int) -> None:
        """Continue with the part of process ``rank``."""
        self.sizes = list(state["sizes"])
        self.losses[: len(self.sizes)] = state["losses"][rank]
        self.scores.copy_(state["correct"][rank])


class ValidationSums:
    """Loss, scores and metrics of a task over the validation images of a process.

    Args:
        task: what is learned.
        device: of the training.
    """

    def __init__(self, task: Task, device: torch.device) -> None:
        self._task = task
        self._sums = torch.zeros(3, device=device, dtype=type_of_sums(device))
        self._metrics = RunningMetrics(task, device)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch."""
        self._sums[0] += self._task.sum_evaluation_loss(outputs, targets)
        self._sums[1] += self._task.score_images(outputs, targets).sum()
        self._sums[2] += len(targets)
        self._metrics.update(outputs, targets)

    def means(self, trainer: Trainer) -> dict[str, float]:
        """Mean loss and score by name, over all processes."""
        loss, score, count = reduce_sum(self._sums.cpu().double(), trainer).tolist()
        return {"val/loss": loss / count, f"val/{self._task.score}": score / count}

    def metrics(self) -> dict[str, float]:
        """The other metrics by name, over all processes."""
        return {f"val/{name}": value for name, value in self._metrics.compute().items()}


def type_of_sums(device: torch.device | None) -> torch.dtype:
    """float64, in which sums of a million images are exact to 1e-10; Apple's GPUs have no float64."""
    return torch.float32 if device is not None and device.type == "mps" else torch.float64
