"""Pruning of a trial by the process of its search, where the study is in a database that the trial does not know.

That process reads the `metrics.csv` of the trials, and asks those to stop that its pruner ends: by a file that is named
after the number of the trial, in a folder of the search.
"""

import os
from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from trainlab.runs.files import write_atomically
from trainlab.training.progress import progress_of


class PruneOnRequest(Callback):
    """Ends the training after the epoch in which it is asked to, but not after its last one.

    Args:
        requests: folder of the requests.
        number: number of the trial.

    Attributes:
        pruned: whether the trial was pruned.
    """

    def __init__(self, requests: str, number: int) -> None:
        self._requests, self._number = Path(requests), number
        self.pruned = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop at once if the trial was pruned while it did not run."""
        if trainer.current_epoch:
            self._stop(trainer, trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop if the trial is pruned, and nothing else ends it."""
        if not trainer.should_stop and progress_of(trainer).epoch_is_whole:
            self._stop(trainer, trainer.current_epoch + 1)

    def _stop(self, trainer: Trainer, epochs: int) -> None:
        here = trainer.is_global_zero and can_be_pruned(trainer, epochs) and is_requested(self._requests, self._number)
        if trainer.strategy.reduce_boolean_decision(here, all=False):
            self.pruned = trainer.should_stop = True


def can_be_pruned(trainer: Trainer, epochs: int) -> bool:
    """Whether ``epochs`` are fewer than `max_epochs` and at least `min_epochs`."""
    limit = trainer.max_epochs or -1
    return (limit < 0 or epochs < limit) and epochs >= (trainer.min_epochs or 0)


def request_pruning(requests: Path, number: int) -> None:
    """Ask a trial to stop after its epoch."""
    write_atomically(requests / str(number), b"")


def is_requested(requests: Path, number: int) -> bool:
    """Whether a trial is to stop."""
    try:
        return str(number) in os.listdir(requests)  # noqa: PTH208 (a listing is fresh where attributes are cached)
    except FileNotFoundError:
        return False
