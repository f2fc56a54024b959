"""A trial of a search in its own process: reports its objective to the study, and ends where others were better.

Needs Optuna, so it is imported by trials alone. Trials share nothing but the study's journal, a file to which every
process appends.
"""

from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.study import load_study

from trainlab.runs.optuna_storage import STUDY, open_journal, trial_id
from trainlab.training.module import Classifier

_PRUNED = "pruned_after"  # epochs; of a trial


def make_pruner(name: str, max_epochs: int) -> BasePruner:
    """Optuna's pruner of that name, with its defaults; Hyperband divides ``max_epochs``."""
    if name == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=max_epochs)
    return MedianPruner() if name == "median" else NopPruner()


class Pruning(Callback):
    """Reports the objective after every validated epoch, and ends the training where the pruner says so.

    Never after the last epoch. What was decided stands in the journal, so that a trial that is cut short and goes on
    ends where it would have. Early stopping has the say.

    Attributes:
        pruned: whether it has ended the training.

    Args:
        journal: of the study.
        number: of the trial.
        pruner: none, median or hyperband.
        max_epochs: of the longest trial.
        objective: the metric of ``METRICS`` that is reported.
    """

    def __init__(self, journal: str, number: int, pruner: str, max_epochs: int, objective: str = "val/loss") -> None:
        self._objective = objective
        self._journal, self._number = Path(journal), number
        self._pruner = make_pruner(pruner, max_epochs)
        self.pruned = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the journal."""
        if trainer.is_global_zero:
            self._storage = open_journal(self._journal)
            self._study = load_study(study_name=STUDY, storage=self._storage, pruner=self._pruner)
            self._trial = trial_id(self._storage, self._number)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make no epoch more if the last one was the one to stop after."""
        self._stop(trainer, trainer.is_global_zero and 0 < self._pruned_after() <= trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the objective and ask."""
        assert isinstance(pl_module, Classifier)
        epochs, ends = trainer.current_epoch + 1, trainer.should_stop
        if trainer.is_global_zero and pl_module.epoch_is_whole and self._objective in pl_module.val_metrics:
            self._tell(epochs, pl_module.val_metrics[self._objective], may_prune=not ends and _goes_on(trainer, epochs))
        self._stop(trainer, trainer.is_global_zero and not ends and 0 < self._pruned_after() <= epochs)

    def _tell(self, epochs: int, value: float, may_prune: bool) -> None:
        if epochs in self._storage.get_trial(self._trial).intermediate_values:
            return  # by a process that was killed before it saved the epoch
        self._storage.set_trial_intermediate_value(self._trial, epochs, value)
        if may_prune and self._pruner.prune(self._study, self._storage.get_trial(self._trial)):
            self._storage.set_trial_user_attr(self._trial, _PRUNED, epochs)

    def _pruned_after(self) -> int:
        return int(self._storage.get_trial(self._trial).user_attrs.get(_PRUNED, 0))

    def _stop(self, trainer: Trainer, here: bool) -> None:
        """Stop all processes if this one decides."""
        if trainer.strategy.reduce_boolean_decision(here, all=False):
            self.pruned = trainer.should_stop = True


def _goes_on(trainer: Trainer, epochs: int) -> bool:
    """Whether there is an epoch to be saved after ``epochs``, and none that must be made."""
    limit = trainer.max_epochs or -1
    return (limit < 0 or epochs < limit) and epochs >= (trainer.min_epochs or 0)
