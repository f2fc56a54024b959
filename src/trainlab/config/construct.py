"""Objects of the sections of a config."""

import copy
import functools
import inspect
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from trainlab.config.errors import describe_instantiation_error
from trainlab.config.module_settings import has_own_module
from trainlab.config.targets import check_targets, locate, with_facts
from trainlab.models.image_network import late_arguments
from trainlab.tasks.metrics import METRICS, Metric, metric_of, mode_of
from trainlab.validation import check_arguments

Config = Mapping[str, Any]
_CALLED = ("trainlab.", "lightning.", "torch.optim.")  # directly; Hydra has rules for what others may be called


def target_of(config: Config, section: str) -> Any:
    """The class or function that a section names.

    Raises:
        ValueError: it cannot be imported.
    """
    return locate(str((select(config, section) or {}).get("_target_")), section)


def select(config: Config, key: str) -> Any:
    """The value of a dotted key; None where there is none."""
    for part in key.split("."):
        config = (config or {}).get(part)  # type: ignore[assignment]  # at the end it is a value
    return config


def construct(
    config: Config,
    section: str,
    omit: Collection[str] = (),
    known: Mapping[str, Metric] = METRICS,
    facts: Mapping[str, Any] = MappingProxyType({}),
    **late: Any,
) -> Any:
    """The object that a section of ``config`` stands for, with arguments that are known only now.

    Settings to ``omit`` are not its own. ``known`` are the metrics that it can monitor. It and the objects in it get
    those ``facts`` that their signatures have, unless they are set.

    Raises:
        ValueError: an argument is invalid.
    """
    plain = {key: value for key, value in select(config, section).items() if key not in omit}
    arguments = {key: value for key, value in plain.items() if not key.startswith("_")}
    target = target_of(config, section)
    if arguments.get("monitor") is not None and "mode" in inspect.signature(target).parameters:
        # Of a module or a callback of the user's, what is monitored may be any metric that is logged.
        if target.__module__.startswith("trainlab.") and not ("mode" in arguments and has_own_module(config)):
            metric_of(arguments["monitor"], f"{section}.monitor", known)
        arguments["mode"] = late["mode"] = mode_of(arguments["monitor"], arguments.get("mode"), section, known)
    check_arguments(target, arguments, section)
    check_targets(arguments, section)
    if _is_plain(plain) and str(plain["_target_"]).startswith(_CALLED):
        late |= late_arguments(target, plain, **facts) if facts else {}
        return _call(target, copy.deepcopy(arguments) | late, bool(plain.get("_partial_")), section)
    if facts:
        plain = with_facts(plain, section, facts)
    path = section.split(".")  # by which Hydra names it in errors
    whole = functools.reduce(lambda inner, key: {key: inner}, reversed(path), plain)
    try:
        return instantiate(OmegaConf.select(OmegaConf.create(whole), section), **late, _convert_="all")
    except InstantiationException as error:
        raise ValueError(describe_instantiation_error(error)) from error.__cause__


def _call(target: Any, arguments: dict[str, Any], is_partial: bool, section: str) -> Any:
    """What Hydra's `instantiate` returns or raises, in a hundredth of its time."""
    if is_partial:
        return functools.partial(target, **arguments)
    try:
        return target(**arguments)
    except Exception as error:
        name = f"{target.__module__}.{target.__qualname__}"
        called = InstantiationException(f"Error in call to target '{name}':\n{error!r}\nfull_key: {section}")
        called.__cause__ = error
        raise ValueError(describe_instantiation_error(called)) from error


def _is_plain(settings: Mapping[str, Any]) -> bool:
    """Whether settings are those of one object, without others in them, and without more for Hydra to do."""
    return {key for key in settings if key.startswith("_")} <= {"_target_", "_partial_"} and all(
        _has_no_object(value) for value in settings.values()
    )


def _has_no_object(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" not in value and all(map(_has_no_object, value.values()))
    if isinstance(value, list):
        return all(map(_has_no_object, value))
    return not isinstance(value, str) or ("${" not in value and value != "???")
