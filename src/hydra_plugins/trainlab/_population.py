"""Several jobs of a sweep as one training; each is a run in a thread of its own."""

import logging
import threading
from functools import partial

from hydra_plugins.trainlab._jobs import Jobs, describe_error, write_output_to
from trainlab.config.run_config import RunConfig
from trainlab.lr_search.apply import search_before_population
from trainlab.population.runner import Population
from trainlab.run import run
from trainlab.sweep.executors.local import Allocation
from trainlab.sweep.plan import Item
from trainlab.training.context import RunContext

_of_thread = threading.local()  # `handlers` of the member whose thread it is


def train_together(jobs: Jobs, item: Item, allocation: Allocation) -> dict[int, dict[str, str]]:
    """In the item's process: train its jobs. Returns the errors that ended them, by number.

    What they log goes to the log of each; other output goes to `population_N.log` in the folder of the sweep, N being
    the number of the first of them.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    log = jobs.sweep_dir / f"population_{item.jobs[0].number + 1}.log"
    write_output_to(log)
    allocation.limit_process(processes=1)
    logging.captureWarnings(True)
    shared = logging.StreamHandler()  # of what no member logs
    shared.addFilter(lambda record: not hasattr(_of_thread, "handlers"))
    logging.root.handlers[:] = [shared]
    logging.root.setLevel(logging.INFO)
    # Before the members start: a search cannot run in their threads.
    ends = search_before_population([jobs.run_config(job.overrides, job.number) for job in item.jobs])
    errors = {job.number: describe_error(error) for job, error in zip(item.jobs, ends, strict=True) if error}
    handlers: list[logging.Handler] = [shared]
    works = {}
    for job in item.jobs:
        if job.number not in errors:
            cfg = jobs.begin([*job.overrides, *jobs.quiet()], job.number)
            own = logging.root.handlers[:]
            for handler in own:
                handler.addFilter(partial(_is_of, own))
            handlers += own
            works[job.number] = partial(_work, cfg, own)
    logging.root.handlers[:] = handlers
    outcomes = Population([*works.values()]).run()
    if not log.stat().st_size:
        log.unlink()
    if any(isinstance(outcome, KeyboardInterrupt) for outcome in outcomes):
        raise KeyboardInterrupt
    return errors | {number: error for number, error in zip(works, outcomes, strict=True) if error}


def _is_of(handlers: list[logging.Handler], record: logging.LogRecord) -> bool:
    """Whether a record is logged by the member that has these handlers. For `logging.Handler.addFilter`."""
    return getattr(_of_thread, "handlers", None) is handlers


def _work(cfg: RunConfig, handlers: list[logging.Handler], context: RunContext) -> dict[str, str] | None:
    """Run a member in its thread, which logs to ``handlers``. Returns the error that ended it, if any."""
    _of_thread.handlers = handlers
    try:
        run(cfg, context)
    except Exception as error:
        return describe_error(error)
    finally:
        for handler in handlers:
            logging.root.removeHandler(handler)
            handler.close()
    return None
