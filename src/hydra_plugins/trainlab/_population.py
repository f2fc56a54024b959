"""Several jobs of a sweep as one training; each is a run in a thread of its own."""

import logging
import os
import threading
from collections.abc import Sequence
from functools import partial

from hydra_plugins.trainlab._jobs import Jobs, describe_error, write_output_to
from trainlab.config.run_config import RunConfig
from trainlab.console import LogFormatter
from trainlab.lr_search.apply import search_before_population
from trainlab.population.runner import Population
from trainlab.run import run
from trainlab.runs.heartbeat import wait_for
from trainlab.sweep.plan import Item
from trainlab.training.context import RunContext
from trainlab.training.step_report import VARIABLE, StepReport


def train_together(jobs: Jobs, item: Item) -> dict[int, dict[str, str]]:
    """In the item's process: train its jobs. Returns the errors that ended them, by number.

    What they log goes to the log of each; other output goes to `population_N.log` in the folder of the sweep, N being
    the number of the first of them.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    log = jobs.sweep_dir / f"population_{item.jobs[0].number + 1}.log"
    write_output_to(log)
    logging.captureWarnings(True)
    shared, threads = logging.StreamHandler(), set[int]()  # of what no member logs; those of members
    shared.setFormatter(LogFormatter())
    shared.addFilter(lambda record: record.thread not in threads)
    logging.root.setLevel(logging.INFO)
    logging.root.handlers[:] = [shared]
    wait_for([job.folder for job in item.jobs])  # once for all: each member would, one after another
    # Before the members start: a search cannot run in their threads.
    searching = [job for job in item.jobs if any(key.startswith("lr_search.") for key in job.settings)]
    ends = search_before_population([jobs.run_config(job.overrides, job.number) for job in searching])
    errors = {job.number: describe_error(error) for job, error in zip(searching, ends, strict=True) if error}
    works = {}
    for job in item.jobs:
        if job.number not in errors:
            cfg = jobs.prepare([*job.overrides, *jobs.quiet()], job.number)
            works[job.number] = partial(_work, cfg, logging.root.handlers[:], threads)
    logging.root.handlers[:] = [shared]
    report = StepReport()
    os.environ.pop(VARIABLE, None)  # of the population, and not of each member
    outcomes = Population([*works.values()], report=report).run()
    if not log.stat().st_size:
        log.unlink()
    if any(isinstance(outcome, KeyboardInterrupt) for outcome in outcomes):
        raise KeyboardInterrupt
    return errors | {number: error for number, error in zip(works, outcomes, strict=True) if error}


def _work(
    cfg: RunConfig, handlers: Sequence[logging.Handler], threads: set[int], context: RunContext
) -> dict[str, str] | None:
    """Run a member in its thread, which logs to ``handlers``. Returns the error that ended it, if any."""
    own = threading.get_ident()
    threads.add(own)
    for handler in handlers:
        handler.addFilter(lambda record: record.thread == own)
        logging.root.addHandler(handler)
    try:
        run(cfg, context)
    except Exception as error:
        return describe_error(error)
    finally:
        threads.remove(own)
        for handler in handlers:
            logging.root.removeHandler(handler)
            handler.close()
    return None
