"""Progress of a training: a bar of each epoch on a terminal, and reports to the sweep that the run is a job of."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from trainlab.console import Bar, on_terminal
from trainlab.runs.numbers import format_duration
from trainlab.training.module import Batch, TaskModule
from trainlab.training.step_report import StepReport
from trainlab.validation import check_at_least


class ProgressBar(Callback):
    """Shows a bar over the steps of an epoch on a terminal, with the loss of the latest batch and the time left.

    Args:
        refresh_rate: steps between two updates; it is redrawn ten times per second at most.
    """

    def __init__(self, refresh_rate: int = 1) -> None:
        check_at_least(1, "callbacks.progress", refresh_rate=refresh_rate)
        self.refresh_rate = refresh_rate
        self._bar: Bar | None = None
        self._batches = 0  # of an epoch
        self._loss = _LatestLoss()
        # The end of the first step of this process, which takes longer than others, and the epochs until then.
        self._begun: tuple[float, float] | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar on a terminal, if the number of batches is known."""
        batches = trainer.num_training_batches
        if trainer.is_global_zero and batches < math.inf and on_terminal():
            limit = trainer.max_epochs or -1
            of = f" of {limit}" if limit > 0 else ""
            self._batches = int(batches)
            self._bar = Bar(f"epoch {trainer.current_epoch + 1}{of}", self._batches, shows_detail=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Update the bar."""
        if self._bar is None:
            return
        done = batch_idx + 1
        if self._begun is None:
            self._begun = time.monotonic(), trainer.current_epoch + done / self._batches
        if done % self.refresh_rate == 0 or done == self._batches:
            self._bar.update(done - self._bar.steps, lambda: self._detail(trainer, pl_module, outputs, done))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show that the epoch is validated."""
        if self._bar:
            self._bar.update(0, lambda: "validating")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Close the bar."""
        self._close()

    def _detail(self, trainer: Trainer, module: LightningModule, outputs: Any, batch: int) -> str:
        parts = self._loss.read(_loss_of(module, outputs)), self._left(trainer, batch)
        return ", ".join(part for part in parts if part)

    def _left(self, trainer: Trainer, batch: int) -> str:
        """Time left of the whole training, by what this process has done; early stopping may end it before."""
        limits = [trainer.max_epochs or -1, trainer.max_steps * trainer.accumulate_grad_batches / self._batches]
        ends = [limit for limit in limits if limit > 0]
        assert self._begun is not None
        begun_s, begun = self._begun
        now = trainer.current_epoch + batch / self._batches
        if not ends or now <= begun:
            return ""
        left = (time.monotonic() - begun_s) * max(0.0, min(ends) - now) / (now - begun)
        return f"{format_duration(left)} left"

    def _close(self) -> None:
        if self._bar:
            self._bar.close()
            self._bar = None


class StepReporter(Callback):
    """Reports each step to the sweep that the run is a job of. It shows nothing, and no setting switches it off."""

    def __init__(self) -> None:
        self._report = StepReport()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Report that the batch is done, if the number of batches is known."""
        batches = trainer.num_training_batches
        if trainer.is_global_zero and batches < math.inf:
            self._report.made(trainer.current_epoch, batch_idx + 1, int(batches))


class _LatestLoss:
    """The loss as text, without waiting for a GPU: its copy arrives until the next update of the bar."""

    def __init__(self) -> None:
        self._copy: Tensor | None = None
        self._arrived: torch.cuda.Event | None = None

    def read(self, loss: Tensor | None) -> str:
        """That of the latest batch; on a GPU of the update before, "" at the first."""
        if loss is None or loss.device.type not in ("cpu", "cuda"):
            return ""
        if loss.device.type == "cpu":
            return f"loss {float(loss):.4g}"
        shown = f"loss {float(self._copy):.4g}" if self._copy is not None and self._arrived.query() else ""  # type: ignore[union-attr]  # set with the copy
        self._copy, self._arrived = loss.to("cpu", non_blocking=True), torch.cuda.Event()
        self._arrived.record()
        return shown


def _loss_of(module: LightningModule, outputs: Any) -> Tensor | None:
    """Of the latest batch; None where the training step of a user's module returns none."""
    if isinstance(module, TaskModule):
        return getattr(module, "loss", None)
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    return loss.detach() if isinstance(loss, Tensor) and loss.dim() == 0 else None
