"""Ctrl-C during training."""

import signal
import threading
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from trainlab.console import say_error
from trainlab.training.context import StopRequest


class StopOnInterrupt(Callback):
    """Ends the training after the current epoch, saved, on the first Ctrl-C, and at once on the second.

    Args:
        stop: the request that Ctrl-C sets; may be shared with other trainings.
    """

    def __init__(self, stop: StopRequest | None = None) -> None:
        self.stop = stop or StopRequest()
        self._previous: Any = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.stop.requested

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Handle SIGINT, in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._previous = signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop.requested = True
        signal.signal(signal.SIGINT, self._previous)
        say_error("stopping after this epoch; press Ctrl-C again to stop now and lose it")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop all processes if one of them was interrupted."""
        self.stop.requested = trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
        trainer.should_stop = trainer.should_stop or self.interrupted

    def give_back(self) -> None:
        """Restore the previous handler. Called after `fit`: Lightning restores handlers after all hooks."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
