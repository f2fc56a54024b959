"""Runs one item of a sweep, as executors for other machines have it done. Imported at every start."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from trainlab.cli import load_libraries
from trainlab.ending import ending
from trainlab.processes import FOREIGN_VARIABLES
from trainlab.runs import notices
from trainlab.sweep import slurm_job
from trainlab.sweep.items import NOTICES, ItemFolder
from trainlab.training.step_report import VARIABLE


class ItemSweeper(Sweeper):
    """Runs the jobs of an item in this process, and ends it.

    Args:
        folder: of the item; see `trainlab.sweep.items`.
    """

    def __init__(self, folder: str) -> None:
        self._item = ItemFolder(Path(folder))

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives."""
        self._given = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Run the item."""
        ending.watch(_seconds_left)  # before libraries are imported, which takes a while
        about = self._item.describe()
        for name in FOREIGN_VARIABLES:
            os.environ.pop(name, None)
        reported = {VARIABLE: str(self._item.report), notices.VARIABLE: str(self._item.path.parent / NOTICES)}
        os.environ.update(about["environment"] | reported)
        sys.orig_argv[:] = about["command"]  # which results name: that of the sweep
        name = about["name"]
        OmegaConf.register_new_resolver("new_name", lambda _: name, replace=True)
        load_libraries()
        from hydra_plugins.trainlab._item import run_item

        sys.exit(run_item(self._item, about, *self._given))


def _seconds_left(number: int) -> float:
    """Until this process is ended, when a signal has announced that."""
    if slurm_job.job_id():
        return slurm_job.seconds_left()
    is_time_limit = number == signal.SIGUSR2
    return float(os.environ.get("SUBMITIT_LOCAL_SIGNAL_DELAY_S", 0.0)) if is_time_limit else 0.0


@dataclass
class ItemSweeperConf:
    """Settings of ``hydra/sweeper=item``."""

    _target_: str = "hydra_plugins.trainlab.item_sweeper.ItemSweeper"
    folder: str = "???"


ConfigStore.instance().store(group="hydra/sweeper", name="item", node=ItemSweeperConf)
