"""Grid sweeper: all combinations of values. Imported at every start, so what takes time is imported at the sweep."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from trainlab.cli import SweepFailed, gc_paused, load_libraries
from trainlab.config.overrides import combinations, parse_overrides
from trainlab.console import say, say_error
from trainlab.runs.fingerprint import is_debug_run


class GridSweeper(BasicSweeper):
    """Hydra's sweeper, but the launcher checks the jobs and lists all mistakes, and no file is written.

    Args:
        params: overrides in addition to those of the command line.
    """

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Sequence[JobReturn]:
        """Launch all jobs.

        Raises:
            WrongArguments: an override cannot be read, or has no value.
            SweepFailed: jobs failed, or none was started because some are invalid.
        """
        from hydra_plugins.trainlab.launcher import ProcessLauncher  # Hydra may have imported the module again
        from trainlab.sweep.auto_seeds import AUTO, SETTINGS

        assert self.hydra_context is not None and self.launcher is not None
        overrides = parse_overrides([*self._parse_config(), *arguments], self.hydra_context.config_loader)
        for override in overrides:
            if override.is_interval_sweep():
                rule = f"a sweep needs values, got the interval {override.input_line}"
                raise SweepFailed(f"{rule}; set hydra/sweeper=optuna to search it, or give values", 2)
        jobs = combinations(overrides)
        if any(AUTO in job for job in jobs):
            return self._decide(jobs)
        if unused := [str(o.input_line) for o in overrides if o.key_or_group in (f"sweep.{key}" for key in SETTINGS)]:
            say_error(f"warning: {', '.join(unused)} would need {AUTO}, and has no effect")
        if not isinstance(self.launcher, ProcessLauncher):
            self.validate_batch_is_legal(jobs)
        returns = self.launcher.launch(jobs, initial_job_idx=0)
        for returned in returns:
            if returned.status is JobStatus.FAILED and isinstance(returned._return_value, SweepFailed):
                raise returned._return_value  # of the whole sweep
            _ = returned.return_value  # raises what the job raised
        return returns

    def _decide(self, jobs: Sequence[Sequence[str]]) -> Sequence[JobReturn]:
        """Add seeds to all ``jobs`` until their groups are compared.

        Raises:
            ValueError: the settings are invalid.
            SweepFailed: jobs failed, or cannot be compared.
        """
        from hydra_plugins.trainlab.launcher import ProcessLauncher
        from trainlab.sweep.auto_seeds import AUTO, AutoSeeds

        launcher = self.launcher
        if not isinstance(launcher, ProcessLauncher) or not launcher.trainings:
            raise SweepFailed(f"{AUTO} needs hydra/launcher=trainlab; leave out hydra/launcher=", 2)
        config: Any = OmegaConf.to_container(launcher.config)
        asked = AutoSeeds.read(jobs, config["sweep"])
        if is_debug_run(config) or config["train"] is False:
            raise SweepFailed(
                f"{AUTO} compares results of trainings; leave out debug=, fast_dev_run and train=false", 2
            )
        if launcher.detach:
            raise SweepFailed(f"{AUTO} needs the results of each batch to continue; leave out sweep.detach", 2)
        if not launcher.dry_run:
            say(f"checking {len(jobs)} groups")
        load_libraries()
        with gc_paused():
            from hydra_plugins.trainlab._decide import decide
        return decide(launcher, asked)
