"""What callbacks ask of a training, whichever module is trained."""

from typing import Protocol

from lightning import Trainer

from trainlab.training.module import TaskModule
from trainlab.training.own_module import OwnModuleProgress


class Progress(Protocol):
    """How far a training is, and the metrics of its current epoch.

    Attributes:
        val_metrics: validation metrics of this epoch by name; empty until it is validated.
        logs_itself: whether the module logs its metrics to the loggers other than `metrics.csv`.
    """

    val_metrics: dict[str, float]
    logs_itself: bool

    @property
    def accumulate(self) -> int:
        """Batches of an optimizer step."""

    @property
    def steps_per_epoch(self) -> float:
        """Batches of an epoch; infinite where nothing knows how many."""

    @property
    def begun_batches(self) -> int:
        """Batches of the current epoch that the checkpoint already contains, until the epoch continues; else 0."""

    @property
    def begun_images(self) -> int:
        """Images of these batches, of all processes."""

    @property
    def epoch_is_whole(self) -> bool:
        """Whether all batches of the epoch have been trained: `max_steps` may end a training before."""

    @property
    def rates(self) -> dict[str, float]:
        """`lr` and `momentum`, where there are such, of the latest optimizer step."""

    def train_metrics(self) -> tuple[dict[str, float], int]:
        """Training metrics of the epoch by name, and the number of its images, over all processes."""


def progress_of(trainer: Trainer) -> Progress:
    """That of the training that ``trainer`` makes."""
    module = trainer.lightning_module
    if isinstance(module, TaskModule):
        return module
    return next(c for c in trainer.callbacks if isinstance(c, OwnModuleProgress))  # type: ignore[attr-defined]  # Lightning sets it unseen
