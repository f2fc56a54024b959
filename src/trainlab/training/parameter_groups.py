"""Which parameters of a network are trained, and with which settings of the optimizer: chosen by their names.

Names are those that `named_parameters()` has in the user's own network, without the prefix of its wrapper.
"""

import difflib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.optim import Optimizer

Rules = Sequence[Mapping[str, Any]]  # `optim.groups`
LaterFrozen = Mapping[int, Sequence[nn.Parameter]]  # by the epoch from which on they are not trained
_SELECTORS = ("pattern", "max_ndim")
_NAMES_SHOWN = 4


@dataclass(frozen=True)
class Group:
    """Parameters with the same settings.

    Attributes:
        parameters: in their order in the network.
        settings: replace those of the optimizer; ``lr_multiplier`` is a factor of the learning rate.
    """

    parameters: list[nn.Parameter]
    settings: Mapping[str, Any]


def freeze(network: nn.Module, rules: Any) -> LaterFrozen:
    """Exclude the parameters whose names match one of ``rules`` from training, at once or from some epoch on.

    A rule is a pattern as of `fnmatch`, or ``{"pattern": ..., "from_epoch": N}`` for parameters that are trained in the
    first N epochs; the smallest N of those for a parameter holds. Returns the parameters that are frozen later.

    Raises:
        ValueError: a rule is malformed, or matches no name.
    """
    form = "a list of patterns such as ['linear_1.*'] or {pattern: 'linear_1.*', from_epoch: 3}"
    if not isinstance(rules, list | tuple):
        raise ValueError(f"freeze must be {form}, got {rules!r}; set freeze")
    named, since = dict(_named(network)), dict[nn.Parameter, int]()
    for rule in rules:
        pattern, epoch = _parts_of(rule) if isinstance(rule, Mapping) else (rule, 0)
        if not isinstance(pattern, str):
            raise ValueError(f"freeze must be {form}, got {rules!r}; set freeze")
        chosen = [named[name] for name in _matching(pattern, named, "freeze")]
        for parameter in chosen:
            since[parameter] = min(epoch, since.get(parameter, epoch))
    later = dict[int, list[nn.Parameter]]()
    for parameter, epoch in since.items():
        if epoch == 0:
            parameter.requires_grad_(False)
        elif parameter.requires_grad:
            later.setdefault(epoch, []).append(parameter)
    return later


def _parts_of(rule: Mapping[str, Any]) -> tuple[Any, int]:
    epoch = rule.get("from_epoch")
    if rule.keys() != {"pattern", "from_epoch"}:
        raise ValueError(f"each entry of freeze has pattern and from_epoch, got {dict(rule)}; set freeze")
    if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0:
        raise ValueError(f"from_epoch must be a whole number of at least 0, got {epoch!r}; set freeze")
    return rule["pattern"], epoch


def group_parameters(network: nn.Module, rules: Rules = ()) -> list[Group]:
    """The trainable parameters of ``network``, those with the same settings in one group.

    A rule selects parameters by ``pattern`` and ``max_ndim``, the largest number of dimensions; its other entries are
    settings. Where several rules select a parameter, it has the settings of all, of the last one where they conflict.
    The first group has the parameters without settings of their own, if there are any.

    Raises:
        ValueError: a rule is malformed or selects nothing.
    """
    trainable = {name: parameter for name, parameter in _named(network) if parameter.requires_grad}
    settings: dict[str, dict[str, Any]] = {name: {} for name in trainable}
    for rule in rules:
        own = {key: value for key, value in rule.items() if key not in _SELECTORS}
        for name in _selected(rule, trainable):
            settings[name] |= own
    groups: dict[str, Group] = {}
    for name, parameter in trainable.items():
        key = repr(sorted(settings[name].items()))
        groups.setdefault(key, Group([], settings[name])).parameters.append(parameter)
    return sorted(groups.values(), key=lambda group: bool(group.settings))


def check_rules(rules: Any) -> None:
    """Raise ValueError unless ``rules`` are rules as of `group_parameters`."""
    form = "a list such as [{pattern: '*.bias', weight_decay: 0}]"
    if not isinstance(rules, list | tuple) or not all(isinstance(rule, Mapping) for rule in rules):
        raise ValueError(f"groups must be {form}, got {rules!r}; set optim.groups")
    for rule in rules:
        pattern, ndim = rule.get("pattern", "*"), rule.get("max_ndim", 0)
        multiplier = rule.get("lr_multiplier", 1)
        if not rule.keys() & set(_SELECTORS):
            raise ValueError(f"each of groups needs pattern or max_ndim, got {dict(rule)}; set optim.groups")
        if not rule.keys() - set(_SELECTORS):
            raise ValueError(f"each of groups needs a setting such as weight_decay, got {dict(rule)}; set optim.groups")
        if not isinstance(pattern, str):
            raise ValueError(f"pattern must be a text such as '*.bias', got {pattern!r}; set optim.groups")
        if not isinstance(ndim, int) or isinstance(ndim, bool) or ndim < 0:
            raise ValueError(f"max_ndim must be a whole number of at least 0, got {ndim!r}; set optim.groups")
        if "lr" in rule:
            raise ValueError(
                f"a group's learning rate is a multiple of optim.lr, got lr={rule['lr']}; set lr_multiplier in "
                "optim.groups"
            )
        if isinstance(multiplier, bool) or not isinstance(multiplier, int | float) or not 0 < multiplier < math.inf:
            raise ValueError(f"lr_multiplier must be positive and finite, got {multiplier!r}; set optim.groups")


def make_optimizer(build: Callable[..., Optimizer], groups: Sequence[Group]) -> Optimizer:
    """The optimizer that ``build`` makes for ``groups``; without settings of their own it gets just the parameters.

    The parameter groups of torch then have ``lr_multiplier``, too, by which schedules keep the ratio of their rates.
    """
    parameters = [parameter for group in groups for parameter in group.parameters]
    if not any(group.settings for group in groups):
        return build(parameters)
    defaults = build(parameters).defaults
    return build([{"params": group.parameters, **_in_full(group.settings, defaults)} for group in groups])


def multipliers(optimizer: Optimizer) -> list[float]:
    """Factor of the learning rate of each parameter group."""
    return [group.get("lr_multiplier", 1.0) for group in optimizer.param_groups]


def _in_full(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    multiplier = settings.get("lr_multiplier", 1.0)
    rate = {"lr": defaults["lr"] * multiplier} if "lr" in defaults else {}
    return {**settings, **rate, "lr_multiplier": multiplier}


def own_name(name: str) -> str:
    """A name in the user's own network, from that in its wrapper."""
    return name.removeprefix("module.")


def list_names(names: Collection[str]) -> str:
    """The first four, and how many more there are."""
    return ", ".join([*names][:_NAMES_SHOWN]) + (f" and {more} more" if (more := len(names) - _NAMES_SHOWN) > 0 else "")


def _named(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in network.named_parameters():
        yield own_name(name), parameter


def _selected(rule: Mapping[str, Any], parameters: Mapping[str, nn.Parameter]) -> list[str]:
    names = _matching(rule["pattern"], parameters, "optim.groups") if "pattern" in rule else list(parameters)
    found = [name for name in names if parameters[name].ndim <= rule.get("max_ndim", math.inf)]
    if not found:
        raise ValueError(
            f"max_ndim={rule['max_ndim']} leaves none of {list_names(names)}, which have "
            f"{min(parameters[name].ndim for name in names)} dimensions or more; set optim.groups"
        )
    return found


def _matching(pattern: str, names: Collection[str], setting: str) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        nearest = list_names(_nearest_first(pattern, names))
        raise ValueError(
            f"a pattern must match the name of a parameter, such as {nearest}, got {pattern!r}; set {setting}"
        )
    return found


def _nearest_first(pattern: str, names: Collection[str]) -> list[str]:
    """Names like ``pattern`` first, the others in their order."""
    close = difflib.get_close_matches(pattern.replace("*", ""), names, n=_NAMES_SHOWN, cutoff=0.5)
    return [*close, *(name for name in names if name not in close)]
