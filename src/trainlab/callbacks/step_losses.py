"""The training loss of every step, for those who look for spikes that an epoch's mean hides."""

from pathlib import Path

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from trainlab.runs.files import write_atomically
from trainlab.training.module import Classifier

FILE = "step_losses.csv"


class StepLosses(Callback):
    """Keeps the loss of every training step in `step_losses.csv`, a row a step; written at the end of each epoch.

    A resumed run keeps the rows of the epochs before the one it starts with. Of several processes it is the loss of
    the first one's share of the batch.

    Args:
        dirpath: folder of the file.
        enabled: whether to record them.
    """

    def __init__(self, dirpath: str, enabled: bool = False) -> None:
        self.path, self.enabled = Path(dirpath) / FILE, enabled
        self._losses: list[float] | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add those of the epoch, in the place of any that a process left which was cut short."""
        if not self.enabled or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Classifier)
        if self._losses is None:
            self._losses = read_step_losses(self.path).tolist()
        before = trainer.current_epoch * pl_module.steps_per_epoch
        self._losses = self._losses[:before] + pl_module.losses_of_epoch.double().tolist()
        rows = "".join(f"{step},{loss:.6g}\n" for step, loss in enumerate(self._losses))
        write_atomically(self.path, f"step,loss\n{rows}".encode())


def read_step_losses(path: Path) -> Tensor:
    """Losses by step, float64 (steps,); none where there is no file."""
    if not path.exists():
        return torch.zeros(0, dtype=torch.float64)
    lines = path.read_text().splitlines()[1:]
    return torch.tensor([float(line.partition(",")[2]) for line in lines], dtype=torch.float64)
