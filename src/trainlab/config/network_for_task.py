"""The network of a run, its data, its task, and what trains it."""

import logging
from typing import Any

import torchmetrics
from lightning import LightningDataModule
from torch import nn

from trainlab.config.construct import Config, construct
from trainlab.config.learners import NetworkForTask
from trainlab.config.value_types import check_lr
from trainlab.data import ForeignData, TrainingData
from trainlab.inference.views import VIEWS, check_views
from trainlab.models.image_network import NOT_OF_NETWORK, ImageNetwork, check_training_step, is_own, wrap
from trainlab.tasks.classification import Classification
from trainlab.tasks.running_metrics import check_metrics
from trainlab.tasks.task import Task
from trainlab.training.compilation import AUTO
from trainlab.training.context import RunContext
from trainlab.training.lookahead import Lookahead
from trainlab.training.module import TaskModule
from trainlab.training.optimizer_checks import check_sparse, try_optimizer
from trainlab.training.parameter_groups import check_rules, freeze, group_parameters
from trainlab.validation import check_arguments

log = logging.getLogger(__name__)
# Of the Trainer, to TaskModule.
_STEP_SETTINGS = ("gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches")


def build_network_for_task(
    config: Config, source: LightningDataModule, context: RunContext, on_cpu: bool
) -> NetworkForTask:
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
        got = network.num_classes
        raise ValueError(
            f"num_classes must be the number of {what}, {outputs}, got {got}; set model.num_classes={outputs}"
        )
    if config["train"] and not is_own(network.module):
        check_training_step(network, isinstance(task, Classification))
    later = freeze(network, config.get("freeze", ()))
    check_sparse(network)
    check_rules(rules := config["optim"].get("groups", ()))
    optimizer = construct(config, "optim", ("groups", "lookahead"))
    check_arguments(Lookahead, slow := config["optim"].get("lookahead") or {}, "optim.lookahead")
    lookahead = Lookahead(**slow)
    if not lookahead.every_n_steps and vars(lookahead) != vars(Lookahead()):
        log.warning("optim.lookahead has no effect without every_n_steps; set optim.lookahead.every_n_steps")
    check_views(views := config.get("test_views", VIEWS[0]))
    lr = optimizer.keywords.get("lr")
    if lr is not None:
        check_lr(lr)
    scheduler = construct(config, "scheduler", known=task.known)
    trial = try_optimizer(optimizer, group_parameters(network, rules), on_cpu)
    steps = {key: config["trainer"][key] for key in _STEP_SETTINGS}
    check_arguments(TaskModule, steps, "trainer")
    module = TaskModule(
        *(network, optimizer, scheduler, task, config["compile"] is True),
        **steps,
        parameter_groups=rules,
        epoch_steps=context.epoch_steps,
        step_seed=None if is_own(network.module) else config["seed"],
        lookahead=lookahead,
        frozen_later=later,
    )
    from_steps = config["compile_min_steps"] if config["compile"] == AUTO else None
    return NetworkForTask(data, task, network, module, optimizer, scheduler, trial, from_steps, views)


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
