"""Ends of a training from outside: Ctrl-C, and another process that takes over its folder."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from trainlab.console import say_error
from trainlab.ranks import is_main_process
from trainlab.runs.lease import Lease, lease_of
from trainlab.runs.result import RESULT
from trainlab.training.context import StopRequest


class StopOnInterrupt(Callback):
    """Ends the training after the current epoch, saved, on the first Ctrl-C, and at once on the second.

    It ends by LeaseLost before the next step where the heartbeat finds that another process has taken over the folder.

    Args:
        stop: the request that Ctrl-C sets; may be shared with other trainings.
        folder: of the run.
    """

    def __init__(self, stop: StopRequest | None = None, folder: Path | None = None) -> None:
        self.stop = stop or StopRequest()
        self._folder = folder
        self._lease: Lease | None = None
        self._previous: Any = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.stop.requested

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Handle SIGINT, in the main thread only."""
        self._lease = lease_of(self._folder / RESULT) if self._folder else None
        if threading.current_thread() is not threading.main_thread():
            return
        self._previous = signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop.requested = True
        signal.signal(signal.SIGINT, self._previous)
        if is_main_process():
            say_error("stopping after this epoch; press Ctrl-C again to stop now and lose it")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the lease: the steps of a population that follow are made without the next hook."""
        self.on_train_batch_start()

    def on_train_batch_start(self, *_: Any) -> None:
        """Check the lease."""
        if self._lease and self._lease.lost:
            self._lease.check()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop all processes if one of them was interrupted."""
        self.stop.requested = trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
        trainer.should_stop = trainer.should_stop or self.interrupted

    def give_back(self) -> None:
        """Restore the previous handler. Called after `fit`: Lightning restores handlers after all hooks."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
