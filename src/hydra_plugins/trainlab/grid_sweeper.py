"""Grid sweeper: all combinations of values."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn, JobStatus

from trainlab.cli import SweepFailed
from trainlab.config.overrides import combinations, parse_overrides


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

        assert self.hydra_context is not None and self.launcher is not None
        overrides = parse_overrides([*self._parse_config(), *arguments], self.hydra_context.config_loader)
        for override in overrides:
            if override.is_interval_sweep():
                rule = f"a sweep needs values, got the interval {override.input_line}"
                raise SweepFailed(f"{rule}; set hydra/sweeper=optuna to search it, or give values", 2)
        jobs = combinations(overrides)
        if not isinstance(self.launcher, ProcessLauncher):
            self.validate_batch_is_legal(jobs)
        returns = self.launcher.launch(jobs, initial_job_idx=0)
        for returned in returns:
            if returned.status is JobStatus.FAILED and isinstance(returned._return_value, SweepFailed):
                raise returned._return_value  # of the whole sweep
            _ = returned.return_value  # raises what the job raised
        return returns
