"""Ctrl-C during a training."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from trainlab.training.context import StopRequest


class StopOnInterrupt(Callback):
    """The first Ctrl-C ends the training after the epoch under way, saved; a second one ends it at once.

    Args:
        stop: where it is noted; may be that of other trainings, too.
    """

    def __init__(self, stop: StopRequest | None = None) -> None:
        self.stop = stop or StopRequest()
        self._previous: Any = None

    @property
    def interrupted(self) -> bool:
        """Whether the training is to end, or has ended, after its epoch."""
        return self.stop.requested

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over Ctrl-C; off the main thread it is another's to take."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._previous = signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop.requested = True
        signal.signal(signal.SIGINT, self._previous)
        print("stopping after this epoch; Ctrl-C again to stop now and lose it", file=sys.stderr, flush=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop all processes if any was interrupted."""
        self.stop.requested = trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
        trainer.should_stop = trainer.should_stop or self.interrupted

    def give_back(self) -> None:
        """Let Ctrl-C do what it did before. For the caller: after its hooks Lightning restores what it found."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
