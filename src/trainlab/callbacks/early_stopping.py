"""Early stopping that can be resumed."""

from functools import wraps
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch import callbacks
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason as Reason

from trainlab.tasks.metrics import mode_of
from trainlab.training.progress import progress_of
from trainlab.validation import check_at_least


class EarlyStopping(callbacks.EarlyStopping):
    """Lightning's early stopping; a resumed run ends where an uninterrupted one would, by its current patience.

    Patience counts validations: an epoch without validation does not count.
    """

    _reached = False  # whether a threshold was reached before the run was resumed

    @wraps(callbacks.EarlyStopping.__init__)  # type: ignore[misc]  # the same signature
    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        section = "callbacks.early_stopping"
        mode_of(self.monitor, self.mode, section)
        min_delta = self.min_delta if self.mode == "max" else -self.min_delta  # Lightning has multiplied it by -1
        check_at_least(0, section, patience=self.patience, min_delta=min_delta)

    def has_stopped(self, state_dict: dict[str, Any]) -> bool:
        """Whether a training resumed with this state has ended already, by the current patience."""
        return self._has_reached(state_dict) or state_dict["wait_count"] >= max(1, self.patience)

    @staticmethod
    def _has_reached(state_dict: dict[str, Any]) -> bool:
        return state_dict["stopping_reason"] not in (Reason.NOT_STOPPED.value, Reason.PATIENCE_EXHAUSTED.value)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the count of validations without improvement."""
        self._reached = self._has_reached(state_dict)
        reset = {"stopped_epoch": 0, "stopping_reason": Reason.NOT_STOPPED.value, "stopping_reason_message": None}
        super().load_state_dict(state_dict | {"patience": self.patience, **reset})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop at once if the training had ended before it was resumed."""
        if self._reached or self.wait_count >= max(1, self.patience):
            trainer.should_stop, self.stopped_epoch = True, trainer.current_epoch - 1
            self.stopping_reason = Reason.STOPPING_THRESHOLD if self._reached else Reason.PATIENCE_EXHAUSTED

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the metric if the epoch was validated."""
        progress = progress_of(trainer)
        if progress.val_metrics and progress.epoch_is_whole:
            super().on_train_epoch_end(trainer, pl_module)
