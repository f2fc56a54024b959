"""MLflow with a tracking server: what arrives there, and what happens when it goes away."""

import pytest
from lightning.pytorch.callbacks import Callback

from conftest import STEPS
from mlflow_server import serve
from trainlab.runs.errors import Diverged
from trainlab.runs.files import read_rows

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("drawn")]
FIGURES = "callbacks.figures={_target_: trainlab.callbacks.FigureLogger, num_images: 4}"
PASSWORD = "hunter2"


@pytest.fixture
def server(monkeypatch):
    for name, value in {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "DO_NOT_TRACK": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it for other processes
    with serve() as (server, address):
        server.url = f"http://me:{PASSWORD}@{address}"
        yield server


def epochs_of(folder, name):
    return [(int(row["step"]), float(row[name])) for row in read_rows(folder / "metrics.csv")]


def test_a_run_is_whole_on_the_server_and_leaves_no_password(train, server, tmp_path, caplog):
    uri = f"logger.mlflow.tracking_uri={server.url}"
    caplog.set_level("INFO")
    result, folder = train("logger=[tensorboard,mlflow]", uri, FIGURES, "tags=[a,b]", "seed=3", name="study/first")
    assert {*server.users} == {f"me:{PASSWORD}"}
    [run] = server.runs.values()
    assert run["info"]["status"] == "FINISHED"
    assert {key: run["tags"][key] for key in ("mlflow.runName", "group", "tags", "status")} == {
        "mlflow.runName": "study/first",
        "group": "study",
        "tags": "a, b",
        "status": "completed",
    }
    assert (run["params"]["seed"], run["params"]["model.width"]) == ("3", "16")
    for name in ("train/loss", "val/loss", "val/acc", "lr"):
        assert run["metrics"][name] == epochs_of(folder, name)
    assert run["metrics"]["test/acc"] == [(2 * STEPS, result.metrics["test_acc"])]
    pictures = {"view/training images.png", "view/test images.png", "view/confusion matrix.png"}
    assert {name.replace("%20", " ") for name in run["artifacts"]} == {"config.yaml", *pictures}
    assert f"tracking_uri: {server.url.replace(PASSWORD, '***')}" in run["artifacts"]["config.yaml"].decode()
    assert run["params"]["logger.mlflow.tracking_uri"] == server.url.replace(PASSWORD, "***")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not [path.name for path in files if PASSWORD.encode() in path.read_bytes()]
    assert not [path.name for path in files if "mlflow" in path.name and path.name != "mlflow_run_id"]  # no lock


class Do(Callback):
    """Calls a function in the second epoch."""

    def __init__(self, function):
        self.function = function

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == STEPS + 3:
            self.function()


def test_a_server_that_goes_away_is_reported_once_and_the_training_continues(train, server, caplog):
    uri = f"logger.mlflow.tracking_uri={server.url}"
    result, folder = train("logger=[tensorboard,mlflow]", uri, "trainer.max_epochs=3", callbacks=(Do(server.stop),))
    assert (result.status, len(read_rows(folder / "metrics.csv"))) == ("completed", 3)
    [run] = server.runs.values()
    assert run["metrics"]["val/loss"] == epochs_of(folder, "val/loss")[:1]
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("logger.mlflow failed, the run continues without it (MlflowException: ")
    assert PASSWORD not in warning


def test_a_run_that_diverges_has_failed_on_the_server(train, server, monkeypatch):
    def diverge():
        raise Diverged("the loss is not finite")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    with pytest.raises(Diverged):
        train("logger=[tensorboard,mlflow]", callbacks=(Do(diverge),))
    [run] = server.runs.values()
    assert (run["info"]["status"], run["tags"]["status"]) == ("FAILED", "diverged")
    assert [step for step, _ in run["metrics"]["val/loss"]] == [STEPS]
