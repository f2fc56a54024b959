"""What a config stands for: the objects of one run, checked against each other."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import lightning
from lightning import LightningModule
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from trainlab import ranks
from trainlab.callbacks import BestAndLast, EpochLog, StopOnInterrupt
from trainlab.callbacks.end_in_time import EndInTime
from trainlab.callbacks.progress import StepReporter
from trainlab.callbacks.prune_request import PruneOnRequest
from trainlab.config.construct import Config, construct, target_of
from trainlab.config.learners import Learner
from trainlab.config.module_settings import has_own_module
from trainlab.config.network_for_task import build_network_for_task
from trainlab.config.own_module import build_own_module
from trainlab.config.renamed import describe_renamed
from trainlab.config.run_config import RunConfig
from trainlab.config.validation import check_settings, is_on_cpu
from trainlab.data import TrainingData
from trainlab.ending import ending
from trainlab.loggers.run_loggers import LeaveLoggersOpen, RunLoggers, check_logger, late_arguments
from trainlab.randomness import seeded_for_data
from trainlab.runs.checkpoints import AtomicCheckpointIO
from trainlab.training.context import RunContext
from trainlab.training.foreign_callbacks import check_callbacks
from trainlab.training.gpus_elsewhere import GpusElsewhere, count_gpus, is_on_gpus_elsewhere
from trainlab.training.lightning_internals import make_trainer
from trainlab.training.step_report import VARIABLE
from trainlab.validation import check_arguments


@dataclass
class Parts:
    """The objects that a config stands for."""

    data: TrainingData  # any LightningDataModule, where that is what a LightningModule of the user's is trained on
    learner: Learner
    callbacks: list[Callback]
    loggers: RunLoggers
    trainer: lightning.Trainer
    checkpoint: BestAndLast
    epochs: EpochLog
    interrupt: StopOnInterrupt
    total_steps: int

    @property
    def network(self) -> nn.Module:
        """What has the weights of checkpoints."""
        return self.learner.network

    @property
    def module(self) -> LightningModule:
        """What Lightning trains."""
        return self.learner.module


def build(cfg: RunConfig, context: RunContext | None = None) -> Parts:
    """All objects of a run, by default a solo run, checked against each other. Reads no image and writes nothing."""
    if message := describe_renamed(cfg.settings):  # of an experiment file: Hydra adds settings of any name
        raise ValueError(message)
    context = context or RunContext()
    config = cfg.settings
    check_settings(config, context.gpus_elsewhere)
    options, on_cpu = config["trainer"], is_on_cpu(config, context.gpus_elsewhere)
    with seeded_for_data():
        data = construct(config, "data")
    own = has_own_module(config)
    learner = build_own_module(config, data) if own else build_network_for_task(config, data, context, on_cpu)
    known = learner.task.known
    objective = config["sweep"]["objective"]
    if learner.task.metric(objective, "sweep.objective").mode is None:
        raise ValueError(f"objective must be better high or low, got {objective!r}; set sweep.objective")
    named = {
        name: construct(config, f"callbacks.{name}", known=known)
        for name, settings in config["callbacks"].items()
        if settings
    }
    by_setting = {f"callbacks.{name}": callback for name, callback in named.items()}
    check_callbacks(by_setting, on_cpu, learner.module.automatic_optimization)
    checkpoint = named.get("checkpoint")
    epochs, interrupt = EpochLog(clock=context.clock), StopOnInterrupt(context.stop, cfg.run_dir)
    if not isinstance(checkpoint, BestAndLast):
        raise ValueError("callbacks.checkpoint cannot be switched off: the test needs the best checkpoint")
    callbacks = [*learner.callbacks(epochs), *context.callbacks, epochs, *named.values()]
    if os.environ.get(VARIABLE):  # of a sweep, which shows progress
        callbacks.append(StepReporter())
    if options["max_time"] not in (None, ""):
        callbacks.append(_timer(options["max_time"]))
    if trial := config["sweep"]["trial"]:
        callbacks.append(_pruning(trial, config["sweep"]["objective"]))
    if ending.is_watched:
        callbacks.append(EndInTime(context.stop, learner.whole_epochs))
    callbacks.append(interrupt)  # after those who decide by the epoch whether it is the last one
    callbacks.append(LeaveLoggersOpen())
    kept = [] if options.get("fast_dev_run") else [name for name, settings in config["logger"].items() if settings]
    for name in kept:
        check_logger(*_logger_arguments(config, name, False), f"logger.{name}")
    loggers = RunLoggers({name: partial(_logger, config, name) for name in kept})
    plugins = [AtomicCheckpointIO(), ranks.environment()]
    ours = {"max_time": None, **learner.trainer_settings}  # what others do, above
    objects: dict[str, Any] = {"callbacks": callbacks, "logger": False, "plugins": plugins}
    if is_on_gpus_elsewhere(options["accelerator"], context.gpus_elsewhere):
        ours |= {"accelerator": GpusElsewhere(), "devices": count_gpus(options["devices"], context.gpus_elsewhere or 0)}
    with warnings.catch_warnings():
        if "accelerator" in ours:
            warnings.filterwarnings("ignore", ".*CUDA is not available")  # here
        trainer = make_trainer(lambda: construct(config, "trainer", **objects, **ours))
    checkpoint.about["total_steps"] = total_steps = learner.check(trainer)
    of_run = cast(TrainingData, learner.data)
    return Parts(of_run, learner, callbacks, loggers, trainer, checkpoint, epochs, interrupt, total_steps)


def _pruning(trial: Mapping[str, Any], objective: str) -> Callback:
    """Ends a trial of a search early."""
    if "requests" in trial:
        return PruneOnRequest(**trial)
    from trainlab.callbacks.pruning import Pruning  # which needs Optuna

    return Pruning(**trial, objective=objective)


def _timer(max_time: Any) -> Timer:
    """Ends a training after an epoch: Lightning's own ends it inside one, which cannot be resumed exactly."""
    try:
        timer = Timer(max_time, interval="epoch", verbose=False)
    except (MisconfigurationException, AttributeError, TypeError):  # another text; a number; unknown keys
        raise ValueError(
            f"max_time must be DD:HH:MM:SS in quotes (without them YAML makes 1:00:00:00 a number), got {max_time!r}; "
            "set trainer.max_time='00:01:00:00' for an hour"
        ) from None
    if (timer.time_remaining() or 0) <= 0:
        raise ValueError(f"max_time must be above 0, got {max_time}; set trainer.max_time")
    return timer


def _logger(config: Config, name: str, resume: bool) -> Logger:
    """A logger under the name of the run, its folder under output_dir, unless it is given another."""
    _, arguments = _logger_arguments(config, name, resume)
    given = config["logger"][name]
    late = {key: value for key, value in arguments.items() if key not in given}
    return cast(Logger, construct(config, f"logger.{name}", **late))


def _logger_arguments(config: Config, name: str, resume: bool) -> tuple[Any, dict[str, Any]]:
    """The class of a logger and all its arguments.

    Raises:
        ValueError: a setting is invalid, or the class cannot be imported.
    """
    target, section = target_of(config, f"logger.{name}"), config["logger"][name]
    given = {key: value for key, value in section.items() if not key.startswith("_")}
    check_arguments(target, given, f"logger.{name}")
    run_name = os.path.relpath(config["run_dir"], config["output_dir"])
    return target, given | late_arguments(target, given, run_name, config["tags"], resume)
