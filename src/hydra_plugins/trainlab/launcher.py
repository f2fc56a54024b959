"""The launcher as Hydra sees it. Imported at every start, so what takes time is imported at the launch."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from trainlab.cli import SweepFailed, gc_paused, load_libraries
from trainlab.console import say, status_line
from trainlab.ranks import count_processes, starter
from trainlab.runs.numbers import short_number

if TYPE_CHECKING:
    from trainlab.sweep.source import Source

_MAX_VALUES = 8  # of a setting that are listed


class ProcessLauncher(Launcher):
    """Runs each job in a process of its own.

    Attributes:
        reports: whether each launch of trainings ends with a table and a report. A sweeper that launches again and
            again makes its own at the end.
        shared: overrides that jobs of all launches have, after which no folder is named; None for those of one launch.
        source: of the jobs of a launch, in the place of those that it is given.
        follow: called again and again while jobs run, with what prints a line.

    Args:
        jobs: that run at the same time; "auto" for one per GPU or core, and for one where jobs are no trainings.
        on_failure: continue or stop; of trainings only.
        retry_failed: whether to retry jobs that failed in an earlier sweep; of trainings only.
        population: how many trainings that differ only in numbers are trained together at most: a number, or "auto"
            for as many as memory holds, or "off" for one.
        dry_run: whether to print the plan and run nothing; of trainings only.
        detach: whether to return once the jobs are submitted; of trainings only.
        trainings: whether jobs are this project's trainings. They are all checked before the first starts, skipped
            where they are completed, and recorded in `result.json`. Other applications' jobs are just run.
    """

    def __init__(
        self,
        jobs: int | str = 1,
        on_failure: str = "continue",
        retry_failed: bool = False,
        population: int | str = "auto",
        trainings: bool = False,
        dry_run: bool = False,
        detach: bool = False,
    ) -> None:
        if jobs != "auto" and (not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1):
            raise ValueError(f"jobs must be auto or an integer of at least 1, got {jobs!r}; set sweep.jobs")
        if on_failure not in ("continue", "stop"):
            raise ValueError(f"on_failure must be continue or stop, got {on_failure!r}; set sweep.on_failure")
        if not isinstance(retry_failed, bool):
            raise ValueError(f"retry_failed must be true or false, got {retry_failed!r}; set sweep.retry_failed")
        if not isinstance(dry_run, bool):
            raise ValueError(f"dry_run must be true or false, got {dry_run!r}; set sweep.dry_run")
        if not isinstance(detach, bool):
            raise ValueError(f"detach must be true or false, got {detach!r}; set sweep.detach")
        self.jobs = None if isinstance(jobs, str) else jobs
        self.on_failure, self.retry_failed, self.trainings = on_failure, retry_failed, trainings
        self.most_together = _most_together(population)
        self.reports, self.dry_run, self.detach = True, dry_run, detach
        self.shared: Collection[str] | None = None
        self.source: Source | None = None
        self.follow: Callable[[Callable[[str], object]], object] = lambda say: None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives.

        Raises:
            SweepFailed: several processes were started together, of which each would run the sweep.
        """
        if self.trainings and (count := count_processes()) > 1:
            raise SweepFailed(
                f"a sweep is one process that starts its jobs itself, got {count} processes of {starter()}; "
                f"start it without {starter()}, or leave out -m for one run on all of them",
                2,
            )
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; one return each, in their order."""
        from hydra_plugins.trainlab._jobs import Jobs

        jobs = Jobs(self.hydra_context, self.task_function, self.config, initial_job_idx)
        if not self.trainings:
            return jobs.run_all(job_overrides, self.jobs or 1)
        if self.reports and not self.dry_run:
            say(f"checking {_describe(job_overrides)}")
        load_libraries()
        with gc_paused():
            from hydra_plugins.trainlab._sweep import launch_trainings, print_plan

        status_line.clear()
        if self.dry_run:
            print_plan(jobs, job_overrides, self.jobs, self.retry_failed, self.most_together)
            return []
        return launch_trainings(
            jobs,
            job_overrides,
            at_once=self.jobs,
            on_failure=self.on_failure,
            retry_failed=self.retry_failed,
            most_together=self.most_together,
            reports=self.reports,
            shared=self.shared,
            detach=self.detach,
            source=self.source,
            follow=self.follow,
        )


def _describe(job_overrides: Sequence[Sequence[str]]) -> str:
    """Number of jobs, and the values of the settings in which they differ."""
    values: dict[str, dict[str, None]] = defaultdict(dict)
    for overrides in job_overrides:
        for override in overrides:
            key, _, value = override.removeprefix("++").partition("=")
            values[key][short_number(value)] = None
    swept = [f"{key}={_listed([*of])}" for key, of in values.items() if len(of) > 1]
    return f"{len(job_overrides)} job{'s' * (len(job_overrides) > 1)}{': ' * bool(swept)}{' '.join(swept)}"


def _listed(values: Sequence[str]) -> str:
    if len(values) <= _MAX_VALUES:
        return ",".join(values)
    return f"{values[0]},{values[1]},...,{values[-1]} ({len(values)} values)"


def _most_together(population: Any) -> int | None:
    """Largest population; None for no limit but memory. True and False are YAML's on and off."""
    if population is True or population == "auto":
        return None
    if population is False or population == "off":
        return 1
    if not isinstance(population, int) or population < 1:
        rule = "population must be auto, off or an integer of at least 2"
        raise ValueError(f"{rule}, got {population!r}; set sweep.population")
    return population


@dataclass
class ProcessLauncherConf:
    """Settings of ``hydra/launcher=processes``, for any application."""

    _target_: str = "hydra_plugins.trainlab.launcher.ProcessLauncher"
    jobs: int = 1


ConfigStore.instance().store(group="hydra/launcher", name="processes", node=ProcessLauncherConf)
