"""Mistakes in numbers that are found before PyTorch is loaded: the rest is checked by signatures and constructors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from trainlab.config.overrides import WrongArguments
from trainlab.config.resolvers import CONF

_ALSO_TEXT = ("trainer.devices",)  # a number by default
_NO_TEXT = ("null", "true", "false")


def check_numbers(overrides: Sequence[str], choices: Mapping[str, Any]) -> None:
    """Raise WrongArguments where a plain word is given to a setting that is a number by default; check `optim.lr`.

    Ranges, as "1-3", and several values, as "1e-3;3e-4", are left to the later check, which says how they are written.

    Args:
        overrides: such as "optim.lr=1e-3".
        choices: the chosen option of each group.
    """
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key == "optim.lr" and _is_number(value) and math.isfinite(float(value)):
            check_lr(value)
        if (key, value) == ("seed", "auto"):
            raise WrongArguments("seed=auto adds seeds to a sweep; add -m, or set a number: seed=1")
        is_word = value[:1].isalnum() and value.isalnum() and value.lower() not in _NO_TEXT
        if not is_word or _is_number(value) or key in _ALSO_TEXT:
            continue
        kind = {int: "an integer", float: "a number"}.get(type(_default(key, choices)))
        if kind:
            name = key.rpartition(".")[2]
            raise WrongArguments(f"{name} must be {kind}, got {value!r}" + f"; set {key}" * (name != key))


def check_lr(lr: Any) -> None:
    """Raise ValueError unless ``lr``, a number or its text, is positive and finite."""
    if isinstance(lr, Mapping) or not 0 < float(lr) < math.inf:
        raise ValueError(f"lr must be positive and finite, got {lr}; set optim.lr")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _default(key: str, choices: Mapping[str, Any]) -> Any:
    """The value of a setting in the file of the option that is chosen, or of those it is based on; None without."""
    group, _, name = key.rpartition(".") if "." not in key else key.partition(".")
    path = CONF / group / f"{choices.get(group)}.yaml" if group else CONF / "train.yaml"
    if not path.is_file():
        return None
    found = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(found, dict)
    if name in found or not group:
        return found.get(name)
    based_on = [option for option in found.get("defaults", ()) if isinstance(option, str)]
    values = (_default(key, {group: option}) for option in based_on)
    return next((value for value in values if value is not None), None)
