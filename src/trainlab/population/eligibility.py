"""Which runs can be members of a population, and why others cannot."""

from collections.abc import Iterator, Mapping
from typing import Any

Config = Mapping[str, Any]

CONVOLUTIONAL = "batching runs does not speed up convolutional networks"

OPTIMIZERS = tuple(f"torch.optim.{name}" for name in ("Adam", "AdamW", "NAdam", "RMSprop", "SGD"))
CALLBACKS = ("early_stopping", "checkpoint", "progress", "figures", "layer_statistics", "step_losses")
TRAINER_SETTINGS = (
    *("_target_", "accelerator", "devices", "strategy", "precision", "max_epochs", "min_epochs", "max_steps"),
    *("max_time", "gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches", "limit_train_batches"),
    *("limit_val_batches", "overfit_batches", "sync_batchnorm", "deterministic", "profiler", "num_sanity_val_steps"),
    *("use_distributed_sampler", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"),
)
# Values that a population supports. The first one is the default.
_SET_UNLESS = {
    "max_steps": (-1,),
    "max_time": (None, ""),
    "accumulate_grad_batches": (1, None),
    "overfit_batches": (0,),
    "profiler": (None,),
}
_MUST_BE = {"precision": ("32-true", "64-true", "32", "64", 32, 64, None), "strategy": ("auto",)}
_MUST_NOT_BE_0 = ("limit_train_batches", "max_epochs")


def ineligible_reason(config: Config, devices: int) -> str:
    """Why a run cannot be a member of a population, by its settings; "" if it can.

    Args:
        config: resolved.
        devices: number that it trains on.
    """
    return next(_reasons(config, devices), "")


def _reasons(config: Config, devices: int) -> Iterator[str]:
    model = config["model"]["_target_"]
    if model == "trainlab.models.CNN":
        yield CONVOLUTIONAL
    elif model != "trainlab.models.MLP":
        yield f"model is {model}"
    if devices > 1:
        yield f"trainer.devices is {devices}"
    if config.get("ckpt_path") is not None:
        yield "ckpt_path is set"
    if config.get("freeze"):
        yield "freeze is set"
    if config["optim"]["_target_"] not in OPTIMIZERS:
        yield f"optim is {config['optim']['_target_']}"
    yield from (f"optim.{key} is set" for key in ("maximize", "groups") if config["optim"].get(key))
    trainer = config["trainer"]
    yield from (f"trainer.{key} is set" for key in trainer if key not in TRAINER_SETTINGS)
    if trainer["_target_"] != "lightning.Trainer":
        yield f"trainer is {trainer['_target_']}"
    yield from (f"trainer.{key} is set" for key, can in _SET_UNLESS.items() if trainer.get(key, can[0]) not in can)
    yield from (f"trainer.{key} is 0" for key in _MUST_NOT_BE_0 if trainer.get(key) == 0)
    for key, can in _MUST_BE.items():
        if trainer.get(key, can[0]) not in can:
            yield f"trainer.{key} is {trainer[key]}"
    yield from (
        f"callbacks.{name} is set" for name, part in config["callbacks"].items() if part and name not in CALLBACKS
    )
    for group in ("callbacks", "logger"):
        for name, part in config[group].items():
            if part and not part["_target_"].startswith("trainlab."):
                yield f"{group}.{name} is {part['_target_']}"
