"""The configuration of a run, resolved before it starts."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper

from trainlab.config.overrides import PATHS
from trainlab.config.resolvers import resolvers_registered
from trainlab.passwords import without_passwords
from trainlab.runs.files import absolute

_OF_RUNS = ("last", "latest")  # of ckpt_path: the last checkpoint of the run itself, or of the newest one


@dataclass(frozen=True)
class RunConfig:
    """The configuration of a run.

    Attributes:
        settings: all of them as nested plain values, resolved.
        overrides: that it was composed with, as typed.
        choices: the chosen option of each group.
        references: the settings with their references to each other, such as ``${seed}``.
        config_dir: the user's config folder.
    """

    settings: dict[str, Any]
    overrides: Sequence[str] = ()
    choices: Mapping[str, Any] = field(default_factory=dict, repr=False)
    references: Mapping[str, Any] = field(default_factory=dict, repr=False)
    config_dir: str | None = None

    @property
    def run_dir(self) -> Path:
        """Folder of the run."""
        return Path(self.settings["run_dir"])

    def changed(self, changes: Mapping[str, Any]) -> "RunConfig":
        """With other values of settings, by dotted key, and of those that refer to them."""
        cfg = OmegaConf.create(dict(self.references))
        for key, value in changes.items():
            OmegaConf.update(cfg, key, value, merge=False)
        with resolvers_registered():
            return resolve(cfg, self.overrides, self.choices, self.config_dir)

    def to_yaml(self) -> str:
        """The settings as YAML, as Hydra reads it, without the passwords of URLs."""
        return to_yaml(without_passwords(self.settings))


def resolve(
    cfg: DictConfig, overrides: Sequence[str], choices: Mapping[str, Any], config_dir: str | Path | None = None
) -> RunConfig:
    """The configuration that ``cfg`` stands for.

    Raises:
        omegaconf.errors.OmegaConfBaseException: a setting is missing, or refers to one that is not there.
    """
    references = cast(dict[str, Any], OmegaConf.to_container(cfg))
    try:
        settings = {key: _resolved(cfg, key, value) for key, value in references.items()}
    except Exception:  # OmegaConf's own error names the setting
        settings = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))
    folder = str(config_dir) if config_dir else None
    return RunConfig(settings, tuple(overrides), dict(choices), references, folder)


def _resolved(parent: Any, key: Any, plain: Any) -> Any:
    """``parent[key]`` as plain values, of which ``plain`` has references as they are typed.

    As `OmegaConf.to_container` resolves it, in less time: only what has references is looked up.
    """
    if isinstance(plain, dict):
        node = parent._get_node(key)
        return {name: _resolved(node, name, value) for name, value in plain.items()}
    if isinstance(plain, list):
        node = parent._get_node(key)
        return [_resolved(node, i, value) for i, value in enumerate(plain)]
    if not isinstance(plain, str) or ("${" not in plain and plain != "???"):
        return plain
    found = parent[key]
    return OmegaConf.to_container(found, resolve=True, throw_on_missing=True) if OmegaConf.is_config(found) else found


def make_paths_absolute(cfg: DictConfig, start: str | Path) -> None:
    """Have all paths of ``cfg`` hold in every working directory, as they hold in ``start``; `~` is the home folder."""
    for key in PATHS:
        path = OmegaConf.select(cfg, key)
        if path == "":  # it would be the working directory
            raise ValueError(f"{key} must be a path, got ''; set {key}")
        if isinstance(path, str) and not (key == "ckpt_path" and path in _OF_RUNS):
            OmegaConf.update(cfg, key, absolute(path, start))


def to_yaml(settings: Any) -> str:
    """Plain nested ``settings`` as `OmegaConf.to_yaml` writes them, in a tenth of its time where PyYAML has libyaml.

    Only long texts with line breaks may be broken elsewhere, and characters beyond the basic plane be escaped.
    """
    return yaml.dump(settings, Dumper=_dumper(), default_flow_style=False, allow_unicode=True, sort_keys=False)


@functools.cache
def _dumper() -> type:
    class Dumper(getattr(yaml, "CDumper", yaml.Dumper)):  # type: ignore[misc]  # one of two
        def ignore_aliases(self, data: Any) -> bool:
            return True

    Dumper.add_representer(str, get_omega_conf_dumper().str_representer)  # quotes what would be read as a number
    return Dumper
