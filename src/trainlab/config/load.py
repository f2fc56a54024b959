"""Hydra's composition of the files in `conf/`, without its global state."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from trainlab.config.resolvers import CONF


def load_config(name: str, overrides: Sequence[str], config_dir: str | Path | None = None) -> DictConfig:
    """``name``.yaml of `conf/` with overrides, and Hydra's own part. It leaves no global state.

    ``config_dir`` is searched first, as with Hydra's `--config-dir`.
    """
    from hydra import version
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.utils import setup_globals
    from hydra.types import RunMode

    setup_globals()
    base = version.VersionBase.instance()
    before = base.version_base
    version.setbase("1.3")
    try:
        search_path = create_config_search_path(str(CONF))
        if config_dir:
            own = f"file://{Path(config_dir).absolute()}"
            search_path.prepend("command-line", own, SearchPathQuery(provider="schema"))
        return ConfigLoaderImpl(search_path).load_configuration(name, [*overrides], RunMode.RUN, from_shell=False)
    finally:
        base.version_base = before
