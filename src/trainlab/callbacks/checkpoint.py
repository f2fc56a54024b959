"""The checkpoints of a run: the best and the last epoch."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from trainlab.runs.files import write_atomically
from trainlab.runs.format import FORMAT
from trainlab.runs.lease import check_lease
from trainlab.tasks.metrics import is_better, mode_of
from trainlab.training.lightning_internals import validate_after
from trainlab.training.progress import progress_of


class BestAndLast(Checkpoint):
    """Saves `best.ckpt`, of the epoch with the best ``monitor``, and `last.ckpt`, of the last epoch.

    Both are written at the very end of an epoch, after everything else that the epoch changes. The last epoch of the
    training is always validated, unless a callback decides at the end of an epoch that it was the last. If `max_steps`
    or a callback ends the training inside an epoch, this partial epoch counts only if no whole epoch was validated, so
    that a run continued with more steps is the same as an uninterrupted one.

    With ``save_top_k`` the best of the other epochs are kept, too, each as `epoch_N.ckpt`, N counted from one.

    Args:
        dirpath: folder of the checkpoints.
        monitor: a validation metric of the task.
        mode: "min" or "max"; None to follow from the metric, where it is one of ``METRICS``.
        save_top_k: number of best epochs whose checkpoints are kept, `best.ckpt` among them.

    Attributes:
        best_path: checkpoint of the best epoch.
        last_path: checkpoint of the last epoch.
        best: epoch and validation metrics of `best.ckpt`; empty before the first validation.
        others: the same of the other epochs that are kept, the best first.
        about: plain values saved in every checkpoint, from which network and data can be rebuilt.
    """

    def __init__(self, dirpath: str, monitor: str = "val/loss", mode: str | None = None, save_top_k: int = 1) -> None:
        if save_top_k < 1:
            raise ValueError(f"save_top_k must be at least 1, got {save_top_k}; set callbacks.checkpoint.save_top_k")
        self.best_path, self.last_path = Path(dirpath, "best.ckpt"), Path(dirpath, "last.ckpt")
        self.monitor = monitor
        self.mode = mode_of(monitor, mode, "callbacks.checkpoint")
        self.save_top_k = save_top_k
        self.best: dict[str, float] = {}
        self.others: list[dict[str, float]] = []
        self.about: dict[str, Any] = {}
        self._best_is_whole = True
        self._val_interval: int | None = None  # epochs between validations, as configured

    def path_of(self, kept: Mapping[str, float]) -> Path:
        """Checkpoint of one of the ``others``."""
        return self.best_path.with_name(f"epoch_{int(kept['epoch']) + 1}.ckpt")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove checkpoints that a process which was killed has left, and those of an earlier training."""
        if trainer.is_global_zero:
            self._remove_others()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Discard the best metrics if they are of a partial epoch, which now continues."""
        if not self._best_is_whole:
            self.best, self.others = {}, []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Schedule the validation of the last epoch after its last batch."""
        progress = progress_of(trainer)
        if self._val_interval is None:
            self._val_interval = trainer.check_val_every_n_epoch
        batches, done = progress.steps_per_epoch, progress.begun_batches
        last = batches
        if trainer.max_steps >= 0:
            last = min(batches, done + (trainer.max_steps - trainer.global_step) * progress.accumulate)
        if last < batches:
            validate = not self.best
        else:
            left = (batches - done) / progress.accumulate
            steps = trainer.global_step + (math.ceil(left) if left < math.inf else left)
            validate = trainer.current_epoch + 1 == trainer.max_epochs or steps == trainer.max_steps
        trainer.check_val_every_n_epoch = 1 if validate else self._val_interval
        validate_after(trainer, last if validate else batches)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save `last.ckpt`, and another one if this epoch is among the best so far."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it dynamically
            return
        progress = progress_of(trainer)
        metrics, whole = progress.val_metrics, progress.epoch_is_whole
        counts = self.monitor in metrics and (whole or not self.best)
        counts = counts and math.isfinite(metrics[self.monitor])
        epoch = {"epoch": trainer.current_epoch, **metrics}
        is_copy = counts and self._keep_if_good(trainer, epoch, whole)
        if not is_copy:
            trainer.save_checkpoint(self.last_path)
        if trainer.is_global_zero:
            if is_copy:  # in a fraction of the time
                write_atomically(self.last_path, self.best_path.read_bytes())
            self._remove_others()

    def _keep_if_good(self, trainer: Trainer, epoch: dict[str, float], whole: bool) -> bool:
        """Save the epoch if it is among the best. Returns whether it is the best one."""
        if not self.best or is_better(self.mode, epoch[self.monitor], self.best[self.monitor]):
            if self.best and self.save_top_k > 1:
                self._keep_best_so_far(trainer.is_global_zero)
            self.best, self._best_is_whole = epoch, whole
            trainer.save_checkpoint(self.best_path)
            return True
        worse = [i for i, one in enumerate(self.others) if is_better(self.mode, epoch[self.monitor], one[self.monitor])]
        place = worse[0] if worse else len(self.others)
        if place < self.save_top_k - 1:
            self.others = [*self.others[:place], epoch, *self.others[place:]][: self.save_top_k - 1]
            trainer.save_checkpoint(self.path_of(epoch))
        return False

    def _keep_best_so_far(self, writes: bool) -> None:
        """Have the best checkpoint, which is about to be replaced, among the others.

        A process that was killed may have done so already, and may have replaced `best.ckpt`.
        """
        path = self.path_of(self.best)
        if writes and not path.exists():
            write_atomically(path, self.best_path.read_bytes())
        self.others = [self.best, *self.others][: self.save_top_k - 1]

    def _remove_others(self) -> None:
        """Remove checkpoints that are not among the best; a copy of the best one is there to be kept."""
        kept = {self.path_of(one) for one in (*self.others, self.best) if one}
        for path in self.best_path.parent.glob("epoch_*.ckpt"):
            if path not in kept:
                check_lease(path)
                path.unlink()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the format version and ``about``."""
        checkpoint["trainlab"] = {"format": FORMAT} | self.about

    def state_dict(self) -> dict[str, Any]:
        """The best epochs so far."""
        return {"best": self.best, "whole": self._best_is_whole, "others": self.others}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best epochs so far whose checkpoints are here, and not in the folder of another run."""
        self.best = dict(state_dict["best"]) if self.best_path.exists() else {}
        here = [dict(one) for one in state_dict.get("others", []) if self.best and self.path_of(one).exists()]
        self.others = here[: self.save_top_k - 1]
        self._best_is_whole = state_dict["whole"]
