"""Errors of Hydra and OmegaConf in the words of a person's mistake."""

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf

from trainlab.config.help import describe_yaml_error
from trainlab.config.load import load_config
from trainlab.config.nearest import describe_nearest, describe_nearest_option, with_values
from trainlab.config.overrides import PATHS, unreadable
from trainlab.config.renamed import describe_renamed
from trainlab.config.resolvers import CONF

_GLOBAL = ("experiment", "local", "debug")  # groups whose options have settings of all others
NO_OPTION = "Config group override must be"  # so begins a ValueError of Hydra
_NO_OPTIONS = ("null", "true", "false")  # values that name no option, as Hydra reads them
_OF_OBJECTS = ("callbacks", "logger")  # groups of objects by name, which null switches off


def describe_config_error(
    error: Exception, overrides: Sequence[str], config_name: str, config_dir: str | Path | None = None
) -> str:
    """What is wrong with a config, and the names nearest to a wrong one.

    Args:
        error: Hydra's or OmegaConf's.
        overrides: that the config is composed of.
        config_name: of its root.
        config_dir: the user's config folder.
    """
    from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
    from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue

    if isinstance(error, OverrideParseException):
        return unreadable(error)
    if isinstance(of_file := error.__cause__ or error, yaml.YAMLError):
        return describe_yaml_error(of_file)
    in_file = re.match(r"In '([^']+)': ", str(error))
    path = _path(in_file[1], config_dir) if in_file and in_file[1] != config_name else ""
    if isinstance(error, MissingMandatoryValue):
        key = error.full_key or str(error).rpartition(" ")[2]
        return f"{key} must be given; set {key}=..."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        message = _no_such_option(str(error.missing_cfg_file), config_dir)
        return f"{path}: {message}" if path else message
    overridden = re.search(r"Could not override '([^'@]+)", str(error))
    if isinstance(error, ConfigCompositionException) and path and overridden:
        group = overridden[1]
        if "No match in the defaults list" not in str(error):
            return f"{path} overrides the group {group}; its first line must be '# @package _global_'"
        return f"{path}: there is no group {group!r}; {describe_nearest_option(group, _root(config_name)[1])}"
    text = str(error.__cause__ or error)
    if text.startswith(NO_OPTION):
        groups, given = _root(config_name)[1], with_values(overrides)
        group = next(key for key, value in given.items() if key in groups and value.lower() in _NO_OPTIONS)
        return _no_such_option(f"{group}/{given[group]}", config_dir)
    if there := re.search(
        r"Could not append to config. An item is already at '([^']+)'|Multiple values for (\S+?)\.", text
    ):
        return f"{there[1] or there[2]} is there already; leave out the + before it"
    if several := re.match(r"Ambiguous value for argument '([^=]+)=(.*)'$", text.splitlines()[0]):
        return _several_values(several[1], several[2], _root(config_name)[1])
    wrong = re.search(r"Could not (?:override|delete from config.) '([^']+)'", f"{error} {text}")
    if wrong:
        in_mapping = re.search(rf"full_key: ({re.escape(wrong[1])}\.\S+)", text)  # callbacks={figuers: null}
        key = (in_mapping or wrong)[1]
        if key.startswith("hydra."):
            return f"there is no setting {key!r}; --cfg hydra shows those of Hydra"
        if message := describe_renamed({key: ""}):
            return message
        return _no_such_setting(key, _all_keys(overrides, config_name, config_dir), with_values(overrides).get(key))
    reason = str(error).splitlines()[0].removeprefix("ValueError raised while resolving interpolation: ")
    setting = error.full_key if isinstance(error, InterpolationKeyError) else None
    return f"{setting}: {reason}" if setting and setting not in reason else reason


def _several_values(key: str, values: str, groups: Sequence[str]) -> str:
    """Message for a comma without `-m`, between values or in one."""
    name, message = key.lstrip("+"), f"{key} has several values, {values}; add -m to sweep over them"
    if name in groups:
        return message
    kind, one = ("path", f"\"{key}='{values}'\"") if name in PATHS else ("list", f"'{key}=[{values}]'")
    return f"{message}; one {kind} is written {one}"


def describe_unknown(cfg: DictConfig, choices: Mapping[str, Any], config_dir: str | Path | None = None) -> str:
    """What is wrong with a setting that no part of a run has: a file, or a + before it, adds any; "" if there is none.

    Groups of the user's own, and settings that others refer to, are none of these.

    Args:
        cfg: without Hydra's own part.
        choices: the chosen option of each group.
        config_dir: the user's config folder.
    """
    root, groups = _root("train")
    for group in groups:
        if isinstance(_plain(cfg, group), list):
            return f"{group} must be settings, KEY: VALUE, got a list; change {group}/{choices.get(group)}.yaml"
    for group in _GLOBAL:  # a file of these that is none of the whole configuration has its settings here
        if _plain(cfg, group) is not None and group in choices:
            path = f"{group}/{choices[group]}.yaml"
            return f"the settings of {path} have no effect; its first line must be '# @package _global_'"
    own = {group.partition("/")[0] for group in choices}
    known = {*root, *groups, *own} - {*_GLOBAL}
    unknown = [str(key) for key in cfg if key not in known]
    if unknown:
        text = str(OmegaConf.to_container(cfg))
        unknown = [key for key in unknown if f"${{{key}" not in text]
    of_sweep = {*root["sweep"], *(group.rpartition("/")[2] for group in groups if group.startswith("sweep/"))}
    unknown += [f"sweep.{key}" for key in cfg.sweep if key not in of_sweep]
    for group in _OF_OBJECTS:
        if group in choices:
            unknown += _unnamed_objects(group, _plain(cfg, group), config_dir)
    if not unknown:
        return ""
    settings = cast(dict[str, Any], OmegaConf.to_container(cfg))
    of_unknown = _dotted_keys({key: settings[key] for key in unknown if key in settings})
    key = next((key for key in of_unknown if key.startswith(f"{unknown[0]}.")), unknown[0])
    there_are = [other for other in _dotted_keys(settings) if other not in {*of_unknown, *unknown}]
    return _no_such_setting(key, there_are)


def _plain(cfg: DictConfig, key: str) -> Any:
    """A setting as plain values, references as they are typed; None if there is none."""
    node = cfg._get_node(key, validate_access=False)
    return OmegaConf.to_container(node) if OmegaConf.is_config(node) else node and node._value()


def _unnamed_objects(group: str, settings: Mapping[str, Any], config_dir: str | Path | None) -> list[str]:
    """Keys of what a file sets for callbacks or loggers that have no class, and that no option of the group has."""
    without = [key for key, value in settings.items() if not isinstance(value, dict) or "_target_" not in value]
    folders = [Path(folder, group) for folder in (CONF, config_dir) if folder and without]
    files = [(path, path.stat()) for folder in folders for path in folder.rglob("*.yaml")]
    named = {key for path, about in files for key in _first_keys(path, about.st_mtime_ns, about.st_size)}
    return [f"{group}.{key}" for key in without if key not in named]


@functools.lru_cache(maxsize=1000)
def _first_keys(path: Path, _changed_ns: int, _size: int) -> frozenset[str]:
    """Those of a YAML file, which is read once for each state of it: the check of a sweep asks for each job."""
    content = yaml.safe_load(path.read_text())
    return frozenset(content if isinstance(content, dict) else ())


def describe_instantiation_error(error: Exception) -> str:
    """What a class or function of a config says is wrong, and the section of the config."""
    section = re.search(r"full_key: (\S+)", str(error))
    reason = str(error.__cause__ or "") or str(error).splitlines()[0]
    return reason if not section or section[1] in reason else f"{reason} (in {section[1]})"


def _no_such_setting(key: str, keys: Sequence[str], value: str | None = None) -> str:
    if key == "model.num_classes":
        return f"there is no setting {key!r}: this network takes the number of outputs from the data; leave it out"
    if key == "seeds":
        return f"there is no setting 'seeds'; did you mean seed={value or 1} for one run, or -m seed=1,2,3 for three?"
    return f"there is no setting {key!r}; {describe_nearest(key, keys, value)}"


@functools.cache
def _root(config_name: str) -> tuple[dict[str, Any], list[str]]:
    """The settings of the root config that belong to no group, and its groups."""
    root = yaml.safe_load((CONF / f"{config_name}.yaml").read_text())
    entries = [group for entry in root.pop("defaults") if isinstance(entry, dict) for group in entry]
    return root, [entry for entry in entries if " " not in entry]


def _path(name: str, config_dir: str | Path | None) -> Path:
    """The file of a config that Hydra names."""
    paths = [Path(folder, f"{name}.yaml") for folder in (config_dir, CONF) if folder]
    return next((path for path in paths if path.is_file()), paths[-1])


def _no_such_option(wrong: str, config_dir: str | Path | None) -> str:
    """Message for ``wrong``, a group and an option that it does not have; its folders may have one of that name."""
    group, _, option = wrong.rpartition("/") if wrong.startswith(("hydra/", "sweep/")) else wrong.partition("/")
    folders = [Path(conf, group) for conf in (CONF, config_dir) if conf]
    paths = [path.relative_to(folder) for folder in folders for path in folder.rglob("*/*.yaml")]
    in_folders = sorted(path.with_suffix("").as_posix() for path in paths)
    for other in in_folders:
        if other.endswith(f"/{option}"):
            return f"{group} has no option {option!r}; set {group}={other}"
    options = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    return f"{group} has no option {option!r}; {describe_nearest_option(option, [*in_folders, *options])}"


def _all_keys(overrides: Sequence[str], config_name: str, config_dir: str | Path | None) -> list[str]:
    """Dotted keys of the config that the group choices among the overrides give."""
    groups = load_config(config_name, [], config_dir).hydra.runtime.choices
    given = [o for o in overrides if "=" in o]  # and no flags and their values
    chosen = [o for o in given if o.partition("=")[0].lstrip("+") in groups and not set(o) & set(",{(")]
    cfg = load_config(config_name, chosen, config_dir)
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg))
    del plain["hydra"]
    return _dotted_keys(plain)


def _dotted_keys(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """All keys of nested ``settings``, but those such as `_target_`."""
    keys: list[str] = []
    for key, value in settings.items():
        if not str(key).startswith("_"):
            keys.append(f"{prefix}{key}")
            keys += _dotted_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else []
    return keys
