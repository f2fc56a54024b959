"""The training loss of every step, which shows spikes that the mean over an epoch hides."""

from pathlib import Path

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from trainlab.runs.files import write_atomically
from trainlab.training.module import TaskModule

FILE = "step_losses.csv"


class StepLosses(Callback):
    """Writes the loss of every training step to `step_losses.csv`, one row per step, at the end of each epoch.

    A resumed run keeps the rows of the epochs before it. With several processes it is the loss on the first one's
    share of the batch.

    Args:
        dirpath: folder of the file.
        enabled: whether to write it.
    """

    def __init__(self, dirpath: str, enabled: bool = False) -> None:
        self.path, self.enabled = Path(dirpath) / FILE, enabled
        self._losses: list[float] | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the losses of the epoch; rows of an interrupted process for the same steps are replaced."""
        if not self.enabled or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, TaskModule)
        if self._losses is None:
            self._losses = read_step_losses(self.path).tolist()
        before = trainer.current_epoch * pl_module.steps_per_epoch
        self._losses = self._losses[:before] + pl_module.losses_of_epoch.double().tolist()
        rows = "".join(f"{step},{loss:.6g}\n" for step, loss in enumerate(self._losses))
        write_atomically(self.path, f"step,loss\n{rows}".encode())


def read_step_losses(path: Path) -> Tensor:
    """Losses by step, float64 (steps,); empty if there is no file."""
    if not path.exists():
        return torch.zeros(0, dtype=torch.float64)
    lines = path.read_text().splitlines()[1:]
    return torch.tensor([float(line.partition(",")[2]) for line in lines], dtype=torch.float64)
