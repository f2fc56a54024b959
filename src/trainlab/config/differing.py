"""The settings of a run that differ from the defaults, for the console and the log."""

import functools
import json
import pickle
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from trainlab.config.load import load_config
from trainlab.config.nearest import with_values
from trainlab.config.resolvers import resolvers_registered
from trainlab.config.run_config import RunConfig, make_paths_absolute

# Where a run lies and how its sweep runs jobs is printed elsewhere.
_PLACE = ("name", "output_dir", "run_dir")
_LEFT_OUT = (*_PLACE, "sweep", "print_config")
_IN_OTHERS = ("experiment", "local", "debug")  # groups whose options choose and set those of others
_WIDTH = 80


def describe_differing(cfg: RunConfig) -> str:
    """Chosen options and settings that are not the defaults, as on a command line, in lines of 80 characters.

    Values are as they were typed. What only refers to other settings, as the seed of the data, is not repeated.
    """
    defaults = _defaults((), cfg.config_dir)
    chosen = {group: cfg.choices[group] for group in defaults if group in cfg.choices}
    order = [*cfg.settings]  # as in the files; an experiment is none of the settings, and comes first
    groups = sorted(chosen, key=lambda group: order.index(group) if group in order else -1)
    options = [f"{group}={chosen[group]}" for group in groups if chosen[group] != defaults[group]]
    of_options = [word for word in options if word.partition("=")[0] not in _IN_OTHERS]
    without = _leaves(_with_options(tuple(of_options), cfg))
    typed, resolved = with_values(cfg.overrides), _leaves(cfg.settings)
    changed = [key for key, value in _leaves(cfg.references).items() if key not in without or without[key] != value]
    values = [f"{key}={typed.get(key, _text(resolved[key]))}" for key in changed if key in resolved]
    words = [*options, *values, *(o for o in cfg.overrides if o.startswith("~"))]
    if not words:
        return "all settings have their default values"
    # A value may have blanks; a line is only broken between words.
    text = textwrap.wrap(
        " ".join(word.replace(" ", "\0") for word in words), _WIDTH, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(text).replace("\0", " ")


@functools.lru_cache(maxsize=2)
def _composed(options: tuple[str, ...], config_dir: str | Path | None) -> DictConfig:
    with resolvers_registered():  # and no others afterwards
        return load_config("train", options, config_dir)


@functools.lru_cache(maxsize=2)
def _without_hydra(options: tuple[str, ...], config_dir: str | Path | None) -> bytes:
    """To be copied for each run of a process, faster than by a deep copy."""
    cfg = _composed(options, config_dir)
    OmegaConf.set_struct(cfg, False)
    return pickle.dumps(OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"]))


def _defaults(options: tuple[str, ...], config_dir: str | Path | None) -> dict[str, Any]:
    """The option of each group."""
    choices = _composed(options, config_dir).hydra.runtime.choices
    return {str(g): option for g, option in choices.items() if not str(g).startswith(("hydra/", "sweep/"))}


def _with_options(options: tuple[str, ...], of: RunConfig) -> dict[str, Any]:
    """What a run with these options alone would have, at the place of another."""
    cfg = pickle.loads(_without_hydra(options, of.config_dir))
    for key in _PLACE:
        cfg[key] = of.settings[key]
    with resolvers_registered():
        make_paths_absolute(cfg, Path.cwd())
    return cast(dict[str, Any], OmegaConf.to_container(cfg))


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if prefix or key not in _LEFT_OUT:
            inner = isinstance(value, Mapping) and value
            found |= _leaves(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
