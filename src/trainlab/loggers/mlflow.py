"""MLflow: one MLflow run per run, which a resumed run continues."""

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import MLFlowLogger

from trainlab.loggers.hparams import SUCCESS
from trainlab.runs.files import locked, write_atomically

# mlflow takes a while to import, and is not always installed: only where something is written.
if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)
_PARAMETERS, _CHARACTERS = 100, 6000  # that MLflow takes at once, and of a value
_STATUS = dict.fromkeys(SUCCESS, "FINISHED") | {"interrupted": "KILLED"}


class MLflow(MLFlowLogger):
    """Logger that writes a run to an MLflow server, or to a SQLite file that all runs of an output folder share.

    The id of the MLflow run is kept in `mlflow_run_id` in the folder of the run, which continues it when it is resumed.

    Args:
        save_dir: folder of the run.
        store_dir: folder of `mlflow.db`, which is used without a ``tracking_uri``, and of `mlartifacts`.
        tracking_uri: of a server; None for the environment variable MLFLOW_TRACKING_URI, or ``store_dir``.
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
        uri, store = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"), Path(store_dir).absolute()
        self._id_file = Path(save_dir, "mlflow_run_id")
        self._store_lock = store / ".mlflow.lock"
        with locked(self._store_lock):  # of several processes, one makes the tables
            super().__init__(
                experiment_name,
                name,
                uri or f"sqlite:///{store}/mlflow.db",
                {"group": group or "", "tags": ", ".join(tags)},
                run_id=self._id_file.read_text().strip() if resume and self._id_file.exists() else None,
                artifact_location=None if uri else f"{store}/mlartifacts",
            )

    def start(self, config: Mapping[str, Any]) -> None:
        """Open the MLflow run and log the resolved configuration.

        MLflow keeps the parameters of a run that is continued; `config.yaml` among its artifacts is the current one.
        """
        from mlflow.entities import Param

        resumed, client = self._run_id is not None, self._mlflow_client
        with locked(self._store_lock):  # of several processes, one makes the experiment
            if client.get_experiment_by_name(self._experiment_name) is None:
                client.create_experiment(self._experiment_name, self._artifact_location)
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

    def logged_steps(self) -> set[int]:
        """Steps of the epochs that earlier processes have written to this MLflow run."""
        return {metric.step for metric in self.experiment.get_metric_history(str(self.run_id), "epoch_s")}

    def log_figure(self, name: str, figure: "Figure", step: int) -> None:
        """Write a figure as an artifact."""
        self.experiment.log_figure(str(self.run_id), figure, f"{name}.png")

    def end(self, results: Mapping[str, float], status: str, step: int) -> None:
        """Write the results and the status, and end the MLflow run."""
        self.log_metrics(results, step)
        self.experiment.set_tag(str(self.run_id), "status", status)
        self.experiment.set_terminated(str(self.run_id), _STATUS.get(status, "FAILED"))


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
