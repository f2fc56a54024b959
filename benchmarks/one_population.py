"""Trains a population of any size, of a single member too, which a sweep's planner would train alone; or a solo run.

    python benchmarks/one_population.py [--solo] FOLDER LR[,LR...] MODE [OVERRIDE...]

The members differ in their learning rates; each has a folder of its own in FOLDER, with all that a run leaves.

MODE is eager, captured or compiled: torch's backward pass and optimizer; forward, backward and update as one function,
which a GPU captures as a CUDA graph; the same compiled.
"""

import argparse
import logging
import threading
from functools import partial
from pathlib import Path

from trainings import MODES
from trainlab.config.compose import compose
from trainlab.config.run_config import RunConfig
from trainlab.population.runner import Population
from trainlab.run import run
from trainlab.runs.result import Result
from trainlab.training.context import RunContext
from trainlab.training.cuda_graph import GraphedCallable


def main() -> None:
    """Train. What ended a member ends this, once all have ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solo", action="store_true", help="a run without a population")
    parser.add_argument("folder")
    parser.add_argument("rates")
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    captures = args.mode != "eager"
    GraphedCallable.captures = staticmethod(lambda device: captures)
    shared = [*args.overrides, f"compile={str(args.mode == 'compiled').lower()}", f"output_dir={args.folder}"]
    logging.root.setLevel(logging.INFO)
    first = compose([*shared, "name=member"])
    works = []
    for number, rate in enumerate(args.rates.split(",")):
        name = f"member{number}"
        own = {"optim.lr": float(rate), "name": name, "run_dir": str(first.run_dir.with_name(name))}
        works.append(partial(train, first.changed(own)))  # composing takes six times as long
    if args.solo:
        works[0](RunContext())
        return
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
