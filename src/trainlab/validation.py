"""What can be seen to be wrong with settings before anything is built, read or written."""

import collections.abc
import contextlib
import inspect
import math
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch

from trainlab.processes import count_cores

_GPUS = ("gpu", "cuda", "mps")
_WORDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a string",
    type(None): "null",
    Path: "a path",
}


def check_arguments(target: Callable[..., Any], arguments: Mapping[str, Any], section: str) -> None:
    """Raise ValueError unless ``target`` takes these plain arguments, which are set under ``section`` ("" for the top).

    The signature is the rule: names, and types where their annotations can be resolved. Mappings stand for objects,
    whose types are not checked.
    """
    parameters = inspect.signature(target).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = _type_hints(target.__init__ if inspect.isclass(target) else target)
    for key, value in arguments.items():
        setting, hint = f"{section}.{key}".lstrip("."), hints.get(key, Any)
        if key not in parameters and not open_ended:
            raise ValueError(f"{target.__name__} takes no {key}; leave out {setting}")
        if not _fits(value, hint):
            raise ValueError(f"{key} must be {' or '.join(_words(hint))}, got {value!r}; set {setting}")
        if not _is_finite(value):
            raise ValueError(f"{key} must be finite, got {value!r}; set {setting}")


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def check_at_least(least: float, section: str, **settings: float) -> None:
    """Raise ValueError unless all ``settings`` of ``section`` are finite and at least ``least``."""
    for key, value in settings.items():
        if not least <= value < math.inf:
            raise ValueError(f"{key} must be at least {least}, got {value}; set {section}.{key}")


def check_devices(accelerator: Any, devices: Any) -> None:
    """Raise ValueError where there are fewer devices than asked for: GPUs, or processor cores."""
    found = torch.accelerator.is_available()
    if accelerator in _GPUS and not found:
        raise ValueError(f"accelerator={accelerator} needs a GPU and there is none; set trainer=auto or trainer=cpu")
    if accelerator == "cpu" or (accelerator == "auto" and not found):
        there, what = count_cores(), "processor cores"
    elif accelerator in ("auto", *_GPUS):
        there, what = torch.accelerator.device_count(), "GPUs"
    else:
        return  # Lightning names those there are
    if isinstance(devices, int) and devices > there:
        raise ValueError(f"devices must be at most the {there} {what} there are, got {devices}; set trainer.devices")


def device_named(word: str, key: str) -> torch.device:
    """The device that ``word``, the value of the setting ``key``, stands for: "auto" for a GPU if there is one.

    Raises:
        ValueError: there is none of that name.
    """
    if word == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(word)
        torch.zeros((), device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device must be one that there is, got {word!r}; set {key}") from error
    return device


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of the arguments, without those whose annotations need names that are imported for type checkers alone."""
    function = inspect.unwrap(function)
    hints: dict[str, Any] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        with contextlib.suppress(Exception):  # an annotation can be any expression
            hints |= get_type_hints(alone, getattr(function, "__globals__", {}))
    return hints


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is one of the type ``hint``; a mapping is taken for the settings of an object."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if isinstance(value, Mapping):
        return not _words(hint)
    if hint is Path:
        return isinstance(value, str)
    if origin is Literal:
        return value in args
    if origin is tuple and Ellipsis not in args:
        return isinstance(value, list) and len(value) == len(args) and all(map(_fits, value, args))
    if origin in (tuple, list, collections.abc.Sequence):
        return isinstance(value, list) and all(_fits(item, args[0]) for item in value)
    if origin is not None:
        return False
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    try:
        return isinstance(value, int | float if hint is float else hint)
    except TypeError:  # a type variable, a protocol
        return True


def _words(hint: Any) -> list[str]:
    """The plain types among those of ``hint``, for people."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return list(dict.fromkeys(word for arg in args for word in _words(arg)))
    if origin is Literal:
        return list(map(str, args))
    if origin is tuple and Ellipsis not in args:
        return [f"a list of {len(args)}, each {' or '.join(_words(args[0]))}"]
    if origin in (tuple, list, collections.abc.Sequence):
        return [f"a list, each {' or '.join(_words(args[0]))}"]
    return [_WORDS[hint]] if hint in _WORDS else []
