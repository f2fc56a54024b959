"""MLflow: one MLflow run per run, which a resumed run continues."""

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import MLFlowLogger

from trainlab.loggers.hparams import SUCCESS
from trainlab.passwords import has_masked_password
from trainlab.runs.files import locked, write_atomically
from trainlab.tasks.reported import TaskMetrics

# mlflow takes a while to import, and is not always installed: only where something is written.
if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)
_PARAMETERS, _CHARACTERS = 100, 6000  # that MLflow takes at once, and of a value
_STATUS = dict.fromkeys(SUCCESS, "FINISHED") | {"interrupted": "KILLED"}


class MLflow(MLFlowLogger):
    """Logger that writes a run to an MLflow server, or to a SQLite file that all runs of an output folder share.

    The id of the MLflow run is kept in `mlflow_run_id` in the folder of the run, which continues it when it is resumed.

    Args:
        save_dir: folder of the run.
        store_dir: folder of `mlflow.db`, which is used without a ``tracking_uri``, and of `mlartifacts`.
        tracking_uri: of a server or database; None, or one whose password was left out, for the environment variable
            MLFLOW_TRACKING_URI, or ``store_dir``.
        experiment_name: of MLflow's experiment.
        name: of the run.
        group: name of its sweep.
        tags: of the run.
        resume: whether the run is resumed.
    """

    packages = ("mlflow", "sqlalchemy", "alembic")

    def __init__(
        self,
        save_dir: str,
        store_dir: str,
        tracking_uri: str | None = None,
        experiment_name: str = "trainlab",
        *,
        name: str,
        group: str | None,
        tags: Sequence[str],
        resume: bool,
    ) -> None:
        import mlflow  # noqa: F401  # which sets the level of its log

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # of a new store, each step would be in the run's output
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # each new attempt to reach a server
        given = None if has_masked_password(tracking_uri) else tracking_uri
        elsewhere, store = given or os.environ.get("MLFLOW_TRACKING_URI"), Path(store_dir).absolute()
        uri = elsewhere or f"sqlite:///{store}/mlflow.db"
        self._id_file = Path(save_dir, "mlflow_run_id")
        with _tables_lock(uri):
            super().__init__(
                experiment_name,
                name,
                uri,
                {"group": group or "", "tags": ", ".join(tags)},
                run_id=self._id_file.read_text().strip() if resume and self._id_file.exists() else None,
                artifact_location=None if elsewhere else f"{store}/mlartifacts",
            )

    def start(self, config: Mapping[str, Any], _: TaskMetrics) -> None:
        """Open the MLflow run and log the resolved configuration.

        MLflow keeps the parameters of a run that is continued; `config.yaml` among its artifacts is the current one.
        """
        from mlflow.entities import Param

        resumed, client = self._run_id is not None, self._mlflow_client
        self._make_experiment()
        run_id = str(self.run_id)
        if resumed:
            client.update_run(run_id, "RUNNING")
        write_atomically(self._id_file, run_id.encode())
        known = client.get_run(run_id).data.params
        parameters = [Param(key, value) for key, value in _flat(config).items() if key not in known]
        for i in range(0, len(parameters), _PARAMETERS):
            client.log_batch(run_id, params=parameters[i : i + _PARAMETERS])
        client.log_dict(run_id, dict(config), "config.yaml")
        log.info("MLflow run %s: %s", run_id, self._tracking_uri)

    def _make_experiment(self) -> None:
        """Make the experiment, unless another process has done so; Lightning would warn."""
        from mlflow.exceptions import MlflowException

        client, name = self._mlflow_client, self._experiment_name
        if client.get_experiment_by_name(name) is None:
            try:
                client.create_experiment(name, self._artifact_location)
            except MlflowException:
                if client.get_experiment_by_name(name) is None:
                    raise

    @staticmethod
    def try_once() -> None:
        """Have this process try each request once: a server has not answered for minutes."""
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"

    def logged_steps(self) -> set[int]:
        """Steps of the epochs that earlier processes have written to this MLflow run."""
        return {metric.step for metric in self.experiment.get_metric_history(str(self.run_id), "epoch_s")}

    def log_figure(self, name: str, figure: "Image", step: int) -> None:
        """Write a figure as an artifact."""
        self.experiment.log_image(str(self.run_id), figure, f"{name}.png")

    def end(self, results: Mapping[str, float], status: str, step: int) -> None:
        """Write the results and the status, and end the MLflow run."""
        self.log_metrics(results, step)
        self.experiment.set_tag(str(self.run_id), "status", status)
        self.experiment.set_terminated(str(self.run_id), _STATUS.get(status, "FAILED"))


def _tables_lock(uri: str) -> AbstractContextManager[None]:
    """Of several processes, one makes the tables of a SQLite file. What another server or database does is its own."""
    is_file = uri.startswith("sqlite:///")
    return locked(Path(uri.removeprefix("sqlite:///") + ".lock"), is_removed=True) if is_file else nullcontext()


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings by dotted key, as text. MLflow has no other characters in names."""
    found: dict[str, str] = {}
    for key, value in config.items():
        name = re.sub(r"[^\w/. -]", "_", f"{prefix}{key}")
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{name}.")
        else:
            found[name] = (value if isinstance(value, str) else json.dumps(value, default=str))[:_CHARACTERS]
    return found
