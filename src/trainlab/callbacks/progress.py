"""Progress bar of an epoch."""

import math
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from trainlab.console import Bar
from trainlab.training.module import Batch
from trainlab.validation import check_at_least


class ProgressBar(Callback):
    """Shows a progress bar over the steps of an epoch on a terminal.

    Args:
        refresh_rate: steps between two updates.
    """

    def __init__(self, refresh_rate: int = 20) -> None:
        check_at_least(1, "callbacks.progress", refresh_rate=refresh_rate)
        self.refresh_rate = refresh_rate
        self._bar: Bar | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar, if the number of batches is known."""
        batches = trainer.num_training_batches
        if trainer.is_global_zero and batches < math.inf:
            self._bar = Bar(f"epoch {trainer.current_epoch + 1:3d}", int(batches))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Update the bar."""
        if self._bar and (batch_idx + 1) % self.refresh_rate == 0:
            self._bar.update(self.refresh_rate)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar."""
        if trainer.training or trainer.validating:
            self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Close the bar."""
        self._close()

    def _close(self) -> None:
        if self._bar:
            self._bar.close()
