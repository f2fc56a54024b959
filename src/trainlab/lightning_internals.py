"""What Lightning does without being asked and has no setting for: the one place that touches its private state."""

import warnings
from collections.abc import Callable
from typing import Any

from lightning import Trainer
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector


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
    return trainer


class _GivenCheckpoint(_CheckpointConnector):
    """Lightning's own also looks for checkpoints of SLURM and of `OnExceptionCheckpoint` where none is given."""

    def _select_ckpt_path(self, state_fn: Any, ckpt_path: Any, model_provided: bool, model_connected: bool) -> Any:
        return ckpt_path
