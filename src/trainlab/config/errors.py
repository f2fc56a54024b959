"""Errors of Hydra and OmegaConf in the words of a person's mistake."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from trainlab.config.load import load_config
from trainlab.config.overrides import unreadable
from trainlab.config.renamed import describe_renamed
from trainlab.config.resolvers import CONF


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
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue

    if isinstance(error, OverrideParseException):
        return unreadable(error)
    if isinstance(error, MissingMandatoryValue):
        key = error.full_key or str(error).rpartition(" ")[2]
        return f"{key} must be given; set {key}=..."
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_such_option(str(error.missing_cfg_file), [o for o in error.options or [] if o], config_dir)
    text = str(error.__cause__ or error)
    if there := re.search(
        r"Could not append to config. An item is already at '([^']+)'|Multiple values for (\S+?)\.", text
    ):
        return f"{there[1] or there[2]} is there already; leave out the + before it"
    if text.startswith("Ambiguous value"):
        return f"{text.splitlines()[0]}; add -m to sweep over it, or quote it: \"key='a,b'\", 'key=[a,b]'"
    wrong = re.search(r"Could not (?:override|delete from config.) '([^']+)'", f"{error} {text}")
    if wrong:
        in_mapping = re.search(rf"full_key: ({re.escape(wrong[1])}\.\S+)", text)  # callbacks={figuers: null}
        key = (in_mapping or wrong)[1]
        if key.startswith("hydra."):
            return f"there is no setting {key!r}; --cfg hydra shows those of Hydra"
        if message := describe_renamed({key: ""}):
            return message
        keys = _all_keys(overrides, config_name, config_dir)
        same_depth = [other for other in keys if other.count(".") == key.count(".")]
        return f"there is no setting {key!r}; {_nearest(key, same_depth or keys)}"
    reason = str(error).splitlines()[0].removeprefix("ValueError raised while resolving interpolation: ")
    setting = error.full_key if isinstance(error, InterpolationKeyError) else None
    return f"{setting}: {reason}" if setting and setting not in reason else reason


def describe_instantiation_error(error: Exception) -> str:
    """What a class or function of a config says is wrong, and the section of the config."""
    section = re.search(r"full_key: (\S+)", str(error))
    reason = str(error.__cause__ or "") or str(error).splitlines()[0]
    return reason if not section or section[1] in reason else f"{reason} (in {section[1]})"


def _no_such_option(wrong: str, options: Sequence[str], config_dir: str | Path | None) -> str:
    """Message for ``wrong``, a group and an option that it does not have; its folders may have one of that name."""
    group, _, option = wrong.rpartition("/") if wrong.startswith("hydra/") else wrong.partition("/")
    folders = [Path(conf, group) for conf in (CONF, config_dir) if conf]
    paths = [path.relative_to(folder) for folder in folders for path in folder.rglob("*/*.yaml")]
    in_folders = sorted(path.with_suffix("").as_posix() for path in paths)
    for other in in_folders:
        if other.endswith(f"/{option}"):
            return f"{group} has no option {option!r}; set {group}={other}"
    return f"{group} has no option {option!r}; {_nearest(option, in_folders if '/' in option else options)}"


def _nearest(wrong: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    if not close:
        last = wrong.rpartition(".")[2]
        close = [n for n in names if n.rpartition(".")[2] == last][:3]
    if close:
        return "did you mean " + " or ".join(close) + "?"
    shown = ", ".join(names[:20])
    return f"there are: {shown}" if len(names) <= 20 else "see --help for the groups and common settings"


def _all_keys(overrides: Sequence[str], config_name: str, config_dir: str | Path | None) -> list[str]:
    """Dotted keys of the config that the group choices among the overrides give."""
    groups = load_config(config_name, [], config_dir).hydra.runtime.choices
    chosen = [o for o in overrides if o.partition("=")[0].lstrip("+") in groups and not set(o) & set(",{(")]
    cfg = load_config(config_name, chosen, config_dir)
    plain = cast(dict[str, Any], OmegaConf.to_container(cfg))
    del plain["hydra"]
    keys: list[str] = []

    def collect(node: Any, prefix: str) -> None:
        for key, value in node.items():
            if key.startswith("_"):
                continue
            keys.append(f"{prefix}{key}")
            if isinstance(value, dict):
                collect(value, f"{prefix}{key}.")

    collect(plain, "")
    return keys
