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
    """Keeps `best.ckpt`, of the epoch with the best ``monitor``, and `last.ckpt`, of the last epoch.

    Written at the very end of an epoch, after all else that the epoch changes. The last epoch of the training is always
    validated, unless a callback decides at the end of an epoch that it was the last. If `max_steps` or a callback ends
    the training inside an epoch, that part of it counts only where no whole epoch was validated, so that a run with
    more steps continues like one that never ended there.

    Args:
        dirpath: folder of both.
        monitor: a metric of ``METRICS``.
        mode: the direction in which it improves, which follows from it.

    Attributes:
        best: epoch and validation metrics of `best.ckpt`; empty before the first validation.
        about: plain values that every checkpoint holds: what network and data can be rebuilt from.
    """

    def __init__(self, dirpath: str, monitor: str = "val/loss", mode: str | None = None) -> None:
        metric_of(monitor, "callbacks.checkpoint.monitor")
        self.folder, self.monitor = Path(dirpath), monitor
        self.mode = mode_of(monitor, mode, "callbacks.checkpoint")
        self.best: dict[str, float] = {}
        self.about: dict[str, Any] = {}
        self._best_is_whole = True
        self._every_epochs: int | None = None  # that are validated

    @property
    def best_path(self) -> Path:
        """Checkpoint of the best epoch."""
        return self.folder / "best.ckpt"

    @property
    def last_path(self) -> Path:
        """Checkpoint of the last epoch."""
        return self.folder / "last.ckpt"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget a best part of an epoch: the epoch continues."""
        if not self._best_is_whole:
            self.best = {}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have the last epoch validated after the last batch that it will have."""
        assert isinstance(pl_module, Classifier)
        if self._every_epochs is None:
            self._every_epochs = trainer.check_val_every_n_epoch
        batches, done = pl_module.steps_per_epoch, pl_module.begun_batches
        last = batches
        if trainer.max_steps >= 0:
            last = min(batches, done + (trainer.max_steps - trainer.global_step) * pl_module.accumulate)
        if last < batches:
            validate = not self.best
        else:
            steps = trainer.global_step + math.ceil((batches - done) / pl_module.accumulate)
            validate = trainer.current_epoch + 1 == trainer.max_epochs or steps == trainer.max_steps
        trainer.check_val_every_n_epoch = 1 if validate else self._every_epochs
        validate_after(trainer, last if validate else batches)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last epoch, and the best if this was it."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it unseen
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
        """Add what the checkpoint is about."""
        checkpoint["trainlab"] = {"format": FORMAT} | self.about

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far."""
        return {"best": self.best, "whole": self._best_is_whole}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best epoch so far, if its checkpoint is here and not in the folder of another run."""
        self.best = dict(state_dict["best"]) if self.best_path.exists() else {}
        self._best_is_whole = state_dict["whole"]
