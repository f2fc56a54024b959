"""Progress of an epoch on a terminal."""

import sys
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from tqdm.auto import tqdm

from trainlab.training.module import Batch
from trainlab.validation import check_at_least


class ProgressBar(Callback):
    """A bar over the steps of an epoch, where there is a terminal.

    Args:
        refresh_steps: steps between two updates.
    """

    def __init__(self, refresh_steps: int = 20) -> None:
        check_at_least(1, "callbacks.progress", refresh_steps=refresh_steps)
        self.refresh_steps = refresh_steps

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar."""
        self._bar = tqdm(
            total=int(trainer.num_training_batches),
            desc=f"epoch {trainer.current_epoch + 1:3d}",
            leave=False,
            dynamic_ncols=True,
            unit="step",
            disable=not (sys.stderr.isatty() and trainer.is_global_zero),
        )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Move it."""
        if (batch_idx + 1) % self.refresh_steps == 0:
            self._bar.update(self.refresh_steps)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close it."""
        if trainer.training or trainer.validating:
            self._bar.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Close it."""
        if hasattr(self, "_bar"):
            self._bar.close()
