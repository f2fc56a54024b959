"""Loggers of others get name, settings, metrics and results, and are finished whatever the end of the run is."""

import signal

import pytest
import yaml
from lightning.pytorch.callbacks import Callback

from conftest import STEPS, first
from recording import LOGGER, recorded
from sweeping import sweep
from trainlab.run import Interrupted
from trainlab.runs.errors import Diverged
from trainlab.runs.files import read_rows
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


def test_a_logger_that_cannot_start_is_named(train):
    with pytest.raises(ValueError, match=r"^logger\.broken cannot start \(RuntimeError: no hyperparams today\); set "):
        train("+logger.broken={_target_: recording.Recorder, path: '${run_dir}/x', fails: hyperparams}")


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
