"""Which runs can be members of a population, and why others cannot."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trainlab.config.network_for_task import build_network, build_task
from trainlab.data import TrainingData
from trainlab.population.vmapped import CONVOLUTIONAL, vmap_problem
from trainlab.tasks.task import describe_targets
from trainlab.tasks.task import vmap_problem as problem_of_task

Config = Mapping[str, Any]

OPTIMIZERS = tuple(f"torch.optim.{name}" for name in ("Adam", "AdamW", "NAdam", "RMSprop", "SGD"))
CALLBACKS = ("early_stopping", "checkpoint", "progress", "figures", "layer_statistics", "model_summary", "step_losses")
TRAINER_SETTINGS = (
    *("_target_", "accelerator", "devices", "num_nodes", "strategy", "precision", "max_epochs", "min_epochs"),
    *("max_steps", "max_time", "gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches"),
    *("limit_train_batches", "limit_val_batches", "overfit_batches", "sync_batchnorm", "deterministic", "profiler"),
    *("num_sanity_val_steps", "use_distributed_sampler", "enable_checkpointing", "enable_model_summary"),
    "enable_progress_bar",
)
# Why a population does not support others, and the values that it supports. The first one is the default.
_SET_UNLESS: dict[str, tuple[Any, ...]] = {
    "max_time": ("the time of a member depends on the others", None, ""),
    "accumulate_grad_batches": ("batched steps have one batch each", 1, None),
    "overfit_batches": ("members train on all batches", 0),
    "profiler": ("the time of a step is that of all members", None),
}
_MUST_BE: dict[str, tuple[Any, ...]] = {
    "precision": (
        "batched steps are in float32, float64 or bfloat16",
        *("32-true", "64-true", "bf16-mixed", "bf16-true", "32", "64", "bf16", 32, 64, None),
    ),
    "strategy": ("a population is one process", "auto"),
}
_MUST_NOT_BE_0 = ("limit_train_batches", "max_epochs")
_BATCHED = "Adam, AdamW, NAdam, RMSprop and SGD of torch"
# Callbacks and loggers of others may rely on both: Lightning's loop over the batches, and a process of their own.
_OF_OTHERS = {
    "callbacks": "and batches of a population are trained outside Lightning's loop",
    "logger": "which may log for one run of a process only",
}

_OWN = ("trainlab.models.MLP", "trainlab.models.CNN")
_OWN_TASKS = ("trainlab.tasks.Classification", "trainlab.tasks.MultiLabel", "trainlab.tasks.Regression")
_problems: dict[str, str] = {}  # of other networks and tasks, by their settings


def ineligible_reason(config: Config, devices: int, data: TrainingData | None = None) -> str:
    """Why a run cannot be a member of a population; "" if it can.

    Networks and tasks that are not of trainlab are built and tried, once in a process for all runs with the same ones.

    Args:
        config: resolved.
        devices: number that it trains on.
        data: of the run, for networks and tasks that are not of trainlab; no image is read.
    """
    if reason := next(_reasons(config, devices), ""):
        return reason
    if data is not None and data.solo_reason:
        return data.solo_reason
    if config["task"]["_target_"] not in _OWN_TASKS and (reason := _problem_of_task(config, data)):
        return reason
    if config["model"]["_target_"] in _OWN:
        return ""
    if data is None:
        return f"model is {config['model']['_target_']}, and is not tried without data"
    settings = {key: value for key, value in config["model"].items() if key != "seed"}
    key = json.dumps([settings, data.image_shape, data.count_classes()], sort_keys=True, default=str)

    def problem() -> str:
        seeds = [(seed, {"seed": seed} if "seed" in config["model"] else {}) for seed in (1, 2)]
        outputs = build_task(config, data).count_outputs(data)
        configs = [{**config, "seed": seed, "model": settings | own} for seed, own in seeds]
        networks = [build_network(own, data, outputs) for own in configs]
        return vmap_problem(*networks)

    return _tried(key, problem, config["model"]["_target_"])


def _problem_of_task(config: Config, data: TrainingData | None) -> str:
    if data is None:
        return f"task is {config['task']['_target_']}, and is not tried without data"
    targets = describe_targets(data.example_targets(1))
    key = json.dumps([config["task"], targets, data.count_classes()], sort_keys=True, default=str)
    return _tried(key, lambda: problem_of_task(build_task(config, data), data), config["task"]["_target_"])


def _tried(key: str, problem: Callable[[], str], target: str) -> str:
    """The problem of what is kept as ``key``. What the user's code raises is one, too: solo runs may work."""
    if key not in _problems:
        try:
            _problems[key] = problem()
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            _problems[key] = f"the trial of {target} as members of a population failed ({reason[:100]})"
    return _problems[key]


def _reasons(config: Config, devices: int) -> Iterator[str]:
    if own := (config.get("module") or {}).get("_target_"):
        yield f"module is {own}, whose steps are its own"
    if config["model"]["_target_"] == "trainlab.models.CNN":
        yield CONVOLUTIONAL
    elif config["model"]["_target_"] != "trainlab.models.MLP" and config["compile"] is True:
        yield "compile is set, and populations of such networks are not compiled"
    if devices > 1:
        yield f"trainer.devices is {devices}, and a population has one"
    if config.get("ckpt_path") is not None:
        yield "ckpt_path is set, and members start anew or from their own checkpoint"
    if config["data"].get("transforms"):
        yield "data.transforms is set, and these are drawn image by image"
    if config.get("freeze"):
        yield "freeze is set, and members train all parameters"
    if config["optim"]["_target_"] not in OPTIMIZERS:
        yield f"optim is {config['optim']['_target_']}, which is not batched; {_BATCHED} are"
    if config["optim"].get("maximize"):
        yield "optim.maximize is set, and batched steps minimize"
    if config["optim"].get("groups"):
        yield "optim.groups is set, and batched steps have one group of parameters"
    if (config["optim"].get("lookahead") or {}).get("every_n_steps"):
        yield "optim.lookahead is set, and batched steps do not average weights"
    trainer = config["trainer"]
    yield from (
        f"trainer.{key} is set, which is not known to work in a population"
        for key in trainer
        if key not in TRAINER_SETTINGS
    )
    if trainer["_target_"] != "lightning.Trainer":
        yield f"trainer is {trainer['_target_']}, and a population needs lightning.Trainer"
    for key, (cause, *can) in _SET_UNLESS.items():
        if trainer.get(key, can[0]) not in can:
            yield f"trainer.{key} is set, and {cause}"
    yield from (f"trainer.{key} is 0, so there are no steps" for key in _MUST_NOT_BE_0 if trainer.get(key) == 0)
    for key, (cause, *can) in _MUST_BE.items():
        if trainer.get(key, can[0]) not in can:
            yield f"trainer.{key} is {trainer[key]}, and {cause}"
    for group, known in (("callbacks", CALLBACKS), ("logger", None)):
        for name, part in config[group].items():
            own = part and part["_target_"].startswith("trainlab.") and (known is None or name in known)
            if part and not own:
                yield f"{group}.{name} is {part['_target_']}, {_OF_OTHERS[group]}"
