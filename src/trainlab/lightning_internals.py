"""What Lightning does without being asked and has no setting for: the one place that touches its private state."""

import warnings
from collections.abc import Callable
from typing import Any

from lightning import Trainer
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.loops.training_epoch_loop import RestartStage
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector

from trainlab.lightning_processes import watch_processes


def make_trainer(make: Callable[[], Trainer]) -> Trainer:
    """The Trainer that ``make`` returns, which starts from no checkpoint but the one given to ``fit``.

    In a job of SLURM Lightning would write `hpc_ckpt_N.ckpt` on SIGUSR1 and queue the job again, and load any such file
    that it finds. On a machine that has `srun` it would warn of every Trainer that was started without.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The `srun` command is available")
        trainer = make()
    environment = trainer._accelerator_connector.cluster_environment
    if isinstance(environment, SLURMEnvironment):
        environment.auto_requeue = False
    trainer._checkpoint_connector = _GivenCheckpoint(trainer)
    watch_processes(trainer)
    # Lightning takes every run with max_steps for one that restarts inside an epoch, and ends that epoch twice.
    trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
    return trainer


def reopen_epoch(fit_loop: dict[str, Any]) -> None:
    """Have Lightning begin the epoch in the middle of which its counts ``fit_loop`` of a checkpoint were saved.

    They were saved in `on_train_epoch_end`, and take the epoch for one that is over.
    """
    for counts in fit_loop["epoch_progress"].values():
        counts |= dict.fromkeys(("ready", "started", "processed"), counts["completed"])


def continue_epoch(trainer: Trainer) -> None:
    """In `on_train_epoch_start` of such an epoch: go on counting its batches where the checkpoint ends."""
    loop = trainer.fit_loop.epoch_loop
    loop._restarting, loop._restart_stage = True, RestartStage.RESTARTED_ON_LAST


class _GivenCheckpoint(_CheckpointConnector):
    """Lightning's own also looks for checkpoints of SLURM and of `OnExceptionCheckpoint` where none is given."""

    def _select_ckpt_path(self, state_fn: Any, ckpt_path: Any, model_provided: bool, model_connected: bool) -> Any:
        return ckpt_path
