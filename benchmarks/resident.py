"""Memory that a training has, read where a training of the real command line ends."""

from pathlib import Path

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

_NOW = Path("/proc/self/smaps_rollup")


class Resident(Callback):
    """Appends the bytes of memory after the last epoch, a line, to ``path``; nothing where no system says so.

    On a GPU it is the memory there that torch has reserved at the most; on the CPU what is resident of the process.

    The first line is the one to look at: the first member of a population to come there finds all others with what
    they have, too. Later ones find what tests and pictures have left behind. Libraries count in full, and not in
    proportion to the processes that share them (PSS): that would depend on what else runs.

    Args:
        path: file that gets the number.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it, after the times of the epoch have been taken."""
        if trainer.current_epoch + 1 != trainer.max_epochs:
            return
        if pl_module.device.type == "cuda":
            self._write(torch.cuda.max_memory_reserved(pl_module.device))
        elif _NOW.exists():
            lines = _NOW.read_text().splitlines()
            self._write(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:")))

    def _write(self, size: int) -> None:
        with self.path.open("a") as file:
            file.write(f"{size}\n")
