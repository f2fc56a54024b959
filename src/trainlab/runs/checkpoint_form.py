"""Checks of a checkpoint's content before anything is built from it: it may come from anywhere."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from trainlab.runs.format import check_format

BEST_STATE = "BestAndLast"  # key of the state of `trainlab.callbacks.BestAndLast`
_LARGEST_IMAGE = 2**26  # pixel values; 4729 x 4729 in colour


def check_form(checkpoint: Any, to_resume: bool = False) -> None:
    """Raise ValueError, with what is wrong, unless ``checkpoint`` has what evaluation and prediction need.

    Args:
        checkpoint: what was loaded.
        to_resume: whether it must also have what a training resumes from.
    """
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("trainlab"), dict):
        raise ValueError("was not written by trainlab")
    check_format(checkpoint["trainlab"].get("format", 1))
    for key, (form, expected) in _expected(checkpoint["trainlab"], to_resume).items():
        value: Any = checkpoint
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            raise ValueError(f"is an incomplete checkpoint: it has no {key}")
        if not (isinstance(value, form) if isinstance(form, type) else form(value)):
            got = "" if isinstance(value, Mapping) else f", got {str(value)[:80]!r}"
            raise ValueError(f"is no valid checkpoint: {key} must be {expected}{got}")


def _expected(about: Mapping[str, Any], to_resume: bool) -> "dict[str, tuple[_Form, str]]":
    """Keys, and what is expected there. A LightningModule of the user's may have been trained on any data."""
    found = _FORM | _TRAINING if to_resume else dict(_FORM)
    config = about.get("config")
    if isinstance(config, Mapping) and "model" not in config and "module" in config:
        found = {key: value for key, value in found.items() if key not in _OF_NETWORK}
        found["trainlab.config.module"] = (_are_settings, _SETTINGS)
    return found


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_seconds(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(s, float) and 0 <= s < math.inf for s in value)


def _is_tensor(value: Any) -> bool:
    """Whether it is a dense tensor on the CPU whose storage is as large as it claims to be."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized or value.is_nested)
        and value.untyped_storage().nbytes() >= value.nbytes
    )


def _are_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) and _is_tensor(v) for k, v in value.items())


def _is_image_shape(value: Any) -> bool:
    sizes = isinstance(value, list | tuple) and len(value) == 3 and all(map(_is_count, value))
    return sizes and 0 < math.prod(value) <= _LARGEST_IMAGE


def _are_names(value: Any) -> bool:
    names = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
    return names and 0 < len(set(value)) == len(value)


def _are_settings(value: Any) -> bool:
    named = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    return named and isinstance(value.get("_target_"), str)


_Form = type | Callable[[Any], bool]
_SETTINGS = "settings with the name of a class as _target_"
_FORM: dict[str, tuple[_Form, str]] = {
    "epoch": (_is_count, "an integer of at least 0"),
    "state_dict": (_are_tensors, "dense tensors by name"),
    "trainlab.image_shape": (_is_image_shape, f"three sizes with a product of at most {_LARGEST_IMAGE}"),
    "trainlab.classes": (_are_names, "a list of different names"),
    "trainlab.config.model": (_are_settings, _SETTINGS),
    "trainlab.config.data": (_are_settings, _SETTINGS),
}
_OF_NETWORK = (
    *("trainlab.image_shape", "trainlab.classes", "trainlab.config.model"),
    *("trainlab.config.optim", "trainlab.config.scheduler"),
)
_TRAINING: dict[str, tuple[_Form, str]] = {
    "global_step": (_is_count, "an integer of at least 0"),
    "loops.fit_loop": (Mapping, "the counters of Lightning"),
    "callbacks.EpochLog.epoch_s": (_are_seconds, "a list of seconds"),
    f"callbacks.{BEST_STATE}.best": (Mapping, "epoch and metrics of the best checkpoint"),
    "optimizer_states": (list, "a list of states"),
    "lr_schedulers": (list, "a list of states"),
    "trainlab.data_digest": (str, "a text"),
    "trainlab.total_steps": (_is_count, "an integer of at least 0"),
    "trainlab.config.optim": (_are_settings, _SETTINGS),
    "trainlab.config.scheduler": (_are_settings, _SETTINGS),
    "trainlab.config.trainer": (Mapping, "settings"),
}
