"""Several jobs of a sweep as one training: each is Hydra's job, in a thread of its own."""

import logging
import threading
from functools import partial

from hydra.core.utils import JobStatus
from omegaconf import DictConfig

from hydra_plugins.trainlab_launcher._jobs import Jobs, told, write_output_to
from trainlab.population.together import Member, Population
from trainlab.results import Result
from trainlab.run import run
from trainlab.sweep.execute import Share
from trainlab.sweep.plan import Item, Job


def train_together(jobs: Jobs, item: Item, share: Share) -> dict[int, dict[str, str]]:
    """In the item's process: train its jobs. Returns the errors that ended them, by number.

    What they log goes to the log of each; what is written past that, to `population.log` in the folder of the sweep.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    log = jobs.sweep_dir / "population.log"
    write_output_to(log)
    share.take(processes=1)
    logging.captureWarnings(True)
    handlers: list[logging.Handler] = []
    population = Population([partial(_work, jobs, job, handlers) for job in item.jobs])
    try:
        outcomes = population.run()
    finally:
        if log.exists() and not log.stat().st_size:
            log.unlink()
    if any(isinstance(outcome, KeyboardInterrupt) for outcome in outcomes):
        raise KeyboardInterrupt
    failed = zip(item.jobs, outcomes, strict=True)
    return {job.number: told(outcome) for job, outcome in failed if isinstance(outcome, Exception)}


def _work(jobs: Jobs, job: Job, handlers: list[logging.Handler], member: Member) -> None:
    """Run a job in the thread of ``member``. Raises what ended it."""

    def task(cfg: DictConfig) -> Result:
        _log_own(handlers)
        return run(cfg, list(job.overrides), member)

    returned = jobs.run([*job.overrides, *jobs.quiet()], job.number, task)
    if returned.status is JobStatus.FAILED:
        raise returned._return_value


def _log_own(handlers: list[logging.Handler]) -> None:
    """Give the handlers that Hydra has just put up what this thread logs, and leave those of other threads in place."""
    thread = threading.get_ident()

    def of_this_thread(record: logging.LogRecord) -> bool:
        return record.thread == thread

    for handler in logging.root.handlers:
        handler.addFilter(of_this_thread)
    handlers += logging.root.handlers
    logging.root.handlers[:] = handlers
