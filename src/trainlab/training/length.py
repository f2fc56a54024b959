"""The length of a training: checks of the Trainer's settings, and the number of batches and steps."""

import math
from collections.abc import Mapping
from typing import Any


def check_length(trainer: Mapping[str, Any]) -> None:
    """Raise ValueError where these settings contradict each other, leave no step, or validate inside an epoch.

    Args:
        trainer: settings of Lightning's Trainer.
    """
    for key in ("max_epochs", "max_steps"):
        most = trainer.get(key)
        if isinstance(most, int) and (most == 0 or most < -1):
            raise ValueError(f"{key} must be at least 1, or -1 for no limit, got {most}; set trainer.{key}")
    if trainer.get("max_epochs") is None and trainer.get("max_steps", -1) == -1:  # Lightning would make 1000 epochs
        raise ValueError("max_epochs must be given, -1 for no limit, got null; set trainer.max_epochs or max_steps")
    for key, smallest in {"num_sanity_val_steps": -1, "log_every_n_steps": 0}.items():
        if isinstance(value := trainer.get(key), int) and value < smallest:
            raise ValueError(f"{key} must be at least {smallest}, got {value}; set trainer.{key}")
    if (limit := trainer.get("limit_train_batches")) == 0:
        raise ValueError(
            f"limit_train_batches must be above 0, got {limit}; set trainer.limit_train_batches=1.0 for all"
        )
    for unit in ("epochs", "steps"):
        least, most = trainer.get(f"min_{unit}"), trainer.get(f"max_{unit}")
        if isinstance(least, int) and least < 0:
            raise ValueError(f"min_{unit} must be at least 0 or null, got {least}; set trainer.min_{unit}")
        if isinstance(least, int) and isinstance(most, int) and 0 < most < least:
            raise ValueError(
                f"min_{unit} must be at most max_{unit}, {most}, got {least}; "
                f"set trainer.min_{unit} or trainer.max_{unit}"
            )
    every, inside = trainer.get("check_val_every_n_epoch", 1), trainer.get("val_check_interval")
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise ValueError(
            f"check_val_every_n_epoch must be an integer of at least 1, got {every}; "
            "set trainer.check_val_every_n_epoch"
        )
    if inside is not None and not (isinstance(inside, float) and inside == 1.0):
        raise ValueError(
            f"validation is at the end of an epoch, got val_check_interval={inside}; leave it out and set "
            "+trainer.check_val_every_n_epoch, or trainer.limit_train_batches for shorter epochs"
        )


def limit_batches(batches: int, limit: float | None, key: str) -> int:
    """Batches of an epoch.

    Args:
        batches: without a limit.
        limit: the value of the Trainer's setting ``key``: an integer is a number of batches, a float a
            fraction of them.
        key: of the setting.

    Raises:
        ValueError: the fraction is less than a batch.
    """
    left = limited(batches, limit)
    if left == 0 and limit:
        raise ValueError(f"{key}={limit} is less than one batch of an epoch; set trainer.{key}=1.0 for all batches")
    return left


def limited(batches: int, limit: float | None) -> int:
    """How many of ``batches`` a limit leaves: an integer is a number of batches, a float a fraction of them."""
    if isinstance(limit, int):
        return min(limit, batches)
    return batches if limit is None else int(limit * batches)


def count_steps(batches: int, accumulate: int, max_epochs: int | None, max_steps: int) -> int:
    """Optimizer steps of a whole run, with ``batches`` an epoch; 0 where it has no end. -1 is no limit."""
    if max_epochs is None or max_epochs == -1:
        return max(0, max_steps)
    steps = math.ceil(batches / accumulate) * max_epochs
    return min(steps, max_steps) if max_steps >= 0 else steps


def one_batch_notes(trainer: Mapping[str, Any]) -> list[str]:
    """Warnings about limits that are 1, one batch, and may have been meant as 1.0, all batches."""
    keys = ("limit_train_batches", "limit_val_batches", "overfit_batches")
    return [
        f"trainer.{key}=1 is one batch; 1.0 is all of them"
        for key in keys
        if isinstance(trainer.get(key), int) and trainer[key] == 1
    ]
