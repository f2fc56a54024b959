"""What watches and records a training. Nothing here changes weights or learning rates."""

import logging
import math
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch import callbacks
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason as Reason
from tqdm.auto import tqdm

from trainlab.checks import check_at_least
from trainlab.data import ImageData
from trainlab.module import Batch, Classifier
from trainlab.tensorboard import TRAINING_IMAGES, TensorBoard
from trainlab.val_metrics import is_better, metric_of, mode_of

log = logging.getLogger(__name__)


class EpochLog(Callback):
    """One row an epoch for every logger and one line for the console and the log file.

    Learning rate and momentum of the row are those of the last optimizer step of the epoch.

    Attributes:
        epoch_s: wall seconds of every epoch of the run, resumed ones too, from the end of the one before: training
            steps, validation, and writing what the epoch before left to write, its checkpoints.
        images_per_s: training images a second of its training steps.
        active: whether an epoch has begun since this was made.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.epoch_s: list[float] = []
        self.images_per_s: list[float] = []
        self.active = False
        self._trained: float | None = None
        self._end: float | None = None

    @property
    def median_epoch_s(self) -> float:
        """Median wall seconds of an epoch."""
        return statistics.median(self.epoch_s)

    @property
    def median_images_per_s(self) -> float:
        """Median over the epochs."""
        return statistics.median(self.images_per_s)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        assert isinstance(pl_module, Classifier)
        self.active = True
        self._start, self._trained = self._clock(), None
        self._first_batch, self._first_part_s = pl_module.begun_batches, 0.0
        if self._first_batch:  # which has a row already
            self._first_part_s = self.epoch_s.pop()
            self.images_per_s.pop()
        if self._end is None:
            self._end = self._start

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note when the training steps of the epoch have ended, on the device too."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        self._trained = self._clock()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row and the line."""
        assert isinstance(pl_module, Classifier)
        loss, right, count = pl_module.train_sums().tolist()
        assert self._end is not None
        previous_end, self._end = self._end, self._clock()
        self.epoch_s.append(self._first_part_s + self._end - previous_end)
        now = count - self._first_batch * pl_module.batches.batch_size * trainer.world_size
        self.images_per_s.append(now / ((self._trained or self._end) - self._start))
        lr, momentum = pl_module.lr_and_momentum
        row = {
            "epoch": trainer.current_epoch,
            "train/loss": loss / count,
            "train/acc": right / count,
            **pl_module.val_metrics,
            "lr": float(lr),
            "momentum": float(momentum),
            "epoch_s": self.epoch_s[-1],
            "images_per_s": self.images_per_s[-1],
            "parameters": sum(p.numel() for p in pl_module.network.parameters()),
        }
        for logger in trainer.loggers:
            logger.log_metrics(row, step=trainer.global_step)
        if trainer.is_global_zero:
            log.info(_line(row, trainer.max_epochs))

    def state_dict(self) -> dict[str, Any]:
        """The times so far."""
        return {"epoch_s": self.epoch_s, "images_per_s": self.images_per_s}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the times of the epochs before."""
        self.epoch_s, self.images_per_s = list(state_dict["epoch_s"]), list(state_dict["images_per_s"])


def _line(row: dict[str, Any], max_epochs: int | None) -> str:
    of = f"/{max_epochs}" if max_epochs and max_epochs > 0 else ""
    val = f"   val {row['val/loss']:.4f} {row['val/acc']:6.2%}" if "val/loss" in row else ""
    return (
        f"epoch {row['epoch'] + 1:3d}{of}   train {row['train/loss']:.4f} {row['train/acc']:6.2%}{val}"
        f"   lr {row['lr']:.2e}   {row['epoch_s']:.1f} s"
    )


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
        trainer.val_check_batch = last if validate else batches

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
        checkpoint["trainlab"] = self.about

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far."""
        return {"best": self.best, "whole": self._best_is_whole}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best epoch so far, if its checkpoint is here and not in the folder of another run."""
        self.best = dict(state_dict["best"]) if self.best_path.exists() else {}
        self._best_is_whole = state_dict["whole"]


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's, but a resumed run ends where an undisturbed one would have, and by the patience it has now.

    Patience counts validations: an epoch that is not validated does not count.
    """

    _reached = False  # a threshold, before the run was resumed

    @wraps(callbacks.EarlyStopping.__init__)  # type: ignore[misc]  # its signature is that of Lightning's
    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        section = "callbacks.early_stopping"
        metric_of(self.monitor, f"{section}.monitor")
        mode_of(self.monitor, self.mode, section)
        min_delta = self.min_delta if self.mode == "max" else -self.min_delta  # Lightning has given it a sign
        check_at_least(0, section, patience=self.patience, min_delta=min_delta)

    def has_stopped(self, state_dict: dict[str, Any]) -> bool:
        """Whether a training that is resumed with this state is at its end, by the patience that there is now."""
        return self._has_reached(state_dict) or state_dict["wait_count"] >= max(1, self.patience)

    @staticmethod
    def _has_reached(state_dict: dict[str, Any]) -> bool:
        return state_dict["stopping_reason"] not in (Reason.NOT_STOPPED.value, Reason.PATIENCE_EXHAUSTED.value)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self._reached = self._has_reached(state_dict)
        going_on = {"stopped_epoch": 0, "stopping_reason": Reason.NOT_STOPPED.value, "stopping_reason_message": None}
        super().load_state_dict(state_dict | {"patience": self.patience, **going_on})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make no epoch more if the last one was the one to stop after."""
        if self._reached or self.wait_count >= max(1, self.patience):
            trainer.should_stop, self.stopped_epoch = True, trainer.current_epoch - 1
            self.stopping_reason = Reason.STOPPING_THRESHOLD if self._reached else Reason.PATIENCE_EXHAUSTED

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the epoch, if it was validated."""
        assert isinstance(pl_module, Classifier)
        if pl_module.val_metrics and pl_module.epoch_is_whole:
            super().on_train_epoch_end(trainer, pl_module)


class StopOnInterrupt(Callback):
    """The first Ctrl-C ends the training after the epoch under way, saved; a second one ends it at once.

    Attributes:
        interrupted: whether there was one.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._previous: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over Ctrl-C; off the main thread it is another's to take."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._previous = signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        signal.signal(signal.SIGINT, self._previous)
        print("stopping after this epoch; Ctrl-C again to stop now and lose it", file=sys.stderr, flush=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop all processes if any was interrupted."""
        self.interrupted = trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
        trainer.should_stop = trainer.should_stop or self.interrupted

    def give_back(self) -> None:
        """Let Ctrl-C do what it did before. For the caller: after its hooks Lightning restores what it found."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)


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


class Pictures(Callback):
    """A grid of training images as the network gets them, with their labels, for TensorBoard.

    Args:
        num_images: in the grid, at most a batch.
    """

    def __init__(self, num_images: int = 32) -> None:
        check_at_least(1, "callbacks.pictures", num_images=num_images)
        self.num_images = num_images
        self._batch: list[torch.Tensor] | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Keep the first batch of the training."""
        if batch_idx == 0 and trainer.current_epoch == 0:
            self._batch = [part[: self.num_images].clone() for part in batch]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw it, once the first epoch is over."""
        if self._batch is None or trainer.current_epoch > 0 or not trainer.is_global_zero:
            return
        from trainlab.pictures import image_grid  # matplotlib takes a while to import

        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it unseen
        assert isinstance(data, ImageData)
        images, labels = self._batch
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoard):
                figure = image_grid(images, [data.classes[i] for i in labels.tolist()])
                logger.experiment.add_figure(TRAINING_IMAGES, figure, 0)
