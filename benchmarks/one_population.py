"""Trains a population of any size, of a single member too, which a sweep's planner would train alone.

    python benchmarks/one_population.py FOLDER LR[,LR...] [OVERRIDE...]

The members differ in their learning rates; each has a folder of its own in FOLDER, with all that a run leaves.
"""

import logging
import sys
import threading
from functools import partial
from pathlib import Path

from trainlab.config.compose import compose
from trainlab.config.run_config import RunConfig
from trainlab.population.runner import Population
from trainlab.run import run
from trainlab.runs.result import Result
from trainlab.training.context import RunContext


def main() -> None:
    """Train. What ended a member ends this, once all have ended."""
    folder, rates, *shared = sys.argv[1:]
    logging.root.setLevel(logging.INFO)
    works = []
    for number, rate in enumerate(rates.split(",")):
        cfg = compose([*shared, f"optim.lr={rate}", f"output_dir={folder}", f"name=member{number}"])
        works.append(partial(train, cfg))
    for outcome in Population(works).run():
        if isinstance(outcome, BaseException):
            raise outcome


def train(cfg: RunConfig, context: RunContext) -> Result:
    """A member's run, in its thread, logged as a sweep would."""
    cfg.run_dir.mkdir(parents=True)
    log_this_thread(cfg.run_dir / "train.log")
    return run(cfg, context)


def log_this_thread(path: Path) -> None:
    """Write what this thread logs to ``path``."""
    thread = threading.get_ident()
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: record.thread == thread)
    logging.root.addHandler(handler)


if __name__ == "__main__":
    main()
