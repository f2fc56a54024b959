"""The checkpoints of a run: the best and the last epoch."""

import math
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from trainlab.runs.format import FORMAT
from trainlab.tasks.metrics import is_better, metric_of, mode_of
from trainlab.training.lightning_internals import validate_after
from trainlab.training.module import Classifier


class BestAndLast(Checkpoint):
    """Saves `best.ckpt`, of the epoch with the best ``monitor``, and `last.ckpt`, of the last epoch.

    Both are written at the very end of an epoch, after everything else that the epoch changes. The last epoch of the
    training is always validated, unless a callback decides at the end of an epoch that it was the last. If `max_steps`
    or a callback ends the training inside an epoch, this partial epoch counts only if no whole epoch was validated, so
    that a run continued with more steps is the same as an uninterrupted one.

    Args:
        dirpath: folder of both checkpoints.
        monitor: a metric of ``METRICS``.
        mode: "min" or "max"; None to follow from the metric.

    Attributes:
        best_path: checkpoint of the best epoch.
        last_path: checkpoint of the last epoch.
        best: epoch and validation metrics of `best.ckpt`; empty before the first validation.
        about: plain values saved in every checkpoint, from which network and data can be rebuilt.
    """

    def __init__(self, dirpath: str, monitor: str = "val/loss", mode: str | None = None) -> None:
        metric_of(monitor, "callbacks.checkpoint.monitor")
        self.best_path, self.last_path = Path(dirpath, "best.ckpt"), Path(dirpath, "last.ckpt")
        self.monitor = monitor
        self.mode = mode_of(monitor, mode, "callbacks.checkpoint")
        self.best: dict[str, float] = {}
        self.about: dict[str, Any] = {}
        self._best_is_whole = True
        self._val_interval: int | None = None  # epochs between validations, as configured

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Discard the best metrics if they are of a partial epoch, which now continues."""
        if not self._best_is_whole:
            self.best = {}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Schedule the validation of the last epoch after its last batch."""
        assert isinstance(pl_module, Classifier)
        if self._val_interval is None:
            self._val_interval = trainer.check_val_every_n_epoch
        batches, done = pl_module.steps_per_epoch, pl_module.begun_batches
        last = batches
        if trainer.max_steps >= 0:
            last = min(batches, done + (trainer.max_steps - trainer.global_step) * pl_module.accumulate)
        if last < batches:
            validate = not self.best
        else:
            steps = trainer.global_step + math.ceil((batches - done) / pl_module.accumulate)
            validate = trainer.current_epoch + 1 == trainer.max_epochs or steps == trainer.max_steps
        trainer.check_val_every_n_epoch = 1 if validate else self._val_interval
        validate_after(trainer, last if validate else batches)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save `last.ckpt`, and `best.ckpt` if this epoch is the best so far."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it dynamically
            return
        assert isinstance(pl_module, Classifier)
        metrics, whole = pl_module.val_metrics, pl_module.epoch_is_whole
        counts = self.monitor in metrics and (whole or not self.best)
        if counts and self._is_better(metrics[self.monitor]):
            self.best, self._best_is_whole = {"epoch": trainer.current_epoch, **metrics}, whole
            trainer.save_checkpoint(self.best_path)
        trainer.save_checkpoint(self.last_path)

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        return not self.best or is_better(self.mode, value, self.best[self.monitor])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the format version and ``about``."""
        checkpoint["trainlab"] = {"format": FORMAT} | self.about

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far."""
        return {"best": self.best, "whole": self._best_is_whole}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best epoch so far, unless its checkpoint is in the folder of another run."""
        self.best = dict(state_dict["best"]) if self.best_path.exists() else {}
        self._best_is_whole = state_dict["whole"]
