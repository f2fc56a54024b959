"""Hydra's composition of the files in `conf/`, without its global state."""

from collections.abc import Sequence

from omegaconf import DictConfig

from trainlab.config.resolvers import PROJECT


def load_config(name: str, overrides: Sequence[str]) -> DictConfig:
    """``name``.yaml of `conf/` with overrides, and Hydra's own part. It leaves no global state."""
    from hydra import version
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.core.utils import setup_globals
    from hydra.types import RunMode

    setup_globals()
    base = version.VersionBase.instance()
    before = base.version_base
    version.setbase("1.3")
    try:
        loader = ConfigLoaderImpl(create_config_search_path(str(PROJECT / "conf")))
        return loader.load_configuration(name, [*overrides], RunMode.RUN, from_shell=False)
    finally:
        base.version_base = before
