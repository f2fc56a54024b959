"""One row per epoch for every logger, and one line for the console."""

import logging
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from trainlab.loggers.metrics_csv import MetricsCSV
from trainlab.tasks.task import Task
from trainlab.training.module import TaskModule
from trainlab.training.progress import progress_of

log = logging.getLogger(__name__)


class EpochLog(Callback):
    """Logs one row per epoch to every logger, and one line to the console and the log file.

    Learning rate and momentum of the row are those of the last optimizer step of the epoch.

    Args:
        clock: returns seconds.

    Attributes:
        epoch_s: wall time of every epoch in seconds, including those before the run was resumed, from the end of the
            previous epoch: training steps, validation, and the checkpoints of the previous epoch.
        images_per_s: training images per second of every epoch, over its training steps.
        active: whether an epoch has started in this process.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.epoch_s: list[float] = []
        self.images_per_s: list[float] = []
        self.active = False
        self._trained: float | None = None
        self._end: float | None = None
        self._has_headings = False

    @property
    def median_epoch_s(self) -> float:
        """Median wall time of an epoch in seconds."""
        return statistics.median(self.epoch_s)

    @property
    def median_images_per_s(self) -> float:
        """Median of the training images per second over the epochs."""
        return statistics.median(self.images_per_s)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        progress = progress_of(trainer)
        self.active = True
        self._start, self._trained = self._clock(), None
        self._first_images, self._first_part_s = progress.begun_images, 0.0
        if self._first_images:  # the epoch was logged already when it was interrupted
            self._first_part_s = self.epoch_s.pop()
            self.images_per_s.pop()
        if self._end is None:
            self._end = self._start

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the end of the training steps, on the device, too."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        self._trained = self._clock()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row and the line, where the module has logged nothing else at the end of the epoch."""
        if not progress_of(trainer).logs_itself:
            self.record(trainer)

    def record(self, trainer: Trainer) -> None:
        """Write the row and the line of the epoch that ends."""
        progress = progress_of(trainer)
        train_metrics, images = progress.train_metrics()
        assert self._end is not None
        previous_end, self._end = self._end, self._clock()
        self.epoch_s.append(self._first_part_s + self._end - previous_end)
        self.images_per_s.append((images - self._first_images) / ((self._trained or self._end) - self._start))
        row = {
            "epoch": trainer.current_epoch,
            **train_metrics,
            **progress.val_metrics,
            **progress.rates,
            "epoch_s": self.epoch_s[-1],
            "images_per_s": self.images_per_s[-1],
            "parameters": sum(p.numel() for p in trainer.lightning_module.parameters()),
        }
        logged = {*train_metrics, *progress.val_metrics} if progress.logs_itself else set()
        for logger in trainer.loggers:
            kept = set() if isinstance(logger, MetricsCSV) else logged
            logger.log_metrics({key: value for key, value in row.items() if key not in kept}, step=trainer.global_step)
        if trainer.is_global_zero:
            module = trainer.lightning_module
            if isinstance(module, TaskModule):
                headings, line = _line(row, trainer.max_epochs, module.task)
                if not self._has_headings:
                    log.info(headings)
                    self._has_headings = True
                log.info(line)
            else:
                log.info(_plain_line(row, train_metrics | progress.val_metrics, trainer.max_epochs))

    def state_dict(self) -> dict[str, Any]:
        """Times of the epochs so far."""
        return {"epoch_s": self.epoch_s, "images_per_s": self.images_per_s}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the times of the epochs so far."""
        self.epoch_s, self.images_per_s = list(state_dict["epoch_s"]), list(state_dict["images_per_s"])


def _line(row: dict[str, Any], max_epochs: int | None, task: Task) -> tuple[str, str]:
    """The line of an epoch, after one that names loss and score, for which others have no room in 80 columns."""
    of = f"/{max_epochs}" if max_epochs and max_epochs > 0 else ""
    (_, loss), (score_name, score), *more = task.known.items()
    name = score_name.removeprefix("val/")
    width, epoch = max(len(name), 7), f"epoch {row['epoch'] + 1:3d}{of}"
    headings, line = " " * len(epoch), epoch
    for split in ("train", "val"):
        headings += f"  {' ' * len(split)} {'loss':>{len(loss.format(row['train/loss']))}} {name:>{width}}"
        if f"{split}/loss" in row:
            values = loss.format(row[f"{split}/loss"]), score.format(row[f"{split}/{name}"])
            line += f"  {split} {values[0]} {values[1]:>{width}}"
    line += "".join(f"  {name.removeprefix('val/')} {m.format(row[name])}" for name, m in more if name in row)
    return headings, f"{line}  lr {row['lr']:.2e}  {row['epoch_s']:.1f} s"


def _plain_line(row: dict[str, Any], metrics: dict[str, float], max_epochs: int | None) -> str:
    of = f"/{max_epochs}" if max_epochs and max_epochs > 0 else ""
    values = "".join(f"   {name} {value:.4g}" for name, value in metrics.items())
    rate = f"   lr {row['lr']:.2e}" if "lr" in row else ""
    return f"epoch {row['epoch'] + 1:3d}{of}{values}{rate}   {row['epoch_s']:.1f} s"
