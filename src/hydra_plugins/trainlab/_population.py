"""Several jobs of a sweep as one training: each is Hydra's job, in a thread of its own."""

import logging
import threading
from functools import partial

from hydra.core.utils import JobStatus
from omegaconf import DictConfig

from hydra_plugins.trainlab._jobs import Jobs, told, write_output_to
from trainlab.lr_search.apply import search_before_population
from trainlab.population.runner import Population
from trainlab.run import run
from trainlab.runs.result import Result
from trainlab.sweep.executors.local import Share
from trainlab.sweep.plan import Item, Job
from trainlab.training.context import RunContext


def train_together(jobs: Jobs, item: Item, share: Share) -> dict[int, dict[str, str]]:
    """In the item's process: train its jobs. Returns the errors that ended them, by number.

    What they log goes to the log of each; what else is said, to `population_N.log` in the folder of the sweep, N being
    the number of the first of them.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    log = jobs.sweep_dir / f"population_{item.jobs[0].number + 1}.log"
    write_output_to(log)
    share.take(processes=1)
    logging.captureWarnings(True)
    handlers: list[logging.Handler] = [logging.StreamHandler()]  # of what is no member's
    handlers[0].addFilter(lambda record: not hasattr(_of_thread, "handlers"))
    errors = _search(jobs, item, handlers[0])
    members = [job for job in item.jobs if job.number not in errors]
    outcomes = Population([partial(_work, jobs, job, handlers) for job in members]).run()
    if not log.stat().st_size:
        log.unlink()
    if any(isinstance(outcome, KeyboardInterrupt) for outcome in outcomes):
        raise KeyboardInterrupt
    return errors | {job.number: error for job, error in zip(members, outcomes, strict=True) if error}


def _search(jobs: Jobs, item: Item, handler: logging.Handler) -> dict[int, dict[str, str]]:
    """Search the learning rates that jobs ask for, each once; the members' threads could not.

    Returns the errors that ended searches, by number of the jobs that need what they were to find.
    """
    before = logging.root.level
    logging.root.setLevel(logging.INFO)
    logging.root.addHandler(handler)
    try:
        ends = search_before_population([jobs.task_config(job.overrides, job.number) for job in item.jobs])
    finally:
        logging.root.removeHandler(handler)
        logging.root.setLevel(before)
    return {job.number: told(error) for job, error in zip(item.jobs, ends, strict=True) if error}


_of_thread = threading.local()  # `handlers` of the member whose thread it is


def _work(jobs: Jobs, job: Job, handlers: list[logging.Handler], context: RunContext) -> dict[str, str] | None:
    """Run a job in the thread of a member. Returns the error that ended it, if any."""

    def task(cfg: DictConfig) -> Result:
        _log_own(handlers)
        return run(cfg, list(job.overrides), context)

    try:
        returned = jobs.run([*job.overrides, *jobs.quiet()], job.number, task)
    except Exception as error:
        return told(error)
    finally:
        for handler in getattr(_of_thread, "handlers", []):
            handlers.remove(handler)
            logging.root.removeHandler(handler)
            handler.close()
    return told(returned._return_value) if returned.status is JobStatus.FAILED else None


def _log_own(handlers: list[logging.Handler]) -> None:
    """Give the handlers that Hydra has just put up what this thread logs, and leave those of other threads in place."""
    own = _of_thread.handlers = logging.root.handlers[:]
    for handler in own:
        handler.addFilter(lambda record: getattr(_of_thread, "handlers", None) is own)
    handlers += own
    logging.root.handlers[:] = handlers
