"""Trains a population of any size, of a single member too, which a sweep's planner would train alone.

    python benchmarks/one_population.py FOLDER LR[,LR...] [OVERRIDE...]

The members differ in their learning rates; each has a folder of its own in FOLDER, with all that a run leaves.
"""

import logging
import sys
import threading
from functools import partial
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from trainlab.cli import PROJECT, register_resolvers
from trainlab.population.runner import Member, Population
from trainlab.run import run
from trainlab.runs.result import Result


def main() -> None:
    """Train. What ended a member ends this, once all have ended."""
    folder, rates, *shared = sys.argv[1:]
    register_resolvers()
    logging.root.setLevel(logging.INFO)
    works = []
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        for number, rate in enumerate(rates.split(",")):
            own = Path(folder) / f"member{number}"
            overrides = [*shared, f"optim.lr={rate}"]
            cfg = compose("train", [*overrides, f"run_dir={own}", f"name={own.name}"])
            works.append(partial(train, cfg, overrides, own))
    for outcome in Population(works).run():
        if isinstance(outcome, BaseException):
            raise outcome


def train(cfg: DictConfig, overrides: list[str], folder: Path, member: Member) -> Result:
    """A member's run, in its thread, logged as a sweep would."""
    folder.mkdir(parents=True)
    log_this_thread(folder / "train.log")
    return run(cfg, overrides, member)


def log_this_thread(path: Path) -> None:
    """Write what this thread logs to ``path``."""
    thread = threading.get_ident()
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: record.thread == thread)
    logging.root.addHandler(handler)


if __name__ == "__main__":
    main()
