"""Hydra's composition of the files in `conf/`, without its global state."""

import copy
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from trainlab.config.resolvers import CONF


def load_config(name: str, overrides: Sequence[str], config_dir: str | Path | None = None) -> DictConfig:
    """``name``.yaml of `conf/` with overrides, and Hydra's own part. It leaves no global state.

    ``config_dir`` is searched first, as with Hydra's `--config-dir`.
    """
    from hydra import version
    from hydra.core.utils import setup_globals
    from hydra.types import RunMode

    setup_globals()
    base = version.VersionBase.instance()
    before = base.version_base
    version.setbase("1.3")
    try:
        folders = [str(CONF), *([str(Path(config_dir).absolute())] if config_dir else [])]
        paths = [path for folder in folders for path in sorted(Path(folder).rglob("*.yaml"))]
        loader = _loader(tuple(folders), tuple((str(path), path.stat().st_mtime_ns) for path in paths))
        return loader.load_configuration(name, [*overrides], RunMode.RUN, from_shell=False)
    finally:
        base.version_base = before


@functools.lru_cache(maxsize=1)
def _loader(folders: tuple[str, ...], _: tuple[tuple[str, int], ...]) -> Any:
    """A loader for the files in ``folders`` as they are: it reads each once, and merges each choice of options once.

    Both take most of the time of a composition.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_repository import CachingConfigRepository
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery

    class Copies(CachingConfigRepository):
        def __init__(self, delegate: Any, files: dict[str, Any]) -> None:
            super().__init__(delegate)
            self.cache = files

        def load_config(self, config_path: str) -> Any:
            return copy.deepcopy(super().load_config(config_path))

    class Loader(ConfigLoaderImpl):
        def __init__(self, search_path: Any) -> None:
            super().__init__(search_path)
            self.files: dict[str, Any] = {}
            self.merged: dict[str, DictConfig] = {}

        def _parse_overrides_and_create_caching_repo(self, config_name: Any, overrides: Any) -> Any:
            parsed, repository = super()._parse_overrides_and_create_caching_repo(config_name, overrides)
            repository.cache = self.files
            return parsed, repository

        def _compose_config_from_defaults_list(self, defaults: Any, repo: Any) -> DictConfig:
            if (key := repr(defaults)) not in self.merged:
                files = Copies(self.repository, self.files)  # the merged config takes the nodes of its files
                self.merged[key] = super()._compose_config_from_defaults_list(defaults, files)
            return copy.deepcopy(self.merged[key])

    search_path = create_config_search_path(folders[0])
    for own in folders[1:]:
        search_path.prepend("command-line", f"file://{own}", SearchPathQuery(provider="schema"))
    return Loader(search_path)
