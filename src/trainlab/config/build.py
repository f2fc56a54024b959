"""What a config stands for: the objects of one run, checked against each other."""

import functools
import inspect
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import lightning
import torch
import torchmetrics
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Callback, Timer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import OmegaConf
from torch import nn

from trainlab.callbacks import BestAndLast, EpochLog, StopOnInterrupt
from trainlab.config.errors import describe_instantiation_error
from trainlab.config.learners import Learner, NetworkForTask
from trainlab.config.module_settings import has_own_module
from trainlab.config.own_module import OwnModule
from trainlab.config.renamed import describe_renamed
from trainlab.config.run_config import RunConfig
from trainlab.config.targets import locate, with_facts
from trainlab.data import ForeignData, ImageData, TrainingData
from trainlab.loggers.run_loggers import LeaveLoggersOpen, RunLoggers, name_argument
from trainlab.models.image_network import (
    NOT_OF_NETWORK,
    ImageNetwork,
    check_training_step,
    is_own,
    wrap,
)
from trainlab.randomness import derive_seed, global_generators_restored, seed_global_generators, seeded_for_data
from trainlab.runs.checkpoints import AtomicCheckpointIO
from trainlab.runs.provenance import provenance
from trainlab.runs.result import Result
from trainlab.tasks.classification import Classification
from trainlab.tasks.metrics import METRICS, Metric, metric_of, mode_of
from trainlab.tasks.running_metrics import check_metrics
from trainlab.tasks.task import Task
from trainlab.training.context import RunContext
from trainlab.training.foreign_callbacks import check_callbacks
from trainlab.training.length import check_length
from trainlab.training.lightning_internals import make_trainer
from trainlab.training.module import TaskModule
from trainlab.training.optimizer_checks import check_sparse, try_optimizer
from trainlab.training.parameter_groups import check_rules, freeze, group_parameters
from trainlab.validation import check_arguments, check_devices

Config = Mapping[str, Any]

# Of the Trainer, to TaskModule.
_STEP_SETTINGS = ("gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches")


# Arguments of the Trainer that others have, and why.
_NOT_OF_TRAINER = {
    "callbacks": "they are set by callbacks.*",
    "logger": "loggers are set by logger.*",
    "plugins": "they are those that write checkpoints whole",
    "limit_test_batches": "the test set is read whole",
    "barebones": "every run writes checkpoints and logs",
    "limit_predict_batches": "there are no predictions in training; see trainlab predict",
}


# Written by a run, and read by whoever resumes or reports it: no other run may write there.
_FOLDERS = {
    "callbacks.checkpoint.dirpath": "checkpoints",
    "callbacks.layer_statistics.dirpath": "",
    "callbacks.step_losses.dirpath": "",
    "logger.csv.save_dir": "",
}


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
    options, precision = config["trainer"], config["trainer"]["precision"]
    check_arguments(provenance, {"seed": config["seed"]}, "")
    check_arguments(Result, {"tags": config["tags"]}, "")
    for key in ("train", "test"):
        if not isinstance(config[key], bool):
            raise ValueError(f"{key} must be true or false, got {config[key]!r}; set {key}")
    if not (config["train"] or config["test"]):
        raise ValueError("with train=false there must be a test, got test=false; set test=true or train=true")
    check_arguments(TaskModule, {"compile": config["compile"]}, "")
    name = config["name"]
    path = Path(name if isinstance(name, str) else "")  # of a number, YAML has not kept how it was written
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"name must be that of a folder under output_dir, as text, got {name!r}; set name")
    for key, part in _FOLDERS.items():
        folder, own = select(config, key), Path(config["run_dir"], part)
        if folder is not None and Path(str(folder)) != own:
            raise ValueError(f"{key} must be {own}, where the run is looked for, got {folder}; set output_dir, name")
    for key, reason in _NOT_OF_TRAINER.items():
        if key in options:
            raise ValueError(f"trainer.{key} would have no effect ({reason}); leave it out")
    if not options.get("enable_checkpointing", True):
        raise ValueError(
            "enable_checkpointing must be true, for the test needs the best checkpoint, got false; "
            "leave out trainer.enable_checkpointing"
        )
    check_length(options)
    check_devices(options["accelerator"], options["devices"])
    on_cpu = options["accelerator"] == "cpu" or not torch.accelerator.is_available()
    if on_cpu and str(precision) in ("16", "16-mixed"):
        raise ValueError(f"precision={precision} needs a GPU; set trainer.precision=bf16-mixed on a CPU")
    with seeded_for_data():
        data = construct(config, "data")
    learner = _own_module(config, data) if has_own_module(config) else _network_for_task(config, data, context, on_cpu)
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
    checkpoint, interrupt, epochs = (
        named.get("checkpoint"),
        StopOnInterrupt(context.stop),
        EpochLog(clock=context.clock),
    )
    if not isinstance(checkpoint, BestAndLast):
        raise ValueError("callbacks.checkpoint cannot be switched off: the test needs the best checkpoint")
    callbacks = [*learner.callbacks(epochs), *context.callbacks, epochs, *named.values()]
    if options["max_time"] not in (None, ""):
        callbacks.append(_timer(options["max_time"]))
    if config["sweep"]["trial"]:
        from trainlab.callbacks.pruning import Pruning  # which needs Optuna

        callbacks.append(Pruning(**config["sweep"]["trial"], objective=config["sweep"]["objective"]))
    callbacks.append(interrupt)  # after those who decide by the epoch whether it is the last one
    callbacks.append(LeaveLoggersOpen())
    kept = [] if options.get("fast_dev_run") else [name for name, settings in config["logger"].items() if settings]
    loggers = RunLoggers({name: _logger(config, name) for name in kept})
    plugins = [AtomicCheckpointIO()]
    ours = {"max_time": None, **learner.trainer_settings}  # what others do, above
    objects: dict[str, Any] = {"callbacks": callbacks, "logger": [*loggers.values()], "plugins": plugins}
    trainer = make_trainer(lambda: construct(config, "trainer", **objects, **ours))
    checkpoint.about["total_steps"] = total_steps = learner.check(trainer)
    return Parts(
        cast(TrainingData, learner.data),
        learner,
        callbacks,
        loggers,
        trainer,
        checkpoint,
        epochs,
        interrupt,
        total_steps,
    )


def _network_for_task(config: Config, source: LightningDataModule, context: RunContext, on_cpu: bool) -> NetworkForTask:
    """The network of a run and what trains it."""
    data = training_data(config, source)
    context.share_images(data)
    task = build_task(config, data)
    task.check(data)
    check_metrics(task, data)
    data.check()
    network = build_network(config, data, outputs := task.count_outputs(data))
    if network.num_classes != outputs:
        what = "classes of the data" if isinstance(task, Classification) else f"outputs of {type(task).__name__}"
        raise ValueError(
            f"num_classes must be the number of {what}, {outputs}, got {network.num_classes}; set model.num_classes"
        )
    if config["train"] and not is_own(network.module):
        check_training_step(network, isinstance(task, Classification))
    freeze(network, config.get("freeze", ()))
    check_sparse(network)
    check_rules(rules := config["optim"].get("groups", ()))
    optimizer = construct(config, "optim", ("groups",))
    lr = optimizer.keywords.get("lr")
    if lr is not None and (isinstance(lr, Mapping) or not 0 < lr < math.inf):
        raise ValueError(f"lr must be positive and finite, got {lr}; set optim.lr")
    scheduler = construct(config, "scheduler", known=task.known)
    trial = try_optimizer(optimizer, group_parameters(network, rules), on_cpu)
    steps = {key: config["trainer"][key] for key in _STEP_SETTINGS}
    check_arguments(TaskModule, steps, "trainer")
    module = TaskModule(
        *(network, optimizer, scheduler, task, config["compile"]),
        **steps,
        parameter_groups=rules,
        epoch_steps=context.epoch_steps,
        step_seed=None if is_own(network.module) else config["seed"],
    )
    return NetworkForTask(data, task, network, module, optimizer, scheduler, trial)


def training_data(config: Config, module: Any) -> TrainingData:
    """The data module of a run, as a network is trained on it.

    Raises:
        ValueError: it is no LightningDataModule, or lacks a data loader.
    """
    if isinstance(module, TrainingData):
        return module
    if not isinstance(module, LightningDataModule):
        raise ValueError(f"data must build a LightningDataModule, got {type(module).__name__}; set data._target_")
    return ForeignData(module, config["seed"], config["model"].get("num_classes"), tests=config["test"])


def _own_module(config: Config, data: LightningDataModule) -> OwnModule:
    """The LightningModule of the user's that a run trains."""
    late: dict[str, Any] = {}
    if isinstance(data, ImageData):
        data.check()
        late = {"image_shape": data.image_shape, "num_classes": data.count_classes()}
    with global_generators_restored():
        seed_global_generators(derive_seed(config["seed"], "network"), torch.device("cpu"))
        module = construct(config, "module", facts=late)
    if not isinstance(module, LightningModule):
        raise ValueError(f"module must build a LightningModule, got {type(module).__name__}; set module._target_")
    return OwnModule(data, construct(config, "task"), module, config)


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


def _logger(config: Config, name: str) -> Logger:
    """A logger under the name of the run, its folder under output_dir, unless it is given another."""
    settings, run_name = config["logger"][name], os.path.relpath(config["run_dir"], config["output_dir"])
    late: dict[str, Any] = {} | name_argument(_target(config, f"logger.{name}"), settings, run_name)
    return cast(Logger, construct(config, f"logger.{name}", **late))


def build_task(config: Config, data: TrainingData) -> Task:
    """The task of a run, with its metrics, for its ``data``.

    Raises:
        ValueError: it cannot be built with these settings.
    """
    metrics = {}
    for name in config["task"].get("metrics") or {}:
        section = f"task.metrics.{name}"
        count = data.count_classes()
        late = {"num_classes": count, "num_labels": count, "num_outputs": count}
        metrics[name] = construct(config, section, facts=late)
        if not isinstance(metrics[name], torchmetrics.Metric):
            raise ValueError(
                f"a metric must be a torchmetrics.Metric, got {type(metrics[name]).__name__}; set {section}._target_"
            )
    found = construct(config, "task", ("metrics",), **({"metrics": metrics} if metrics else {}))
    if not isinstance(found, Task):
        raise ValueError(f"task must build a trainlab.tasks.Task, got {type(found).__name__}; set task._target_")
    return found


def build_network(config: Config, data: TrainingData, num_outputs: int) -> ImageNetwork:
    """The network of a run, for its ``data``.

    Raises:
        ValueError: it cannot be built with these settings, or is none of such images.
    """
    settings, shape, classes = config["model"], data.image_shape, num_outputs
    own = {key: settings[key] for key in ("num_classes", "standardize") if key in settings}
    check_arguments(ImageNetwork, own, "model")
    late = {"image_shape": shape, "num_classes": classes}

    def make() -> nn.Module:
        module = construct(config, "model", NOT_OF_NETWORK, facts=late)
        if not isinstance(module, nn.Module):
            raise ValueError(f"model must build a torch.nn.Module, got {type(module).__name__}; set model._target_")
        return module

    return wrap(make, shape, own.get("num_classes", classes), own.get("standardize", False), config["seed"])


def _target(config: Config, section: str) -> Any:
    """The class or function that a section names.

    Raises:
        ValueError: it cannot be imported.
    """
    return locate(str((select(config, section) or {}).get("_target_")), section)


def select(config: Config, key: str) -> Any:
    """The value of a dotted key; None where there is none."""
    for part in key.split("."):
        config = (config or {}).get(part)  # type: ignore[assignment]  # at the end it is a value
    return config


def construct(
    config: Config,
    section: str,
    omit: Collection[str] = (),
    known: Mapping[str, Metric] = METRICS,
    facts: Mapping[str, Any] = MappingProxyType({}),
    **late: Any,
) -> Any:
    """The object that a section of ``config`` stands for, with arguments that are known only now.

    Settings to ``omit`` are not its own. ``known`` are the metrics that it can monitor. It and the objects in it get
    those ``facts`` that their signatures have, unless they are set.

    Raises:
        ValueError: an argument is invalid.
    """
    plain = {key: value for key, value in select(config, section).items() if key not in omit}
    arguments = {key: value for key, value in plain.items() if not key.startswith("_")}
    target = _target(config, section)
    if arguments.get("monitor") is not None and "mode" in inspect.signature(target).parameters:
        if target.__module__.startswith("trainlab.") and not has_own_module(config):  # others log what they want
            metric_of(arguments["monitor"], f"{section}.monitor", known)
        arguments["mode"] = late["mode"] = mode_of(arguments["monitor"], arguments.get("mode"), section, known)
    check_arguments(target, arguments, section)
    if facts:
        plain = with_facts(plain, section, facts)
    path = section.split(".")  # by which Hydra names it in errors
    whole = functools.reduce(lambda inner, key: {key: inner}, reversed(path), plain)
    try:
        return instantiate(OmegaConf.select(OmegaConf.create(whole), section), **late, _convert_="all")
    except InstantiationException as error:
        raise ValueError(describe_instantiation_error(error)) from error.__cause__
