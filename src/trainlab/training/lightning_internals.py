"""What Lightning does without being asked and has no setting for: the one place that touches its private state."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lightning import Trainer
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.loops.training_epoch_loop import RestartStage
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector
from torch import Tensor

from trainlab.training.lightning_processes import watch_processes
from trainlab.training.optimizers import is_elementwise


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
    """Lightning's own also looks for checkpoints of SLURM and of `OnExceptionCheckpoint` where none is given.

    It also takes a checkpoint that lacks counters or states for an older one, and resumes without them.
    """

    def _select_ckpt_path(self, state_fn: Any, ckpt_path: Any, model_provided: bool, model_connected: bool) -> Any:
        return ckpt_path

    def _restore_modules_and_callbacks(self, *args: Any, **kwargs: Any) -> None:
        with self._damage_named():
            super()._restore_modules_and_callbacks(*args, **kwargs)

    def restore_training_state(self) -> None:
        with self._damage_named():
            super().restore_training_state()

    def restore_loops(self) -> None:
        if saved := self._loaded_checkpoint:
            _check_same_form("loops", _form(saved["loops"]["fit_loop"]), _form(self.trainer.fit_loop.state_dict()))
        super().restore_loops()

    def restore_optimizers_and_schedulers(self) -> None:
        if saved := self._loaded_checkpoint:
            optimizers = [optimizer.state_dict() for optimizer in self.trainer.optimizers]
            schedulers = [config.scheduler.state_dict() for config in self.trainer.lr_scheduler_configs]
            groups, saved_groups = ([s["param_groups"] for s in of] for of in (optimizers, saved["optimizer_states"]))
            _check_same_form("optimizer_states", _keys(saved_groups), _keys(groups))
            _check_same_form("lr_schedulers", _keys(saved["lr_schedulers"]), _keys(schedulers))
        super().restore_optimizers_and_schedulers()
        for optimizer in filter(is_elementwise, self.trainer.optimizers):
            for parameter, state in optimizer.state.items():
                shapes = {value.shape for value in state.values() if isinstance(value, Tensor)}
                if wrong := shapes - {parameter.shape, ()}:
                    raise ValueError(f"optimizer_states are of other parameters: {wrong.pop()}, not {parameter.shape}")

    @contextlib.contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Have whatever an error of restoring is say that the checkpoint is damaged."""
        try:
            yield
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0].removeprefix("ValueError: ")
            raise ValueError(
                f"{self._ckpt_path} is damaged, training cannot resume from it ({reason[:200]}); remove it, or set "
                "another name=, to train from the start"
            ) from error


def _check_same_form(name: str, saved: Any, expected: Any) -> None:
    if saved != expected:
        raise ValueError(f"{name} are not those of this training")


def _form(value: Any) -> Any:
    """The keys of nested mappings, and the types of what they hold."""
    return {k: _form(v) for k, v in value.items()} if isinstance(value, Mapping) else type(value)


def _keys(states: Sequence[Any]) -> Any:
    """Those of the mappings in lists."""
    return [_keys(state) if isinstance(state, list) else set(state) for state in states]
