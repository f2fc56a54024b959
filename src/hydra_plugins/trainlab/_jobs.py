"""A sweep's jobs as Hydra composes and runs them."""

import os
import sys
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, _save_config, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from trainlab.config.compose import as_typed, resolve_job
from trainlab.config.loader import CachingLoader
from trainlab.config.overrides import in_quotes, is_of_sweep_alone
from trainlab.config.run_config import RunConfig
from trainlab.config.run_folders import run_folders, shared_overrides
from trainlab.processes import can_be_sent, run_forked
from trainlab.programs import restart_words

# Of Hydra's overrides, those that are about the sweep and not about its jobs.
_OF_THE_SWEEP = ("hydra.mode=", "hydra/launcher=", "hydra.launcher.", "hydra/sweeper=", "hydra.sweep", "hydra.run.dir=")


@dataclass(frozen=True)
class Jobs:
    """What Hydra hands to a launcher. ``first`` is the number of the first job.

    ``folders`` are the names of the jobs' folders in that of the sweep by number; empty for those of
    `hydra.sweep.subdir`.
    """

    hydra_context: HydraContext
    task_function: TaskFunction
    config: DictConfig
    first: int
    folders: Mapping[int, str] = field(default_factory=dict)

    @property
    def sweep_dir(self) -> Path:
        """Folder that the jobs' folders are in."""
        return Path(str(self.config.hydra.sweep.dir))

    @cached_property
    def _loader(self) -> CachingLoader:
        return CachingLoader(self.hydra_context.config_loader.get_search_path())

    def compose(self, overrides: Sequence[str], index: int) -> DictConfig:
        """Config of a job, with Hydra's own."""
        config = self._loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = self.first + index
            if self.folders:
                config.hydra.sweep.subdir = self.folders[index]
        return config

    def with_folders(
        self,
        job_overrides: Sequence[Sequence[str]] | Mapping[int, Sequence[str]],
        shared: Collection[str] | None = None,
    ) -> "Jobs":
        """The same with `trainlab.config.run_folders.run_folders`, unless the user has said how folders are named.

        Args:
            job_overrides: of all jobs, or by their numbers.
            shared: by default the overrides that all jobs have.
        """
        settings = cast(dict[str, Any], OmegaConf.to_container(self.config.hydra.sweep, resolve=False))
        if not str(settings["subdir"]).startswith("${folder:"):
            return self
        by_number = numbered(job_overrides)
        every = [*by_number.values()]
        names = run_folders(self.sweep_dir, every, shared_overrides(every) if shared is None else shared)
        return replace(self, folders=dict(zip(by_number, names, strict=True)))

    def run(self, overrides: Sequence[str], index: int) -> JobReturn:
        """Run a job in this process."""
        setup_globals()
        return run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=self.compose(overrides, index),
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def run_all(self, job_overrides: Sequence[Sequence[str]], at_once: int) -> list[JobReturn]:
        """Run jobs of any application, each in a process of its own, ``at_once`` at a time."""
        self.sweep_dir.mkdir(parents=True, exist_ok=True)
        works = [partial(self._run_and_send, overrides, index) for index, overrides in enumerate(job_overrides)]
        returns = []
        for process, overrides in zip(run_forked(works, at_once), job_overrides, strict=True):
            returned = process.returned
            if returned is None:
                from trainlab.sweep.outcome import describe_exit  # which takes seconds

                returned = JobReturn(overrides=list(overrides), status=JobStatus.FAILED)
                returned.return_value = RuntimeError(describe_exit(process.poll() or 0))
            returns.append(returned)
        return returns

    def _run_and_send(self, overrides: Sequence[str], index: int) -> JobReturn:
        """In the job's process: what Hydra returns, as text where it cannot be sent."""
        returned = self.run(overrides, index)
        if not can_be_sent(returned):
            text = repr(returned._return_value)
            returned.return_value = RuntimeError(text) if returned.status is JobStatus.FAILED else text
        return returned

    def run_config(self, overrides: Sequence[str], index: int) -> RunConfig:
        """Resolved config of a training; Hydra's global one becomes that of the job."""
        config = self._set(overrides, index)
        return resolve_job(_of_task(config), config.hydra)

    def prepare(self, overrides: Sequence[str], index: int) -> RunConfig:
        """What Hydra does before it runs a job, for a training that shares its process with others.

        The job's log handlers become those of the root logger.
        """
        config = self._set(overrides, index)
        folder = Path(config.hydra.runtime.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        configure_log(config.hydra.job_logging, config.hydra.verbose)
        if config.hydra.output_subdir is not None:
            own = OmegaConf.masked_copy(config, ["hydra"])
            parts = {"config": _of_task(config), "hydra": own, "overrides": config.hydra.overrides.task}
            for name, part in parts.items():
                _save_config(part, f"{name}.yaml", folder / config.hydra.output_subdir)
        return resolve_job(_of_task(config), config.hydra)

    def _set(self, overrides: Sequence[str], index: int) -> DictConfig:
        """Config of a job with its folder; Hydra's global one is set to it, where references to it are looked up."""
        config = self.compose(overrides, index)
        OmegaConf.set_readonly(config.hydra, True)
        # `set_config` does the same with a copy, which takes as long as all else that composes a job.
        HydraConfig.instance().cfg = config  # type: ignore[assignment]  # it is typed as the part in it
        folder = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
        with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = str(folder.absolute())
        return config

    def quiet(self) -> list[str]:
        """Override that keeps a job's log off the console, where there is a file for it."""
        there = OmegaConf.select(self.config, "hydra.job_logging.handlers.file") is not None
        return ["hydra.job_logging.root.handlers=[file]"] if there else []

    def item_command(self, folder: Path) -> list[str]:
        """Command line that runs the item of which ``folder`` has the files, on any machine that has this one's."""
        place = f"hydra.sweep.dir={in_quotes(str(self.sweep_dir.absolute()))}"
        item = ("hydra/sweeper=item", f"hydra.sweeper.folder={in_quotes(str(folder))}")
        return [*restart_words(), *_flags(), "--multirun", *self._of_hydra(), *item, place]

    def _of_hydra(self) -> list[str]:
        """Overrides of Hydra's own settings, without those of the sweep."""
        of_hydra = as_typed(self.config.hydra.overrides.hydra)
        return [o for o in of_hydra if not o.lstrip("+~").startswith(_OF_THE_SWEEP)]

    def command(self, overrides: Sequence[str], folder: Path) -> list[str]:
        """Command line that runs a job in a separate process, in ``folder``."""
        settings = [
            *self._of_hydra(),
            *(o for o in overrides if not is_of_sweep_alone(o)),
            *(() if any(o.startswith("name=") for o in overrides) else (f"name={in_quotes(str(self.config.name))}",)),
            *("hydra.mode=RUN", f"hydra.run.dir={in_quotes(str(folder))}"),
        ]
        return [
            *restart_words(),
            *_flags(),
            *{o.lstrip("+~").partition("=")[0]: o for o in settings}.values(),  # where the job's log goes, in any case
        ]


def numbered(job_overrides: Sequence[Sequence[str]] | Mapping[int, Sequence[str]]) -> dict[int, Sequence[str]]:
    """Overrides of jobs by number, from zero unless they are given by number."""
    return dict(job_overrides if isinstance(job_overrides, Mapping) else enumerate(job_overrides))


def _flags() -> list[str]:
    """Those of this process's command line that say where the configuration is."""
    given = get_args_parser().parse_args(sys.argv[1:])
    names = ("config_path", "config_name", "config_dir")
    flags = {f"--{name.replace('_', '-')}": getattr(given, name) for name in names}
    return [part for flag, value in flags.items() if value for part in (flag, value)]


def _of_task(config: DictConfig) -> DictConfig:
    """A job's config without Hydra's own part, which still refers to the same settings."""
    own = DictConfig({}, flags={"no_deepcopy_set_nodes": True})
    for key in config:
        if key != "hydra":
            own[key] = config._get_node(key)
    OmegaConf.set_struct(own, OmegaConf.is_struct(config))
    OmegaConf.copy_cache(config, own)
    return own


def describe_error(error: Exception) -> dict[str, str]:
    """An exception as plain values, which can be sent to another process."""
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }


def write_output_to(path: Path) -> None:
    """Append stdout and stderr of this process to a file."""
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
