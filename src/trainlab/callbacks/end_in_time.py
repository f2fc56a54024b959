"""A training whose process will be ended, as a scheduler has announced."""

import threading
import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from trainlab.console import say_error
from trainlab.ending import Pace, ending
from trainlab.training.context import StopRequest
from trainlab.training.lightning_internals import batches_trained, end_epoch_after_step
from trainlab.training.progress import progress_of


class EndInTime(Callback):
    """Ends the training after its epoch if that fits into the time that is left, else saved after a step of it.

    One that can only continue at the end of an epoch ends at once instead. Members of a population leave it to that.

    Args:
        stop: is requested, as by Ctrl-C.
        whole_epochs: whether the training can only continue at the end of an epoch.
    """

    def __init__(self, stop: StopRequest, whole_epochs: bool) -> None:
        self._stop, self._whole_epochs, self._pace = stop, whole_epochs, Pace()
        self._trainer: Trainer | None = None
        self._ends_inside = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Heed announcements, whose signals Lightning handles, too."""
        if threading.current_thread() is threading.main_thread():
            self._trainer, self._heeded_before = trainer, ending.heed
            ending.heed = self._heed
            ending.take_signals()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock. An epoch may have to begin though the end is announced, and then ends inside."""
        if self._trainer:
            self._begun = progress_of(trainer).begun_batches
            self._pace.begin(trainer.num_training_batches - self._begun)
            if ending.at_s is not None:
                self._heed(ending.at_s - time.monotonic())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the steps of an epoch are made."""
        if self._trainer and not trainer.sanity_checking:
            self._pace.done()

    def on_train_end(self, *_: Any) -> None:
        """Leave announcements to others."""
        if self._trainer:
            ending.heed, self._trainer = self._heeded_before, None

    def on_exception(self, *_: Any) -> None:
        """The same."""
        self.on_train_end()

    def _heed(self, left_s: float) -> None:
        assert self._trainer is not None
        self._stop.requested = True
        batches, are_all = batches_trained(self._trainer)
        self._pace.made = max(self._pace.made, batches - self._begun)
        if self._ends_inside:
            return
        if are_all or self._pace.fits(left_s):
            say_error(f"this process ends in {left_s:.0f} s: stopping after this epoch")
        elif self._whole_epochs:
            raise KeyboardInterrupt
        else:
            self._ends_inside = True
            say_error(f"this process ends in {left_s:.0f} s: saving inside the epoch")
            end_epoch_after_step(self._trainer)
