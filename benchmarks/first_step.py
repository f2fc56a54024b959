"""When a run of the real command line reaches its first training step."""

import time
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class FirstStep(Callback):
    """Writes the wall clock at the start of the first step to ``path``, then ends the training.

    Args:
        path: file that gets seconds since the epoch, as `time.time` counts them.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Write the time."""
        if batch_idx == 0:
            self.path.write_text(repr(time.time()))
        trainer.should_stop = True
