"""The classes and functions that settings name by `_target_`, and what they get to know of the data."""

import difflib
import sys
from collections.abc import Mapping
from typing import Any

from hydra._internal.utils import _locate

from trainlab.models.image_network import late_arguments


def locate(name: str, section: str) -> Any:
    """The class or function ``name`` of a ``section`` of the settings.

    Raises:
        ValueError: it cannot be imported.
    """
    try:
        return _locate(name)  # `hydra.utils.get_object` does the same, and logs errors
    except Exception as error:  # whatever a module raises while it is imported
        module, _, own = name.rpartition(".")
        if module in sys.modules and getattr(error.__cause__, "name", None) == name:  # it has no such submodule, too
            known = [key for key, value in vars(sys.modules[module]).items() if callable(value)]
            close = difflib.get_close_matches(own, known, 1)
            reason = f"{module} has no {own}" + (f"; did you mean {close[0]}?" if close else "")
            advice = f"set {section}._target_"
        else:
            reason = str(error.__cause__ or error).splitlines()[0]
            advice = f"set {section}._target_, or install its package"
        raise ValueError(f"{name} cannot be imported ({reason}); {advice}") from error


def check_targets(settings: Any, section: str) -> None:
    """Raise ValueError where an object inside a section, such as one of a list, cannot be imported."""
    inner = settings.items() if isinstance(settings, Mapping) else ()
    listed = enumerate(settings) if isinstance(settings, list) else ()
    for path, value in [*((f"{section}.{key}", v) for key, v in inner), *((f"{section}[{i}]", v) for i, v in listed)]:
        if isinstance(value, Mapping) and "_target_" in value:
            locate(str(value["_target_"]), path)
        check_targets(value, path)


def with_facts(settings: Any, section: str, facts: Mapping[str, Any]) -> Any:
    """Settings of the objects in a section, with those ``facts`` that their signatures have and that are not given.

    Raises:
        ValueError: a class or function cannot be imported.
    """
    if isinstance(settings, list):
        return [with_facts(item, section, facts) for item in settings]
    if not isinstance(settings, Mapping):
        return settings
    filled = {key: with_facts(value, f"{section}.{key}", facts) for key, value in settings.items()}
    if "_target_" in settings:
        more = late_arguments(locate(str(settings["_target_"]), section), settings, **facts)
        filled |= {key: _as_setting(value) for key, value in more.items()}
    return filled


def _as_setting(value: Any) -> Any:
    """A tuple, which would become a list in a configuration, as settings that make it."""
    return {"_target_": "builtins.tuple", "_args_": [list(value)]} if isinstance(value, tuple) else value
