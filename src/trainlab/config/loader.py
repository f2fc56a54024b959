"""Hydra's loader of configurations, which reads each file once and composes each choice of options once."""

import contextlib
import functools
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import omegaconf.base
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.utils import JobRuntime
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, StringNode

# Settings that decide where Hydra looks for options, or that it adds to.
_LEFT_TO_HYDRA = ("hydra.searchpath", "hydra.overrides", "hydra.job.env_copy")


class CachingLoader(ConfigLoaderImpl):
    """Loads what Hydra's own loader loads, and sets values in a copy of what a choice of options gives.

    Hydra composes the overrides that choose options of groups, or are settings of its own, once for each set of them.
    The values of all others are set by its own function, in their order. It composes all of them where one is a sweep,
    `hydra.searchpath`, `hydra.overrides`, `hydra.job.env_copy` or a whole `hydra`, and where something is wrong:
    errors are its own.

    Args:
        search_path: as Hydra has it. A loader is for as long as the files there do not change.
    """

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(search_path)
        self._files: dict[str, Any] = {}
        self._parsed: dict[str, Override] = {}
        self._is_group: dict[str, bool] = {}
        self._composed: dict[tuple[Any, ...], bytes] = {}

    def _load_configuration_impl(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        try:
            found = self._in_copy(config_name, overrides, run_mode)
        except Exception:  # raised again below, by Hydra, which has all overrides in their order
            found = None
        all_of_it = (config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        return super()._load_configuration_impl(*all_of_it) if found is None else found

    def _in_copy(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> DictConfig | None:
        """The configuration with values set in a copy; None where they cannot be."""
        parsed = [self._parse(line) for line in overrides]
        if any(one.is_sweep_override() or _is_left_to_hydra(one.key_or_group) for one in parsed):
            return None
        values = [one for one in parsed if not (one.is_hydra_override() or self._chooses_option(one))]
        fixed = _in_any_order([one for one in parsed if one not in values])
        key = (config_name, run_mode, fixed, Path.cwd(), JobRuntime.instance().get("name"))
        if key not in self._composed:
            whole = super()._load_configuration_impl(config_name, [*fixed], run_mode)
            # Variables of the environment are those at each composition; options of other folders are not known here.
            if whole.hydra.job.env_copy or whole.hydra.searchpath:
                return None
            self._composed[key] = pickle.dumps(whole)
        cfg: DictConfig = pickle.loads(self._composed[key])
        self._apply_overrides_to_config(values, cfg)
        own = [one for one in parsed if not one.is_hydra_override()]
        _fill(cfg.hydra.overrides.task, [str(one.input_line) for one in own])
        names = cfg.hydra.job.config.override_dirname
        cfg.hydra.job.override_dirname = get_overrides_dirname(own, names.exclude_keys, names.item_sep, names.kv_sep)
        return cfg

    def _parse(self, line: str) -> Override:
        if line not in self._parsed:
            (parsed,) = OverridesParser.create().parse_overrides([line])
            if "shuffle(" in line:  # which draws each time that it is read
                return parsed
            self._parsed[line] = parsed
        return self._parsed[line]

    def _chooses_option(self, override: Override) -> bool:
        """Whether it decides which files are composed."""
        group = override.key_or_group
        if group not in self._is_group:
            self._is_group[group] = self.repository.group_exists(group)
        return self._is_group[group] and not isinstance(override.value(), dict)

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed, repository = super()._parse_overrides_and_create_caching_repo(config_name, overrides)
        if not any(one.key_or_group == "hydra.searchpath" for one in parsed):
            repository.cache = self._files
        return parsed, repository

    def _compose_config_from_defaults_list(self, defaults: list[Any], repo: Any) -> DictConfig:
        return super()._compose_config_from_defaults_list(defaults, _Copies(repo))


@contextlib.contextmanager
def texts_parsed_once() -> Iterator[None]:
    """Have OmegaConf parse each text with references once: the jobs of a sweep share nearly all of them."""
    parse = omegaconf.base.parse
    omegaconf.base.parse = functools.lru_cache(maxsize=10_000)(parse)
    try:
        yield
    finally:
        omegaconf.base.parse = parse


class _Copies(CachingConfigRepository):
    """A repository whose files may be changed: the merged configuration takes their nodes."""

    def __init__(self, repository: CachingConfigRepository) -> None:
        self.delegate, self.cache = repository.delegate, repository.cache

    def load_config(self, config_path: str) -> ConfigResult | None:
        return pickle.loads(pickle.dumps(super().load_config(config_path)))  # faster than a deep copy


def _fill(texts: ListConfig, content: list[str]) -> None:
    """Have a list of text hold ``content``, in a tenth of the time that OmegaConf takes to add one after another."""
    nodes = [StringNode(text, key=i, parent=texts, is_optional=False) for i, text in enumerate(content)]
    texts.__dict__["_content"] = nodes


def _in_any_order(overrides: list[Override]) -> tuple[str, ...]:
    """The lines of overrides, sorted where their order decides nothing: each chooses the option of another group."""
    lines = [str(one.input_line) for one in overrides]
    choices = {one.key_or_group for one in overrides if one.type is OverrideType.CHANGE and one.package is None}
    of_hydra = any(one.is_hydra_override() for one in overrides)
    return tuple(lines if of_hydra or len(choices) < len(lines) else sorted(lines))


def _is_left_to_hydra(key: str) -> bool:
    return key == "hydra" or any(key == one or key.startswith(f"{one}.") for one in _LEFT_TO_HYDRA)
