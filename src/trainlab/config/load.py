"""Hydra's composition of the files in `conf/`, without its global state."""

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


@functools.lru_cache(maxsize=4)
def _loader(folders: tuple[str, ...], _: tuple[tuple[str, int], ...]) -> Any:
    """A loader for the files in ``folders`` as they are."""
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery

    from trainlab.config.loader import CachingLoader

    search_path = create_config_search_path(folders[0])
    for own in folders[1:]:
        search_path.prepend("command-line", f"file://{own}", SearchPathQuery(provider="schema"))
    return CachingLoader(search_path)
