"""W&B and MLflow, without a server: what their files have, for solo runs, resumed runs and members of a population."""

import json
import signal
from pathlib import Path

import pytest
from lightning.pytorch.callbacks import Callback

from conftest import STEPS
from sweeping import sweep
from trainlab.loggers.wandb import history, records
from trainlab.runs.errors import Interrupted
from trainlab.runs.files import read_rows
from trainlab.runs.result import Result

BOTH = "logger=[tensorboard,wandb,mlflow]"
FIGURES = "callbacks.figures={_target_: trainlab.callbacks.FigureLogger, num_images: 4}"
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("drawn", "_no_server")]


@pytest.fixture
def _no_server(monkeypatch, tmp_path):
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb_home"))
    for name, value in {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "DO_NOT_TRACK": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def files_of(folder):
    return sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))


def of_kind(folder, kind):
    every = [one for path in files_of(folder) for one in records(path)]
    return [getattr(one, kind) for one in every if one.WhichOneof("record_type") == kind]


def summary_of(folder):
    """The latest values of the summary."""
    items = [item for one in of_kind(folder, "summary") for item in one.update]
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def mlflow_run(folder, outputs):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{outputs}/mlflow.db")
    return client, client.get_run((folder / "mlflow_run_id").read_text())


def check_epochs(folder, outputs):
    """Every epoch of `metrics.csv` is there once, with its value, in order."""
    expected = [(int(row["step"]), float(row["val/loss"])) for row in read_rows(folder / "metrics.csv")]
    rows = [row for path in files_of(folder) for row in history(path) if "epoch_s" in row]
    assert [(row["_step"], row["val/loss"]) for row in rows] == expected
    client, run = mlflow_run(folder, outputs)
    found = client.get_metric_history(run.info.run_id, "val/loss")
    assert [(metric.step, metric.value) for metric in found] == expected


def test_a_run_is_whole_in_both(train, tmp_path):
    result, folder = train(BOTH, FIGURES, "tags=[a,b]", "seed=3", name="study/first")
    check_epochs(folder, tmp_path)
    (run,) = [of_kind(folder, "run")[0]]
    assert (run.display_name, run.run_group, [*run.tags], run.project) == (
        "study/first",
        "study",
        ["a", "b"],
        "trainlab",
    )
    config = {item.key: item.value_json for one in of_kind(folder, "config") for item in one.update}
    assert (config["seed"], '"width":16' in config["model"]) == ("3", True)
    summary = summary_of(folder)
    assert (summary["status"], summary["test/acc"]) == ("completed", result.metrics["test_acc"])
    rows = read_rows(folder / "metrics.csv")
    for name, how, best in (("val/loss", "min", min), ("val/acc", "max", max)):
        values = [float(row[name]) for row in rows]
        assert summary[name] == {how: best(values), "last": values[-1]}
    axes = {one.name: one.step_metric for one in of_kind(folder, "metric")}
    assert {axes[name] for name in ("train/loss", "val/acc", "lr", "epoch_s")} == {"epoch"}
    assert of_kind(folder, "exit")[0].exit_code == 0
    images = {path.name.partition("_")[0] for path in folder.glob("wandb/*/files/media/images/view/*.png")}
    assert images == {"training images", "test images", "confusion matrix"}

    client, run = mlflow_run(folder, tmp_path)
    assert (run.info.run_name, run.info.status) == ("study/first", "FINISHED")
    assert [run.data.tags[key] for key in ("group", "tags", "status")] == ["study", "a, b", "completed"]
    assert (run.data.params["seed"], run.data.params["model.width"]) == ("3", "16")
    assert run.data.metrics["test/acc"] == result.metrics["test_acc"]
    assert {Path(item.path).stem for item in client.list_artifacts(run.info.run_id, "view")} == images
    known = {"study", "mlflow.db", "mlartifacts", "wandb_home"}
    assert {path.name for path in tmp_path.iterdir()} == known  # nothing lies elsewhere


class InThirdEpoch(Callback):
    """Calls a function inside the third epoch."""

    def __init__(self, function):
        self.function = function

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 2 * STEPS + 3:
            self.function()


def stop_at_once():
    signal.raise_signal(signal.SIGTERM)


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


def crash():
    raise RuntimeError("power cut")


@pytest.mark.parametrize(
    ("function", "raised", "status", "of_mlflow"),
    [(crash, RuntimeError, "failed", "FAILED"), (press_ctrl_c, Interrupted, "interrupted", "KILLED")],
    ids=["crash", "Ctrl-C"],
)
def test_a_run_that_does_not_complete_has_all_it_reached_in_both(train, tmp_path, function, raised, status, of_mlflow):
    with pytest.raises(raised):
        train(BOTH, "trainer.max_epochs=4", "tags=[a]", name="study/first", callbacks=(InThirdEpoch(function),))
    folder = tmp_path / "study" / "first"
    check_epochs(folder, tmp_path)
    run, summary = of_kind(folder, "run")[0], summary_of(folder)
    assert (run.display_name, run.run_group, [*run.tags]) == ("study/first", "study", ["a"])
    assert {item.key for one in of_kind(folder, "config") for item in one.update} >= {"seed", "model", "optim"}
    best = Result.read(folder).metrics["val_loss"]
    assert (summary["status"], summary["val/best_loss"]) == (status, best)
    assert of_kind(folder, "exit")[0].exit_code == 1
    _, run = mlflow_run(folder, tmp_path)
    assert (run.info.status, run.data.tags["status"]) == (of_mlflow, status)
    assert run.data.metrics["val/best_loss"] == best


def test_a_resumed_run_continues_its_runs_with_every_epoch_once(train, tmp_path):
    with pytest.raises(Interrupted):
        train(BOTH, "trainer.max_epochs=4", callbacks=(InThirdEpoch(stop_at_once),))
    folder = tmp_path / "run"
    _, run = mlflow_run(folder, tmp_path)
    assert (run.info.status, run.data.tags["status"]) == ("KILLED", "interrupted")
    assert of_kind(folder, "exit")[0].exit_code == 1
    # As if the process had been killed before W&B wrote, and had logged an epoch that will be repeated.
    path = files_of(folder)[0]
    path.write_bytes(path.read_bytes()[:7])
    client, run = mlflow_run(folder, tmp_path)
    client.log_metric(run.info.run_id, "epoch_s", 1.0, step=3 * STEPS)
    result, _ = train(BOTH, "trainer.max_epochs=4")
    assert result.status == "completed"
    first, second = files_of(folder)
    assert first.name == second.name  # of one W&B run
    rows = [row["_step"] for row in history(second) if "epoch_s" in row]
    assert rows == [STEPS * epoch for epoch in (1, 2, 3, 4)]
    client, run = mlflow_run(folder, tmp_path)
    assert run.info.status == "FINISHED"
    steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "val/loss")]
    assert steps == [STEPS * epoch for epoch in (1, 2, 4)]  # the third is there already


def test_members_of_a_population_and_a_sweep_are_one_run_each(tmp_path):
    settings = [BOTH, "seed=1,2,3", f"output_dir={tmp_path}", "name=sweep"]
    done = sweep(*settings)
    assert done.returncode == 0, done.stderr
    assert "in 1 population" in done.stdout
    folders = [path.parent for path in tmp_path.glob("sweep/*/result.json")]
    assert len(folders) == 3
    for folder in folders:
        assert Result.read(folder).status == "completed"
        check_epochs(folder, tmp_path)
        assert {run.run_group for run in of_kind(folder, "run")} == {"sweep"}
        _, run = mlflow_run(folder, tmp_path)
        assert (run.info.status, run.data.tags["group"]) == ("FINISHED", "sweep")
