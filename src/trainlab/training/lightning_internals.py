"""Every touch of Lightning's private state, each with the gain that justifies it. No other file has any.

`tests/training/test_lightning_internals.py` holds what is relied on here against the Lightning that is installed.
"""

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import EntryPoints, entry_points
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.utilities import registry
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper, _set_num_threads_if_needed
from lightning.pytorch.accelerators.cpu import _PSUTIL_AVAILABLE
from lightning.pytorch.callbacks import Callback, DeviceStatsMonitor
from lightning.pytorch.loops.training_epoch_loop import RestartStage
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector
from torch import Tensor
from torch.utils.data import DistributedSampler

from trainlab import ranks
from trainlab.randomness import derive_seed, global_generators_restored, seed_global_generators
from trainlab.ranks.peers import SHORT_SILENCE_S
from trainlab.training.lightning_processes import is_lost_connection
from trainlab.training.optimizers import ELEMENTWISE

_POLL_S = 0.5
_GRACE_S = 5.0  # for this process to raise an error of its own; before all have connected it cannot
_SIGN_S = 12.0  # after a lost connection, for what a process has to say about its end, or its silence


def make_trainer(make: Callable[[], Trainer]) -> Trainer:
    """The Trainer that ``make`` returns, changed so that a run depends on nothing but its settings and its checkpoint.

    It is to have the cluster environment of `trainlab.ranks`: Lightning would look for another one.

    Gains: no checkpoint of a job of SLURM is read; a damaged checkpoint is refused; no process waits for one that has
    died; an epoch that `max_steps` ends is ended once.
    """
    with _plugins_read_once():
        trainer = make()
    trainer._checkpoint_connector = _GivenCheckpoint(trainer)
    trainer._signal_connector._sigterm_notifier_fn = partial(_note_sigterm, trainer)  # type: ignore[method-assign]  # of this trainer alone
    launcher = trainer.strategy.launcher
    if type(launcher) is _SubprocessScriptLauncher:
        watched = WatchedLauncher(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        watched.chooses_threads = trainer.strategy.root_device.type != "cpu"
        trainer.strategy._launcher = watched
    # Lightning takes every run with max_steps for one that restarts inside an epoch, and ends that epoch twice.
    trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
    return trainer


def _note_sigterm(trainer: Trainer, number: int, frame: Any) -> None:
    """What Lightning does at SIGTERM, but it sends no tensor from the handler, in the middle of another exchange.

    The main process sends it to all others before each batch.
    """
    connector, launcher = trainer._signal_connector, trainer.strategy.launcher
    if launcher is not None and not connector.received_sigterm:
        launcher.kill(number)
    connector.received_sigterm = True


@contextlib.contextmanager
def _plugins_read_once() -> Iterator[None]:
    """Have the names of packages' callbacks read once by a process. Gain: 20 ms for each Trainer after the first."""
    read = registry.entry_points
    registry.entry_points = _entry_points  # type: ignore[assignment]  # with one of its arguments
    try:
        yield
    finally:
        registry.entry_points = read


@functools.cache
def _entry_points(group: str) -> EntryPoints:
    return entry_points(group=group)


def on_death(trainer: Trainer, record: Callable[[Exception], None]) -> None:
    """Have ``record`` called with the error where a process dies before the main one can notice."""
    if isinstance(trainer.strategy.launcher, WatchedLauncher):
        trainer.strategy.launcher.on_death = record


def replace_callbacks(trainer: Trainer, callbacks: Sequence[Callback]) -> None:
    """Have these callbacks and no others. Gain: a short training is built like a run and leaves no checkpoints."""
    trainer.callbacks = list(callbacks)  # type: ignore[attr-defined]  # Lightning sets it unseen


def set_up_batches(trainer: Trainer) -> None:
    """Have the batches of an epoch counted. Gain: a schedule knows its steps when the optimizer is made."""
    trainer.fit_loop.setup_data()


def detects_anomalies(trainer: Trainer) -> bool:
    """Whether `detect_anomaly` is set. Gain: a step that waits for the device is not captured as a CUDA graph."""
    return bool(trainer._detect_anomaly)


def validate_after(trainer: Trainer, batch: float) -> None:
    """Validate after that many batches of each epoch. Gain: a run that `max_steps` ends inside one is validated."""
    trainer.val_check_batch = batch


def count_step(trainer: Trainer) -> None:
    """Count an optimizer step in `global_step`. Gain: steps without Lightning's wrapper, in one compiled function."""
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    progress.increment_ready()
    progress.increment_completed()


def count_epoch(trainer: Trainer, steps: int, is_whole: bool) -> None:
    """In a batch of an epoch: count ``steps`` batches and optimizer steps from it on, and take it for their last.

    ``is_whole``: whether the epoch has all its batches then. Gain: the epochs of a population are trained together,
    outside the loops of its members.
    """
    loop = trainer.fit_loop.epoch_loop
    optimizer = loop.manual_optimization.optim_step_progress
    for counts in (loop.batch_progress.total, loop.batch_progress.current):
        for name in ("ready", "started", "processed", "completed"):
            setattr(counts, name, getattr(counts, name) + steps - 1)
    for counts in (optimizer.total, optimizer.current):
        counts.ready += steps
        counts.completed += steps
    loop.batch_progress.is_last_batch = is_whole  # and nothing has ended it before
    loop._batches_that_stepped += steps - 1


def reopen_epoch(fit_loop: dict[str, Any]) -> None:
    """Have Lightning begin the epoch in the middle of which its counts ``fit_loop`` of a checkpoint were saved.

    They were saved in `on_train_epoch_end`, and take the epoch for one that is over. Gain, with `continue_epoch`: a run
    that `max_steps` ended inside an epoch resumes to the bit.
    """
    for counts in fit_loop["epoch_progress"].values():
        counts |= dict.fromkeys(("ready", "started", "processed"), counts["completed"])


def continue_epoch(trainer: Trainer) -> None:
    """In `on_train_epoch_start` of such an epoch: continue to count its batches where the checkpoint ends."""
    loop = trainer.fit_loop.epoch_loop
    loop._restarting, loop._restart_stage = True, RestartStage.RESTARTED_ON_LAST


def seed_batches(trainer: Trainer, seed: Callable[[str, int], None], order: int) -> None:
    """Have ``seed("train" or "validation", epoch)`` called just before the iterators of data loaders are made.

    Their order and the random states of their workers are drawn then. Lightning makes those of the first epoch of a
    process earlier than others, before samplers know the epoch: they are made again. Workers that persist keep their
    random states, so they are started anew, and generators of data loaders and samplers are seeded alike. An order that
    is divided among processes is drawn by the seed ``order``, the same in all of them. Gain: a resumed run gets the
    batches of an uninterrupted one.
    """
    loop, validation = trainer.fit_loop.epoch_loop, trainer.fit_loop.epoch_loop.val_loop
    begin, reset = loop.on_run_start, validation.reset

    def begin_epoch(fetcher: Any) -> None:
        first = loop.trainer.current_epoch == 0 or trainer.fit_loop.is_resuming or loop.restarting
        _stop_workers(trainer.fit_loop._combined_loader)
        seed("train", trainer.current_epoch)
        _seed_generators(trainer.fit_loop._combined_loader)
        _seed_divided(trainer.fit_loop._combined_loader, order, "train", trainer.current_epoch)
        if first:  # otherwise Lightning does
            iter(fetcher)
        begin(fetcher)

    def reset_validation() -> None:
        _stop_workers(validation._combined_loader)
        seed("validation", trainer.current_epoch)
        _seed_generators(validation._combined_loader)
        _seed_divided(validation._combined_loader, order, "validation", trainer.current_epoch)
        reset()

    loop.on_run_start = begin_epoch  # type: ignore[method-assign, assignment]  # of this trainer alone
    validation.reset = reset_validation  # type: ignore[method-assign]  # of this trainer alone


def _stop_workers(loaders: Any) -> None:
    """Have data loaders start new workers."""
    for loader in () if loaders is None else loaders.flattened:
        if getattr(loader, "persistent_workers", False):
            loader._iterator = None


def _seed_generators(loaders: Any) -> None:
    """Seed the generators that data loaders were given as the global one was."""
    for loader in () if loaders is None else loaders.flattened:
        for owner in (loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)):
            if isinstance(own := getattr(owner, "generator", None), torch.Generator):
                own.manual_seed(torch.initial_seed())


def _seed_divided(loaders: Any, order: int, place: str, epoch: int) -> None:
    """Seed the order of samplers that give each process a part of it. To Lightning it is the same for all runs."""
    for loader in () if loaders is None else loaders.flattened:
        if isinstance(sampler := getattr(loader, "sampler", None), DistributedSampler):
            sampler.seed = order % 2**32  # to which it adds the epoch
        if isinstance(sampler, DistributedSamplerWrapper):  # of a sampler of the user's
            indices: Any = sampler.dataset
            indices.reset = partial(_draw_order, indices, derive_seed(order, place, epoch))


def _draw_order(indices: Any, seed: int) -> None:
    """What `DistributedSamplerWrapper` calls before a pass, with draws by ``seed``."""
    with global_generators_restored():
        seed_global_generators(seed, torch.device("cpu"))
        if isinstance(own := getattr(indices._sampler, "generator", None), torch.Generator):
            own.manual_seed(seed)
        type(indices).reset(indices)


def step_plateau_schedules(trainer: Trainer) -> Callable[[], None]:
    """A function that steps the schedules that watch a metric, at the end of an epoch. Lightning does not any more.

    Gain: they are in the checkpoint that is written before Lightning would have stepped them.
    """
    loop = trainer.fit_loop.epoch_loop
    update = loop.update_lr_schedulers

    def update_others(interval: str, update_plateau_schedulers: bool) -> None:
        if not (interval == "epoch" and update_plateau_schedulers):
            update(interval, update_plateau_schedulers=update_plateau_schedulers)

    def step() -> None:
        if loop._num_ready_batches_reached():
            update("epoch", update_plateau_schedulers=True)

    loop.update_lr_schedulers = update_others  # type: ignore[method-assign]  # of this trainer alone
    return step


def logged_in_epoch(trainer: Trainer) -> dict[str, Any]:
    """Metrics that were logged in the training or validation of the epoch that now ends, by name.

    Gain: which of them are of this validation; `callback_metrics` mixes all.
    """
    assert trainer._results is not None
    return dict(trainer._results.metrics(on_step=False)["callback"])


def batches_trained(trainer: Trainer) -> tuple[int, bool]:
    """Batches of the current epoch so far, and whether they are all. Gain: data loaders may not know how many."""
    loop = trainer.fit_loop.epoch_loop
    return loop.batch_progress.current.ready, loop._num_ready_batches_reached()


def end_epoch_after_step(trainer: Trainer) -> None:
    """End the training with the optimizer step that is being made, inside the epoch. Gain: no step of it is lost."""
    _end_at(trainer, trainer.global_step + 1)


def end_epoch_here(trainer: Trainer) -> None:
    """End the training with the latest optimizer step. Gain: the same, where epochs are trained together."""
    _end_at(trainer, trainer.global_step)


def _end_at(trainer: Trainer, step: int) -> None:
    loop = trainer.fit_loop.epoch_loop
    loop.max_steps = step if loop.max_steps < 0 else min(loop.max_steps, step)


def lacks_psutil(callback: DeviceStatsMonitor, on_cpu: bool) -> bool:
    """Whether the callback would fail for want of psutil. Gain: that is an error before the training."""
    return not _PSUTIL_AVAILABLE and bool(on_cpu if callback._cpu_stats is None else callback._cpu_stats)


class FastHookNames:
    """Mixin of a LightningModule. Gain: 40 assignments a step that torch does not search for parameters.

    Lightning notes in `_current_fx_name` the hook that it is in.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


class _GivenCheckpoint(_CheckpointConnector):
    """Lightning's, but without a checkpoint given none is looked for, and one that lacks counters or states is refused.

    Gain: a run does not start from a file that SLURM or `OnExceptionCheckpoint` left, nor resume inexactly.
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
        for optimizer in (optimizer for optimizer in self.trainer.optimizers if type(optimizer) in ELEMENTWISE):
            for parameter, state in optimizer.state.items():
                shapes = {value.shape for value in state.values() if isinstance(value, Tensor)}
                if wrong := shapes - {parameter.shape, ()}:
                    raise ValueError(f"optimizer_states are of other parameters: {wrong.pop()}, not {parameter.shape}")
                if "mu_product" in state and not optimizer.defaults["capturable"]:  # of NAdam, which has it on the CPU
                    state["mu_product"] = state["mu_product"].cpu()

    @contextlib.contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Turn any error of restoring into one that says that the checkpoint is damaged."""
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


class WatchedLauncher(_SubprocessScriptLauncher):
    """Lightning's, but the death of a process is an error of those that wait for it, on all nodes.

    Gain: a result that says so. Lightning kills all with SIGKILL, and the run looks as if it were running.

    Attributes:
        on_death: is called with the error, off the main thread, where that cannot raise it. The process ends after it.
        chooses_threads: whether Lightning chooses the number of CPU threads.
    """

    on_death: Callable[[Exception], None] = staticmethod(lambda error: None)
    chooses_threads = True

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Start the processes, if they are not started by others, and call ``function``.

        Raises:
            ChildProcessError: a process has died.
        """
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
        if self.chooses_threads:
            _set_num_threads_if_needed(num_processes=self.num_processes)
        over = threading.Event()
        threading.Thread(target=self._watch, args=(over,), daemon=True).start()
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            if is_lost_connection(error) and (death := self._cause_of_loss()):
                raise death from None
            raise
        finally:
            over.set()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(_POLL_S):
            death = self._death()
            if death and not over.wait(_GRACE_S):
                self.on_death(death)
                self.kill(signal.SIGKILL)
                os._exit(1)

    def _cause_of_loss(self) -> ChildProcessError | None:
        """The death by which a connection was lost, waited for."""
        others = ranks.others()
        deadline = time.monotonic() + (_SIGN_S if others else _GRACE_S)
        while time.monotonic() < deadline:
            if death := self._death() or (others.lost(SHORT_SILENCE_S) if others else None):
                return death
            time.sleep(_POLL_S / 10)
        return None

    def _death(self) -> ChildProcessError | None:
        """The error that the death of a process is, if one has died."""
        for number, process in enumerate(self.procs, start=2):
            if status := process.poll():
                how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
                return ChildProcessError(f"process {number} of {self.num_processes} {how}; training cannot continue")
        return others.lost() if (others := ranks.others()) else None
