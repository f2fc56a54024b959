"""The loggers of a run, including those of other packages: names, start and finish."""

import inspect
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, WandbLogger

from trainlab.loggers.hparams import SUCCESS
from trainlab.loggers.hyperparameters import hyperparameters
from trainlab.loggers.tensorboard import TensorBoard, results
from trainlab.tasks.reported import DEFAULT, TaskMetrics

log = logging.getLogger(__name__)
_NAMES = ("run_name", "name")  # arguments for the name of a run, by priority


def name_argument(target: Callable[..., Any], given: Collection[str], name: str) -> dict[str, str]:
    """The argument that sets the run name of a logger; empty if it has none or it is ``given`` already."""
    parameters = inspect.signature(target).parameters
    key = next((key for key in _NAMES if key in parameters), None)
    return {} if key is None or key in given else {key: name}


class RunLoggers(dict[str, Logger]):
    """The loggers of a run by their names in the config.

    Each one gets the hyperparameters at the start, and at the end the results and a status as Lightning uses it:
    "success", or "failed" for everything else, including Ctrl-C.
    """

    def __init__(self, loggers: Mapping[str, Logger]) -> None:
        super().__init__(loggers)
        self._started: dict[str, Logger] = {}
        self._metrics = DEFAULT

    @property
    def boards(self) -> list[TensorBoard]:
        """The TensorBoard loggers."""
        return [logger for logger in self.values() if isinstance(logger, TensorBoard)]

    def start(self, config: Mapping[str, Any], model: str | None, metrics: TaskMetrics, step: int | None) -> None:
        """Log the hyperparameters.

        Args:
            config: resolved configuration.
            model: name of the option of the group `model`.
            metrics: of the run's task.
            step: step of the checkpoint that the run continues from; None for a new run.

        Raises:
            ValueError: a logger failed; the message names its settings.
        """
        self._metrics = metrics
        for key, logger in self.items():
            self._started[key] = logger
            try:
                if isinstance(logger, TensorBoard):
                    logger.start(hyperparameters(config, model), metrics, step, config)
                else:
                    logger.log_hyperparams(dict(config))
            except OSError:
                raise
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise ValueError(
                    f"logger.{key} cannot start ({reason}); set logger.{key}=null to leave it out"
                ) from error

    def finish(self, metrics: Mapping[str, Any], status: str, step: int) -> None:
        """Log the results and finish all loggers that were started.

        A logger that fails causes a warning only, as the results are saved in `result.json`.

        Args:
            metrics: metrics of `result.json`, and `total_s`.
            status: status of `result.json`.
            step: number of optimizer steps.
        """
        for key, logger in self._started.items():
            try:
                _finish(logger, metrics, results(self._metrics), status, step)
            except Exception as error:
                log.warning("logger.%s could not be finished (%s: %s)", key, type(error).__name__, error)


def _finish(logger: Logger, metrics: Mapping[str, Any], tags: Mapping[str, str], status: str, step: int) -> None:
    if isinstance(logger, TensorBoard):
        logger.end(metrics, status, step)
        return
    succeeded = status in SUCCESS
    try:
        if found := {tag: metrics[name] for name, tag in tags.items() if name in metrics}:
            logger.log_metrics(found, step)
    finally:
        logger.finalize("success" if succeeded else "failed")
        if isinstance(logger, WandbLogger):  # its run would otherwise stay open for later loggers of the process
            logger.experiment.finish(exit_code=0 if succeeded else 1)


class LeaveLoggersOpen(Callback):
    """Keeps Lightning from finishing the loggers at the end of the training, before the test."""

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remove the loggers after training."""
        trainer.loggers = []

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the loggers after an error or an interruption."""
        trainer.loggers = []
