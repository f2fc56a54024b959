"""Resolvers of interpolations such as `${project:outputs}`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from omegaconf import ListConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer

from trainlab.config.help import describe_groups
from trainlab.config.run_folders import run_folder
from trainlab.programs import command_line, config_folder, project_path
from trainlab.runs.files import absolute, note_missing

PROJECT = Path(__file__).resolve().parents[3]  # of a checkout
# A wheel has the files of conf/ inside the package.
CONF = next(path for path in (Path(__file__).resolve().parents[1] / "conf", PROJECT / "conf") if path.is_dir())


def same_pace(lr: float, momentum: float) -> float:
    """A learning rate for SGD with a momentum: equal gradients g add up to steps of lr * g / (1 - momentum)."""
    return float(f"{lr * (1 - momentum):.6g}")  # 0.01 and not 0.00999...: it names folders and groups


def register_resolvers() -> None:
    """Make the resolvers known to OmegaConf.

    `${project:path}`: a path in the checkout whose script runs, or in the current folder;
    `${folder:overrides,folder}`: the folder of a run in that of its sweep, `trainlab.config.run_folders.run_folder`;
    `${same_pace:lr,momentum}`: the learning rate that moves as far with a momentum as ``lr`` does without;
    `${absolute:path}`: a path as it is where the command is given;
    `${new_name:folder}`: the time, as the name of something new in a folder; for `--help`, `${groups:root}`: all
    options, `${command:train}`: how a command is started.
    """
    OmegaConf.register_new_resolver("project", project_path, replace=True)
    OmegaConf.register_new_resolver("folder", _run_folder, replace=True)
    OmegaConf.register_new_resolver("groups", _groups, replace=True)
    OmegaConf.register_new_resolver("command", command_line, replace=True)
    OmegaConf.register_new_resolver("same_pace", same_pace, replace=True)
    OmegaConf.register_new_resolver("absolute", absolute_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("new_name", lambda _: time_name(), use_cache=True, replace=True)


def _run_folder(overrides: ListConfig, folder: str) -> str:
    return run_folder(cast(list[str], OmegaConf.to_container(overrides)), folder)


def _groups(root: str) -> str:
    own = config_folder()
    return describe_groups([CONF, *([Path(own)] if own else [])], root)


@contextmanager
def resolvers_registered() -> Iterator[None]:
    """Register them, and afterwards put back those that the process had, which may be others of the same names."""
    registered = BaseContainer._resolvers  # OmegaConf has no function that returns them
    before = dict(registered)
    register_resolvers()
    try:
        yield
    finally:
        registered.clear()
        registered.update(before)


def absolute_folder(path: Any) -> str:
    """``output_dir`` as an absolute path; if it does not exist, an invalid run leaves no trace of it.

    Raises:
        ValueError: it is none.
    """
    if path is None or path == "":
        raise ValueError(f"output_dir must be a folder, got {'null' if path is None else repr(path)}; set output_dir")
    found = absolute(str(path), Path.cwd())
    note_missing(Path(found))
    return found


def time_name() -> str:
    """The time, as the name of a folder."""
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
