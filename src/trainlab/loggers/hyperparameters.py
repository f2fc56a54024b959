"""Hyperparameters of a run in the same few columns for every config, so that any two runs can be compared."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from trainlab.runs.fingerprint import training_overrides

Value = str | float | bool
_MAX_PASSED = 20  # values of one hyperparameter: of so many, only the limits are shown
SWEPT_VARIABLE = "TRAINLAB_SWEPT"  # passes what differs between a sweep's jobs to each of its runs
# Columns of the settings whose names differ from theirs.
_COLUMNS = {
    "optim": "optimizer",
    **{f"model.{name}": name for name in ("activation", "initializer", "batch_norm", "dropout", "standardize")},
    **{f"optim.{name}": name for name in ("lr", "weight_decay")},
    "data.batch_size": "batch_size",
    "task.label_smoothing": "label_smoothing",
    "trainer.gradient_clip_val": "gradient_clip",
    "trainer.max_epochs": "max_epochs",
}


@dataclass(frozen=True)
class Swept:
    """What differs between the jobs of a sweep; empty for a solo run.

    Attributes:
        columns: of the settings that differ as they were given, in that order.
        values: of every column in all jobs, sorted; of many, the first and the last ones.
    """

    columns: Sequence[str] = ()
    values: Mapping[str, Sequence[Value]] = field(default_factory=dict)


_SOLO = Swept()


def hyperparameters(
    config: Mapping[str, Any], choices: Mapping[str, Any], overrides: Sequence[str] = (), sweep: Swept = _SOLO
) -> dict[str, Value]:
    """The hyperparameters of a run: for every configuration the same names with values of the same types.

    Settings that do not apply are 0, false or "none". Parts have the names of the options that were chosen; one that is
    named by its `_target_` has that of the class.

    Args:
        config: resolved configuration.
        choices: the chosen option of each group.
        overrides: that it was composed with.
        sweep: that the run is part of; its settings without a column get one, by their key.
    """
    network, optimizer = config.get("model") or {}, config.get("optim") or {}
    data, trainer, given = config["data"], config["trainer"], _given(overrides)

    def named(group: str) -> str:
        part, is_given = config.get(group) or {}, group in given
        is_ours = str(part.get("_target_")).startswith(("trainlab.", "torch."))  # and not of an experiment file
        is_option = choices.get(group) and f"{group}._target_" not in given and (is_given or is_ours)
        return str(choices[group]) if is_option else _name(part)

    found: dict[str, Value] = {
        "model": named("model" if network else "module"),
        "layers": _layers(network),
        "activation": str(network.get("activation") or "none"),
        "initializer": str(network.get("initializer") or "none"),
        "batch_norm": bool(network.get("batch_norm")),
        **_dropout(network),
        "standardize": bool(network.get("standardize")),
        "optimizer": named("optim"),
        "lr": _number(optimizer.get("lr")),
        "momentum": next(iter(_numbers(optimizer.get("betas") or optimizer.get("momentum"))), 0.0),
        "weight_decay": _number(optimizer.get("weight_decay")),
        "scheduler": named("scheduler"),
        "batch_size": _number(data.get("batch_size")),
        "augmentation": _augmentation(data),
        "label_smoothing": _number(config["task"].get("label_smoothing")),
        "gradient_clip": _number(trainer.get("gradient_clip_val")),
        "data": str(data.get("name") or named("data")),
        "max_epochs": _number(trainer.get("max_epochs")),
        "seed": _number(config["seed"]),
    }
    added = {key: (given.get(key, "none"), sweep.values[key]) for key in sweep.columns if key not in found}
    return found | {key: float(text) if isinstance(values[0], float) else text for key, (text, values) in added.items()}


def swept() -> Swept:
    """What differs in the sweep that this process trains a run of."""
    return Swept(**json.loads(os.environ.get(SWEPT_VARIABLE, "{}")))


def pass_swept(jobs: Sequence[tuple[Mapping[str, Value], Sequence[str]]]) -> None:
    """Have ``swept`` of this process return what differs between ``jobs``: hyperparameters and overrides of each."""
    given = [_given(overrides) for _, overrides in jobs]
    keys = dict.fromkeys(key for one in given for key in one)
    texts = {_COLUMNS.get(key, key): [one.get(key, "none") for one in given] for key in keys}
    columns = [column for column, found in texts.items() if len({*found}) > 1]
    every = {name: [job[name] for job, _ in jobs] for name in (jobs[0][0] if jobs else {})}
    every |= {column: _of_one_type(texts[column]) for column in columns if column not in every}
    values = {name: sorted({*found}) for name, found in every.items()}
    passed = {name: [*dict.fromkeys([*found[:_MAX_PASSED], found[-1]])] for name, found in values.items()}
    os.environ[SWEPT_VARIABLE] = json.dumps(asdict(Swept(columns, passed)))


def _given(overrides: Sequence[str]) -> dict[str, str]:
    """Values as they were typed by key, of the settings that decide what is trained."""
    pairs = (override.lstrip("+").partition("=") for override in training_overrides(overrides))
    return {key: value for key, _, value in pairs}


def _of_one_type(texts: Sequence[str]) -> list[Value]:
    """As numbers, where all are some."""
    try:
        return [float(text) for text in texts]
    except ValueError:
        return [*texts]


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
