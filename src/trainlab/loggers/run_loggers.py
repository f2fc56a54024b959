"""The loggers of a run, including those of other packages: requirements, start, failures and finish."""

import importlib.util
import inspect
import logging
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning_utilities.core.imports import RequirementCache

from trainlab.loggers.hparams import SUCCESS
from trainlab.loggers.hyperparameters import Value
from trainlab.loggers.metrics_csv import MetricsCSV
from trainlab.loggers.mlflow import MLflow
from trainlab.loggers.tensorboard import TensorBoard, results
from trainlab.loggers.wandb import WandB
from trainlab.passwords import without_passwords
from trainlab.runs.files import read_rows
from trainlab.runs.notices import notify
from trainlab.tasks.reported import DEFAULT, TaskMetrics

log = logging.getLogger(__name__)
WITH_FIGURES = (TensorBoard, WandB, MLflow)
_NAMES = ("run_name", "name")  # arguments for the name of a run, by priority
_CALLS = ("log_hyperparams", "log_metrics", "log_graph", "log_layers", "log_figure", "save", "after_save_checkpoint")
_REASON = 200  # characters that are shown of an error
Make = Callable[[bool], Logger]


def late_arguments(
    target: Callable[..., Any], given: Mapping[str, Any], name: str, tags: Sequence[str], resume: bool
) -> dict[str, Any]:
    """The arguments of a logger that are known only when a run starts, as far as it has them and they are not given.

    Args:
        target: class of the logger; of other packages, it gets the name only.
        given: its settings.
        name: of the run: its folder below the output folder. The folder of a sweep is its group.
        tags: of the run.
        resume: whether the run is resumed.
    """
    parameters = inspect.signature(target).parameters
    key = next((key for key in _NAMES if key in parameters), None)
    late: dict[str, Any] = {key: name} if key else {}
    if target in (WandB, MLflow):
        late |= {"group": str(Path(name).parent) if "/" in name else None, "tags": tags, "resume": resume}
    return {key: value for key, value in late.items() if key not in given}


def check_logger(target: Callable[..., Any], arguments: Mapping[str, Any], setting: str) -> None:
    """Check that a logger can be made, without making it: that may open files and connections.

    Args:
        target: class of the logger.
        arguments: all that it will get.
        setting: such as "logger.wandb".

    Raises:
        ValueError: its package is not installed, or an argument is missing.
    """
    for package in getattr(target, "packages", ()):
        if importlib.util.find_spec(package) is None:
            extra = target.packages[0]  # type: ignore[attr-defined]  # one that has packages
            raise ValueError(f"{setting} needs the package {package}; pip install 'trainlab[{extra}]'")
    needed = [n for n in vars(sys.modules[target.__module__]).values() if isinstance(n, RequirementCache)]
    if needed and not any(needed):
        raise ValueError(f"{setting}: {' '.join(str(needed[0]).split())}")
    try:
        inspect.signature(target).bind(**arguments)
    except TypeError as error:
        raise ValueError(f"{target.__name__}: {error}; set it under {setting}") from None


class RunLoggers(dict[str, Logger]):
    """The loggers of a run by their names in the config; empty until they are started.

    Each one gets the configuration at the start, and at the end the results and a status. One that fails is left out
    from then on, and the training continues: a warning says so once. `metrics.csv` is a part of the run, as its
    checkpoints are: its errors end the run.

    Args:
        make: the functions that make them, by name; their argument says whether the run is resumed.
    """

    def __init__(self, make: Mapping[str, Make]) -> None:
        super().__init__()
        self._make = make
        self._failed: set[str] = set()
        self._metrics = DEFAULT

    def log_figure(self, name: str, draw: Callable[[], Any], step: int) -> None:
        """Draw a figure and log it to those that take figures; it is not drawn where there are none."""
        loggers = [logger for logger in self.values() if isinstance(logger, WITH_FIGURES)]
        if loggers:
            figure = draw()
            for logger in loggers:
                logger.log_figure(name, figure, step)

    def start(
        self,
        trainer: Trainer,
        config: Mapping[str, Any],
        columns: Mapping[str, Value],
        metrics: TaskMetrics,
        step: int | None,
    ) -> None:
        """Make the loggers, log the configuration, and give them to the trainer.

        W&B and MLflow get the epochs of `metrics.csv` that they lack, such as those before a process was killed.

        Args:
            trainer: of the run.
            config: resolved configuration.
            columns: hyperparameters of the run, for TensorBoard.
            metrics: of the run's task.
            step: step of the checkpoint that the run continues from; None for a new run.
        """
        self._metrics = metrics
        for key, make in self._make.items():
            try:
                self[key] = logger = make(step is not None)
                if isinstance(logger, TensorBoard):
                    logger.start(columns, metrics, step, config)
                elif isinstance(logger, WandB | MLflow):
                    logger.start(config, metrics)
                    _continue(logger, Path(config["run_dir"], "metrics.csv"), -1 if step is None else step)
                else:
                    logger.log_hyperparams(dict(config))
            except Exception as error:
                self._fail(key, error)
                self[key] = DummyLogger()
        for key, logger in self.items():
            for name in () if isinstance(logger, MetricsCSV | DummyLogger) else _CALLS:
                if hasattr(logger, name):
                    setattr(logger, name, partial(self._call, key, getattr(logger, name)))
        trainer.loggers = [*self.values()]

    def follow(self, trainer: Trainer) -> None:
        """Give the trainer of a process that logs nothing as many loggers as the main process has."""
        trainer.loggers = [DummyLogger() for _ in self._make]

    def finish(self, metrics: Mapping[str, Any], status: str, step: int) -> None:
        """Log the results and finish all loggers that were started.

        Args:
            metrics: metrics of `result.json`, and `total_s`.
            status: status of `result.json`.
            step: number of optimizer steps.
        """
        for key, logger in self.items():
            try:
                _finish(logger, metrics, results(self._metrics), status, step)
            except Exception as error:
                self._fail(key, error, "could not be finished")

    def _call(self, key: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of a logger unless it has failed."""
        if key in self._failed:
            return None
        try:
            return function(*args, **kwargs)
        except Exception as error:
            self._fail(key, error)

    def _fail(self, key: str, error: Exception, what: str = "failed, the run continues without it") -> None:
        """Warn once of each logger, in a sweep once for all of its runs."""
        if key not in self._failed:
            reason = textwrap.shorten(without_passwords(str(error)), _REASON, placeholder=" ...")
            message = f"logger.{key} {what} ({type(error).__name__}: {reason})"
            log.warning(message)
            notify(f"logger.{key}", f"warning: {message}; where it fails in other runs, their train.log says so")
            if isinstance(self.get(key), MLflow):
                MLflow.try_once()  # or each member of a population would wait for as long
        self._failed.add(key)


def _continue(logger: WandB | MLflow, rows: Path, step: int) -> None:
    """Log the epochs up to ``step`` that the logger lacks, and have it skip those it has when they are repeated."""
    logged = logger.logged_steps()
    for row in read_rows(rows):
        if (at := int(row["step"])) <= step and at not in logged:
            logger.log_metrics({name: float(value) for name, value in row.items() if value and name != "step"}, at)

    def log_new(metrics: Mapping[str, float], step: int | None = None, of_logger: Any = logger.log_metrics) -> None:
        if "epoch_s" not in metrics or step not in logged:
            of_logger(metrics, step)

    logger.log_metrics = log_new  # type: ignore[method-assign]  # of this one


def _finish(logger: Logger, metrics: Mapping[str, Any], tags: Mapping[str, str], status: str, step: int) -> None:
    if isinstance(logger, TensorBoard):
        logger.end(metrics, status, step)
        return
    found = {tag: metrics[name] for name, tag in tags.items() if name in metrics}
    if isinstance(logger, WandB | MLflow):
        logger.end(found, status, step)
        return
    succeeded = status in SUCCESS  # Lightning's own loggers know "success" and "failed"
    try:
        if found:
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
