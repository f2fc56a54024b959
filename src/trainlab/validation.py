"""Validation of settings before anything is built, read or written."""

import collections.abc
import contextlib
import functools
import inspect
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch

from trainlab.processes import count_cores
from trainlab.ranks import count_processes

_RANGE = re.compile(r"(\d+)(?:-|:|\.\.+)(\d+)")  # as it is written elsewhere
_GPUS = ("gpu", "cuda", "mps")
_TYPE_NAMES = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a string",
    type(None): "null",
    Path: "a path",
}


def check_arguments(target: Callable[..., Any], arguments: Mapping[str, Any], section: str) -> None:
    """Raise ValueError unless ``target`` accepts ``arguments``, plain values set under ``section`` ("" for the top).

    Checks names against the signature, and types against the annotations that can be resolved. Mappings configure
    objects and are not checked.
    """
    kept = inspect.isclass(target) or inspect.isfunction(target)
    parameters, hints = (_known if kept else _arguments_of)(target)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key, value in arguments.items():
        setting, hint = f"{section}.{key}".lstrip("."), hints.get(key, Any)
        if key not in parameters and not open_ended:
            raise ValueError(f"{target.__name__} takes no {key}; leave out {setting}")
        if not _fits(value, hint):
            types, shown = _either(_type_names(hint)), "null" if value is None else repr(value)
            several = _is_flat(value) and "list" not in types
            ways = [f"set {setting}"] if section else []
            if hint is int and (ends := _RANGE.fullmatch(str(value))):
                ways.append(f"sweep over the range: -m '{setting}=range({ends[1]},{int(ends[2]) + 1})'")
            elif types.startswith(("a number", "an integer")) and ";" in str(value):
                ways = [f"separate values by commas: -m {setting}={str(value).replace(';', ',')}"]
            elif several:
                ways.append(f"sweep over the values: -m {setting}={','.join(map(str, value))}")
            raise ValueError(f"{key} must be {types}, got {shown}" + "; " * bool(ways) + ", or ".join(ways))
        if not _is_finite(value):
            raise ValueError(f"{key} must be finite, got {value!r}; set {setting}")


def _either(names: Sequence[str]) -> str:
    """ "a or b", "a, b, c or d"."""
    return " or ".join(names) if len(names) <= 3 else f"{', '.join(names[:-1])} or {names[-1]}"


def _is_flat(value: Any) -> bool:
    """Whether it is a list of plain values."""
    return isinstance(value, list) and bool(value) and not any(isinstance(item, list | Mapping) for item in value)


def _arguments_of(target: Callable[..., Any]) -> tuple[Mapping[str, inspect.Parameter], dict[str, Any]]:
    """Parameters by name, and their types as far as they are known."""
    hints = _type_hints(target.__init__ if inspect.isclass(target) else target)
    return inspect.signature(target).parameters, hints


_known = functools.lru_cache(maxsize=500)(_arguments_of)  # read once for all jobs of a sweep


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def check_at_least(least: float, section: str, **settings: float) -> None:
    """Raise ValueError unless all ``settings`` of ``section`` are finite and at least ``least``."""
    for key, value in settings.items():
        if not least <= value < math.inf:
            raise ValueError(f"{key} must be at least {least}, got {value}; set {section}.{key}")


def check_devices(accelerator: Any, devices: Any, is_elsewhere: bool = False) -> None:
    """Raise ValueError if more GPUs or CPU cores are requested than are available.

    What is available is not known where the training ``is_elsewhere``, on another machine.
    """
    found = torch.accelerator.is_available()
    if accelerator in _GPUS and not (found or is_elsewhere):
        raise ValueError(
            f"accelerator={accelerator} needs a GPU, but none is available; set trainer=auto or trainer=cpu"
        )
    if accelerator == "cpu" or (accelerator == "auto" and not found):
        available, kind = count_cores(), "CPU cores"
    elif accelerator in ("auto", *_GPUS):
        available, kind = torch.accelerator.device_count(), "GPUs"
    else:
        return  # Lightning's own error names the valid accelerators
    if isinstance(devices, str) and not re.fullmatch(r"auto|-1|\d+(, *\d+)*,?", devices):
        raise ValueError(
            f"devices must be a number, the numbers of some as [0,1], or auto, got {devices!r}; set trainer.devices"
        )
    if isinstance(devices, int) and devices > available and count_processes() == 1 and not is_elsewhere:
        raise ValueError(
            f"devices must be at most {available}, the available {kind}, got {devices}; set trainer.devices"
        )


def device_named(name: str, key: str) -> torch.device:
    """The torch device ``name``, which is the value of the setting ``key``; "auto" is a GPU if one is available.

    Raises:
        ValueError: the device is not available.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.zeros((), device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available; set {key}") from error
    return device


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of the arguments; without annotations that need names imported under TYPE_CHECKING."""
    function = inspect.unwrap(function)
    hints: dict[str, Any] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        with contextlib.suppress(Exception):  # an annotation can be any expression
            hints |= get_type_hints(alone, getattr(function, "__globals__", {}))
    return hints


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value has the type ``hint``; a mapping configures an object."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if isinstance(value, Mapping):
        return not _type_names(hint)
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


def _type_names(hint: Any) -> list[str]:
    """Names of the plain types in ``hint``, for messages."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return list(dict.fromkeys(word for arg in args for word in _type_names(arg)))
    if origin is Literal:
        return list(map(str, args))
    if origin is tuple and Ellipsis not in args:
        return [f"a list of {len(args)}, each {' or '.join(_type_names(args[0]))}"]
    if origin in (tuple, list, collections.abc.Sequence):
        return [f"a list, each {' or '.join(_type_names(args[0]))}"]
    return [_TYPE_NAMES[hint]] if hint in _TYPE_NAMES else []


def name_settings(cls: Any) -> None:
    """Have the signature of a subclass's constructor name what its ``**settings`` stand for.

    Those are the keyword arguments of the constructor above it.
    """
    construct: Any = cls.__init__
    own = inspect.signature(construct)
    named = {name: p for name, p in own.parameters.items() if p.kind is not p.VAR_KEYWORD}
    if len(named) == len(own.parameters) or "__init__" not in vars(cls):
        return
    inherited = inspect.signature(super(cls, cls).__init__).parameters.items()
    more = {name: p for name, p in inherited if name not in named and p.kind is p.KEYWORD_ONLY}
    construct.__signature__ = own.replace(parameters=[*named.values(), *more.values()])
    annotations = {name: p.annotation for name, p in more.items() if p.annotation is not p.empty}
    construct.__annotations__ = annotations | construct.__annotations__
