"""Early stopping that a resumed run repeats."""

from functools import wraps
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch import callbacks
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason as Reason

from trainlab.tasks.metrics import metric_of, mode_of
from trainlab.training.module import Classifier
from trainlab.validation import check_at_least


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
