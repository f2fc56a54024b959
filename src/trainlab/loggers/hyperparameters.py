"""Hyperparameters of a run in the same few columns for every config, so that any two runs can be compared."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

Value = str | float | bool
_MAX_PASSED = 20  # values of one hyperparameter: of so many, only the limits are shown
SWEPT_VARIABLE = "TRAINLAB_SWEPT"  # passes the values that a sweep's jobs have to each of its runs


def hyperparameters(config: Mapping[str, Any], model: str | None = None) -> dict[str, Value]:
    """The hyperparameters of a run: for every configuration the same names with values of the same types.

    Settings that do not apply are 0, false or "none".

    Args:
        config: resolved configuration.
        model: name of the option of the group `model`; None for the name of the network's class.
    """
    network, optimizer, scheduler = (config.get(group) or {} for group in ("model", "optim", "scheduler"))
    data, trainer = config["data"], config["trainer"]
    return {
        "model": model or _name(network or config["module"]),
        "layers": _layers(network),
        "activation": str(network.get("activation") or "none"),
        "initializer": str(network.get("initializer") or "none"),
        "batch_norm": bool(network.get("batch_norm")),
        **_dropout(network),
        "standardize": bool(network.get("standardize")),
        "optimizer": _name(optimizer),
        "lr": _number(optimizer.get("lr")),
        "momentum": next(iter(_numbers(optimizer.get("betas") or optimizer.get("momentum"))), 0.0),
        "weight_decay": _number(optimizer.get("weight_decay")),
        "scheduler": _name(scheduler),
        "batch_size": _number(data.get("batch_size")),
        "augmentation": _augmentation(data),
        "label_smoothing": _number(config["task"].get("label_smoothing")),
        "gradient_clip": _number(trainer.get("gradient_clip_val")),
        "data": str(data.get("name") or _name(data)),
        "max_epochs": _number(trainer.get("max_epochs")),
        "seed": _number(config["seed"]),
    }


def swept_values() -> dict[str, list[Value]]:
    """Values of each hyperparameter in the sweep that this process trains a run of; empty for a solo run."""
    return json.loads(os.environ.get(SWEPT_VARIABLE, "{}"))


def pass_swept_values(jobs: Sequence[Mapping[str, Value]]) -> None:
    """Have ``swept_values`` of this process return what the ``jobs`` of its sweep have."""
    names = jobs[0] if jobs else {}
    every = {name: sorted({job[name] for job in jobs}) for name in names}
    passed = {name: [*dict.fromkeys([*values[:_MAX_PASSED], values[-1]])] for name, values in every.items()}
    os.environ[SWEPT_VARIABLE] = json.dumps(passed)


def _name(part: Mapping[str, Any]) -> str:
    return str(part.get("_target_") or "none").rpartition(".")[2]


def _layers(network: Mapping[str, Any]) -> str:
    """Hidden layers such as "20 x 100", or channels by stage and dense units such as "32, 64 + 64"."""
    if "depth" in network and "width" in network:
        return f"{network['depth']} x {network['width']}"
    parts = [network[key] for key in ("stages", "dense") if network.get(key)]
    return " + ".join(_text(part) for part in parts) or "none"


def _dropout(network: Mapping[str, Any]) -> dict[str, Value]:
    """The rate, of several the largest, and its kind and place, such as "alpha, last", with rates that differ."""
    rates = network.get("dropout")
    each = _numbers(rates)
    rate = max(each, default=0.0)
    if not rate:
        return {"dropout": 0.0, "dropout_kind": "none"}
    parts = [network.get("dropout_kind"), network.get("dropout_after"), _text(rates) if min(each) < rate else None]
    return {"dropout": rate, "dropout_kind": ", ".join(str(part) for part in parts if part) or "standard"}


def _number(value: Any) -> float:
    """0 for what is no number, as a setting of a user's own class may be."""
    return float(value) if isinstance(value, int | float) else 0.0


def _numbers(value: Any) -> list[float]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [number for item in value for number in _numbers(item)]
    return [float(value)] if isinstance(value, int | float) else []


def _augmentation(data: Mapping[str, Any]) -> str:
    """Such as "flip, crop 4, cutout 8, RandomRotation"."""
    flip, mode = data.get("flip"), data.get("padding_mode")
    parts = [f"{flip} flip" if isinstance(flip, str) else "flip"] if flip else []
    if crop := data.get("crop_padding"):
        parts.append(f"crop {crop}{f' {mode}' if mode == 'reflect' else ''}")
    if cutout := data.get("cutout"):
        parts.append(f"cutout {cutout}")
    parts += [_name(transform) for transform in data.get("transforms") or ()]
    return ", ".join(parts) or "none"


def _text(value: Any) -> str:
    """A number or a nested list of numbers, such as "0.1", "32, 64" or "32 32, 64 64"."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return ", ".join(_text(item).replace(",", "") for item in value)
