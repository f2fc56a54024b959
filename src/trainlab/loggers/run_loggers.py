"""Loggers of a run, foreign ones too: their name, what they are given at the start, and how they are finished."""

import inspect
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, WandbLogger

from trainlab.loggers.hyperparameters import hyperparameters
from trainlab.loggers.tensorboard import METRICS, TensorBoard

log = logging.getLogger(__name__)
_NAMES = ("run_name", "name")  # arguments for the name of a run, the more precise one first
_SUCCESS = ("completed", "debug", "pruned")


def name_argument(target: Callable[..., Any], given: Collection[str], name: str) -> dict[str, str]:
    """The argument that gives a logger the name of its run; none where it has no such argument or one is given."""
    parameters = inspect.signature(target).parameters
    key = next((key for key in _NAMES if key in parameters), None)
    return {} if key is None or key in given else {key: name}


class RunLoggers(dict[str, Logger]):
    """The loggers of a run by the names of their settings.

    Each gets the settings at the start, and at the end the results and Lightning's word for the status: "success", or
    "failed" for all else, as Lightning has it for Ctrl-C too.
    """

    def __init__(self, loggers: Mapping[str, Logger]) -> None:
        super().__init__(loggers)
        self._started: dict[str, Logger] = {}

    @property
    def boards(self) -> list[TensorBoard]:
        """Those that write for TensorBoard."""
        return [logger for logger in self.values() if isinstance(logger, TensorBoard)]

    def start(self, config: Mapping[str, Any], model: str | None, step: int | None) -> None:
        """Log what the run is made of.

        Args:
            config: resolved.
            model: name of the option that its network is made from.
            step: of the checkpoint that it continues from; None for a run that starts anew.

        Raises:
            ValueError: a logger cannot; the message names its settings.
        """
        for key, logger in self.items():
            self._started[key] = logger
            try:
                if isinstance(logger, TensorBoard):
                    logger.start(hyperparameters(config, model), step)
                else:
                    logger.log_hyperparams(dict(config))
            except OSError:
                raise
            except Exception as error:
                told = f"logger.{key} cannot start ({type(error).__name__}: {error})"
                raise ValueError(f"{told}; set logger.{key}=null to leave it out") from error

    def finish(self, metrics: Mapping[str, Any], status: str, step: int) -> None:
        """Log the results and finish all loggers that were started. One that fails is warned of: the results are saved.

        Args:
            metrics: of `result.json`.
            status: of `result.json`.
            step: of the optimizer.
        """
        for key, logger in self._started.items():
            try:
                _finish(logger, metrics, status, step)
            except Exception as error:
                log.warning("logger.%s could not be finished (%s: %s)", key, type(error).__name__, error)


def _finish(logger: Logger, metrics: Mapping[str, Any], status: str, step: int) -> None:
    if isinstance(logger, TensorBoard):
        logger.end(metrics, status, step)
        return
    succeeded = status in _SUCCESS
    try:
        if results := {tag: metrics[name] for name, tag in METRICS.items() if name in metrics}:
            logger.log_metrics(results, step)
    finally:
        logger.finalize("success" if succeeded else "failed")
        if isinstance(logger, WandbLogger):  # else its run lasts as long as the process, for later loggers too
            logger.experiment.finish(exit_code=0 if succeeded else 1)


class LeaveLoggersOpen(Callback):
    """Keeps Lightning from finishing the loggers together with the training, before the test."""

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """After a training."""
        trainer.loggers = []

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """After a training that failed or was interrupted."""
        trainer.loggers = []
