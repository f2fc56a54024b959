"""Pruning of a trial of a hyperparameter search, in the trial's own process.

Needs Optuna, so only trials import it. Trials share nothing but the study's journal, a file to which every process
appends.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.study import Study, load_study
from optuna.trial import FrozenTrial

from trainlab.callbacks.prune_request import can_be_pruned
from trainlab.runs.optuna_storage import STUDY, open_journal, trial_id
from trainlab.training.progress import progress_of

_PRUNED = "pruned_after"  # epochs; of a trial


def make_pruner(name: str, max_epochs: int) -> BasePruner:
    """Optuna's pruner of this name with its defaults; Hyperband's brackets depend on ``max_epochs``."""
    if name == "hyperband":
        return _Hyperband(min_resource=1, max_resource=max_epochs)
    return MedianPruner() if name == "median" else NopPruner()


class _Hyperband(HyperbandPruner):
    """Whose brackets do not depend on the name of the study, of which a database has many."""

    def _get_bracket_id(self, study: Study, trial: FrozenTrial) -> int:
        return super()._get_bracket_id(cast(Study, SimpleNamespace(study_name=STUDY)), trial)


class Pruning(Callback):
    """Reports the objective to the study after every validated epoch, and ends the training if the pruner decides so.

    A trial is never pruned after its last epoch. Decisions are stored in the journal, so that a resumed trial ends
    where an uninterrupted one would. Early stopping takes precedence.

    Args:
        journal: file of the study.
        number: number of the trial.
        pruner: "none", "median" or "hyperband".
        max_epochs: epochs of the longest trial.
        objective: the validation metric to report.

    Attributes:
        pruned: whether the trial was pruned.
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
        """Stop at once if the trial was pruned before it was resumed."""
        self._stop(trainer, trainer.is_global_zero and 0 < self._pruned_after() <= trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the objective and stop if the trial is pruned."""
        progress = progress_of(trainer)
        epochs, ends = trainer.current_epoch + 1, trainer.should_stop
        if trainer.is_global_zero and progress.epoch_is_whole and self._objective in progress.val_metrics:
            self._report(
                epochs, progress.val_metrics[self._objective], may_prune=not ends and can_be_pruned(trainer, epochs)
            )
        self._stop(trainer, trainer.is_global_zero and not ends and 0 < self._pruned_after() <= epochs)

    def _report(self, epochs: int, value: float, may_prune: bool) -> None:
        if epochs in self._storage.get_trial(self._trial).intermediate_values:
            return  # reported by a process that was killed before it saved the epoch
        self._storage.set_trial_intermediate_value(self._trial, epochs, value)
        if may_prune and self._pruner.prune(self._study, self._storage.get_trial(self._trial)):
            self._storage.set_trial_user_attr(self._trial, _PRUNED, epochs)

    def _pruned_after(self) -> int:
        return int(self._storage.get_trial(self._trial).user_attrs.get(_PRUNED, 0))

    def _stop(self, trainer: Trainer, here: bool) -> None:
        """Stop all processes if this one decides."""
        if trainer.strategy.reduce_boolean_decision(here, all=False):
            self.pruned = trainer.should_stop = True
