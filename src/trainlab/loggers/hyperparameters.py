"""Hyperparameters of a run in the same few columns for every config, so that any two runs can be compared."""

from collections.abc import Mapping, Sequence
from typing import Any

Value = str | float | bool


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
        "dropout": _dropout(network),
        "standardize": bool(network.get("standardize")),
        "optimizer": _name(optimizer),
        "lr": float(optimizer.get("lr") or 0),
        "momentum": float(optimizer["betas"][0] if "betas" in optimizer else optimizer.get("momentum") or 0),
        "weight_decay": float(optimizer.get("weight_decay") or 0),
        "scheduler": _name(scheduler),
        "batch_size": float(data.get("batch_size") or 0),
        "augmentation": _augmentation(data),
        "label_smoothing": float(config["task"].get("label_smoothing") or 0),
        "gradient_clip": float(trainer.get("gradient_clip_val") or 0),
        "data": data.get("name") or _name(data),
        "max_epochs": float(trainer.get("max_epochs") or 0),
        "seed": str(config["seed"]),  # a name, not an amount
    }


def _name(part: Mapping[str, Any]) -> str:
    return str(part.get("_target_") or "none").rpartition(".")[2]


def _layers(network: Mapping[str, Any]) -> str:
    """Hidden layers such as "20 x 100", or channels by stage and dense units such as "32, 64 + 64"."""
    if "depth" in network and "width" in network:
        return f"{network['depth']} x {network['width']}"
    parts = [network[key] for key in ("stages", "dense") if network.get(key)]
    return " + ".join(_text(part) for part in parts) or "none"


def _dropout(network: Mapping[str, Any]) -> str:
    """Kind, rates and place, such as "alpha 0.1, last"; "0" without dropout."""
    rates = network.get("dropout", 0.0)
    if not (any(rates) if isinstance(rates, Sequence) else rates):
        return _text(rates)
    kind, place = network.get("dropout_kind"), network.get("dropout_after")
    return f"{f'{kind} ' if kind else ''}{_text(rates)}{f', {place}' if place else ''}"


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
