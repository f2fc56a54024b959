"""Loggers of others get name, settings, metrics and results, and are finished whatever the end of the run is."""

import signal
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.callbacks import Callback
from lightning_utilities.core.imports import RequirementCache

from conftest import STEPS, cases, first
from recording import LOGGER, recorded
from sweeping import sweep
from trainlab.config.build import build
from trainlab.config.overrides import folder_name
from trainlab.run import Interrupted
from trainlab.runs.errors import Diverged
from trainlab.runs.files import read_rows
from trainlab.runs.fingerprint import fingerprint
from trainlab.runs.result import Result

OF_LIGHTNING = (
    "+logger.lightning_csv={_target_: lightning.pytorch.loggers.CSVLogger, save_dir: '${output_dir}/logs'}",
    "+logger.lightning_tb={_target_: lightning.pytorch.loggers.TensorBoardLogger, save_dir: '${output_dir}/logs', "
    "version: tb}",
)
RESULTS = {"val_loss": "val/best_loss", "val_acc": "val/best_acc", "test_loss": "test/loss", "test_acc": "test/acc"}


class In(Callback):
    """Calls a function in the second epoch."""

    def __init__(self, function):
        self.function = function

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == STEPS + 3:
            self.function()


def fail():
    raise RuntimeError("power cut")


def diverge():
    raise Diverged("the loss is not finite")


def press(number, times):
    def function():
        for _ in range(times):
            signal.raise_signal(number)

    return function


def test_a_run_logs_its_name_settings_metrics_and_results_and_then_ends(train, tmp_path):
    result, folder = train(LOGGER, name="study/first")
    (start, (name, settings)), *metrics, end = recorded(folder / "recorded")
    assert (start, name) == ("hyperparams", "study/first")
    assert settings == yaml.safe_load((folder / "config.yaml").read_text())
    assert end == ["finalize", "success"]
    *epochs, (_, results) = metrics
    rows = read_rows(folder / "metrics.csv")
    assert [row["val/loss"] for _, row in epochs] == [float(row["val/loss"]) for row in rows]
    expected = {tag: result.metrics[key] for key, tag in RESULTS.items()}
    assert results == expected | {"val/best_epoch": result.metrics["best_epoch"], "step": 2 * STEPS}


@pytest.mark.parametrize(
    ("function", "raised", "status"),
    first(
        2,
        [
            (fail, RuntimeError, "failed"),
            (diverge, Diverged, "diverged"),
            (press(signal.SIGINT, 1), Interrupted, "interrupted"),
            (press(signal.SIGINT, 2), Interrupted, "interrupted"),
            (press(signal.SIGTERM, 1), Interrupted, "interrupted"),
        ],
    ),
    ids=["failed", "diverged", "Ctrl-C", "Ctrl-C twice", "SIGTERM"],
)
def test_a_run_that_does_not_complete_finishes_its_loggers_once(train, tmp_path, function, raised, status):
    with pytest.raises(raised):
        train(LOGGER, "trainer.max_epochs=3", callbacks=(In(function),))
    result = Result.read(tmp_path / "run")
    assert result.status == status
    calls = recorded(tmp_path / "run" / "recorded")
    assert calls[-1] == ["finalize", "failed"]
    assert [call for call, _ in calls].count("finalize") == 1
    assert calls[-2][1]["val/best_loss"] == result.metrics["val_loss"]


def test_a_logger_that_fails_at_the_end_does_not_lose_the_result(train, caplog):
    broken = "{_target_: recording.Recorder, path: '${run_dir}/broken', fails: finalize}"
    result, folder = train(f"+logger.broken={broken}", LOGGER)
    assert (result.status, Result.read(folder)) == ("completed", result)
    assert "logger.broken could not be finished (RuntimeError: no finalize today)" in caplog.text
    assert recorded(folder / "recorded")[-1] == ["finalize", "success"]


NO_SPACE = "OSError: [Errno 28] No space left on device"
FAILURES = {"init": "ValueError: no init today (in logger.broken)", "hyperparams": "RuntimeError: no hyperparams today"}
FAILURES |= {"metrics": "RuntimeError: no metrics today", "disk": NO_SPACE}


@pytest.mark.parametrize("fails", cases(FAILURES, "metrics", "disk"))
def test_a_run_continues_without_a_logger_that_fails_and_says_so_once(train, caplog, fails):
    path = "/dev/full" if fails == "disk" else "${run_dir}/broken"
    broken = f"+logger.broken={{_target_: recording.Recorder, path: '{path}', fails: {fails}}}"
    result, folder = train(broken, LOGGER)
    assert (result.status, len(read_rows(folder / "metrics.csv"))) == ("completed", 2)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [f"logger.broken failed, the run continues without it ({FAILURES[fails]})"]
    calls = [call for call, _ in recorded(folder / "recorded")]
    assert calls == ["hyperparams", "metrics", "metrics", "metrics", "finalize"]


def test_a_run_without_space_for_metrics_csv_fails(train, monkeypatch):
    monkeypatch.setattr("trainlab.loggers.MetricsCSV.log_metrics", lambda *_, **__: Path("/dev/full").write_text("row"))
    with pytest.raises(OSError, match="No space left on device"):
        train()


def test_what_a_logger_lacks_is_an_error_before_any_work(compose_config, monkeypatch):
    with pytest.raises(ValueError, match=r"^Recorder: missing a required argument: 'path'; set it under logger\.mine$"):
        build(compose_config("+logger.mine={_target_: recording.Recorder}"))
    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", RequirementCache("absent_package"))
    of_lightning = compose_config("+logger.mine={_target_: lightning.pytorch.loggers.WandbLogger}")
    with pytest.raises(ValueError, match=r"^logger\.mine: .* `pip install -U 'absent_package'`$"):
        build(of_lightning)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("wandb", "mlflow"):
        message = rf"^logger\.{name} needs the package {name}; pip install 'trainlab\[{name}\]'$"
        with pytest.raises(ValueError, match=message):
            build(compose_config(f"logger=[tensorboard,{name}]"))


def test_loggers_are_no_part_of_what_a_run_is(compose_config):
    options = ["logger=[tensorboard,csv,wandb]", "logger=[mlflow,tensorboard]", "logger.csv=null", "logger=default"]
    configs = [compose_config(option) for option in options]
    names = [["csv", "tensorboard", "wandb"], ["csv", "mlflow", "tensorboard"], ["csv", "tensorboard"]]
    assert [sorted(config.settings["logger"]) for config in configs[:3]] == names  # each option has metrics.csv
    assert len({fingerprint(config.settings) for config in configs}) == 1
    assert {folder_name([option, "seed=1"]) for option in options} == {"seed=1"}


def test_a_name_that_is_given_is_kept(train):
    _, folder = train(LOGGER + "", "+logger.recorder.run_name=mine", "trainer.max_epochs=1")
    assert recorded(folder / "recorded")[0][1][0] == "mine"


@pytest.mark.slow
def test_jobs_of_a_sweep_end_their_loggers_and_run_what_is_left_for_the_exit_of_a_process(tmp_path):
    fault = "+callbacks.fault={_target_: faults.Fault}"
    jobs = [fault, "+callbacks.fault.what=nothing,raise", LOGGER, *OF_LIGHTNING, f"output_dir={tmp_path}", "name=sweep"]
    done = sweep(*jobs)
    assert done.returncode == 1, done.stderr
    ends = {}
    for path in tmp_path.glob("sweep/*/recorded"):
        folder, calls = path.parent, recorded(path)
        assert calls[0][1][0] == f"sweep/{folder.name}"
        ends[Result.read(folder).status] = [content for call, content in calls if call in ("finalize", "exit")]
        logs = tmp_path / "logs" / "sweep" / folder.name
        assert (logs / "version_0" / "metrics.csv").exists()
        assert "label_smoothing" in (logs / "version_0" / "hparams.yaml").read_text()
        assert [*logs.glob("tb/events.out.tfevents.*")]
    assert ends == {"completed": ["success", None], "failed": ["failed", None]}


REFUSING = "logger.mlflow.tracking_uri=http://me:hunter2@127.0.0.1:9"
BROKEN = "+logger.broken={_target_: recording.Recorder, path: '${run_dir}/broken', fails: metrics}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "name"),
    [([BROKEN], "logger.broken"), (["logger=[tensorboard,mlflow]", REFUSING], "logger.mlflow")],
    ids=["solo runs", "a population"],
)
def test_a_sweep_reports_a_logger_that_fails_once(tmp_path, settings, name):
    retries = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "DO_NOT_TRACK": "true"}
    done = sweep(*settings, "seed=1,2,3", f"output_dir={tmp_path}", "name=sweep", **retries)
    assert done.returncode == 0, done.stderr
    assert ("in 1 population" in done.stdout) == (name == "logger.mlflow")
    [line] = [line for line in (done.stdout + done.stderr).splitlines() if f"{name} failed" in line]
    assert line.startswith(f"warning: {name} failed, the run continues without it (")
    assert line.endswith("); where it fails in other runs, their train.log says so")
    logs = [path.read_text() for path in tmp_path.glob("sweep/*/train.log")]
    assert [text.count(f"{name} failed") for text in logs] == [1, 1, 1]
    assert "hunter2" not in done.stdout + done.stderr + "".join(logs)
