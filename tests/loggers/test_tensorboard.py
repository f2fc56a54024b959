"""What a run writes for TensorBoard, read from its event files."""

import os
import signal
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.callbacks import Callback
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, metadata

from conftest import STEPS
from event_files import BOARD, event_files, points, values
from trainlab.loggers.hparams import experiment as columns
from trainlab.loggers.hyperparameters import SWEPT_VARIABLE, pass_swept, swept
from trainlab.loggers.tensorboard import FINAL, TensorBoard, charts, results
from trainlab.run import Interrupted
from trainlab.runs.errors import Diverged
from trainlab.runs.files import read_rows
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import DEFAULT, TaskMetrics

METRICS = ["val_acc", "test_acc", "epochs", "total_s"]
CURVES = ("train/loss", "train/acc", "val/loss", "val/acc", "while training/lr", "while training/momentum")
COLUMNS = {"while training/lr": "lr", "while training/momentum": "momentum"}  # of metrics.csv


class At(Callback):
    """Calls a function in the middle of an epoch."""

    def __init__(self, epoch, function):
        self.epoch, self.function = epoch, function

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == 5:
            self.function()


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def power_cut():
    raise RuntimeError("power cut")


def described(folder: Path) -> tuple[api_pb2.Experiment, dict[str, object], int | None]:
    """Columns, hyperparameters and status of a run. What describes it is there once."""
    found = values(folder)
    contents = {}
    for tag in (metadata.EXPERIMENT_TAG, metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG):
        assert len(found.get(tag, [])) <= 1, tag
        for _, value in found.get(tag, []):
            contents[tag] = value.metadata.plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(contents[metadata.EXPERIMENT_TAG])
    start = metadata.parse_session_start_info_plugin_data(contents[metadata.SESSION_START_INFO_TAG])
    status = None
    if metadata.SESSION_END_INFO_TAG in contents:
        status = metadata.parse_session_end_info_plugin_data(contents[metadata.SESSION_END_INFO_TAG]).status
    settings = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    return experiment, settings, status


def assert_result_is_shown(result, folder):
    """A point for each metric in HPARAMS, and none for those that the run has not; all figures as text."""
    figures = result.metrics | {"total_s": result.time["total_s"], "best_epoch": result.metrics["best_epoch"] + 1}
    [(_, text)] = values(folder)["result/text_summary"]
    lines = text.tensor.string_val[0].decode().splitlines()
    names = dict.fromkeys([*results(DEFAULT), *METRICS])
    assert lines[2:] == [f"{name} | {figures[name]:.6g}" for name in names if name in figures]
    for name in METRICS:
        shown = [value for _, value in points(folder, f"{FINAL}/{name}")]
        expected = [figures[name]] if name in figures else []
        assert shown == pytest.approx(expected, rel=1e-6), name  # float32


def assert_curves_are_those_of_metrics_csv(folder):
    rows = read_rows(folder / "metrics.csv")
    for tag in CURVES:
        expected = [(int(row["step"]), float(row[COLUMNS.get(tag, tag)])) for row in rows]
        assert [step for step, _ in points(folder, tag)] == [step for step, _ in expected], tag
        assert [v for _, v in points(folder, tag)] == pytest.approx([v for _, v in expected], rel=1e-6), tag


def test_one_file_with_curves_hyperparameters_and_result(train):
    result, folder = train(BOARD, "optim=sgd", "optim.lr=0.05", "seed=3")
    assert len(event_files(folder)) == 1
    assert not list(folder.glob("hparams*"))
    assert_curves_are_those_of_metrics_csv(folder)
    assert_result_is_shown(result, folder)
    experiment, settings, status = described(folder)
    assert {info.name for info in experiment.hparam_infos} == set(settings)
    assert [(info.display_name, info.name.tag) for info in experiment.metric_infos] == [
        (m, f"{FINAL}/{m}") for m in METRICS
    ]
    expected = {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "seed": 3.0, "layers": "3 x 16", "batch_norm": False}
    assert {name: settings[name] for name in expected} == expected
    assert status == api_pb2.STATUS_SUCCESS


def test_columns_and_charts_are_those_of_the_metrics_of_the_task():
    mae = Metric("min", "validation mean absolute error", "val_mae", ".4g")
    metrics = TaskMetrics.of(mae, mae)
    expected = {"val_mae": "val/best_mae", "test_mae": "test/mae", "best_epoch": "val/best_epoch"}
    assert results(metrics) == expected
    assert charts(metrics) == {
        "validation": {"mean absolute error": ["Multiline", ["val/mae$"]]},
        "training and validation": {
            "mean absolute error": ["Multiline", ["train/mae$", "val/mae$"]],
        },
        "learning rate": {"learning rate": ["Multiline", ["while training/lr$"]]},
    }


def test_charts_texts_and_the_order_of_sections(train):
    result, folder = train(BOARD, "tags=[first,second]", "trainer.max_epochs=1")
    found = values(folder)
    [(_, layout)] = found["custom_scalars__config__"]
    content = layout_pb2.Layout.FromString(layout.tensor.string_val[0])
    charts = {
        (category.title, chart.title): [*chart.multiline.tag]
        for category in content.category
        for chart in category.chart
    }
    assert charts["validation", "loss"] == ["val/loss$"]
    assert charts["training and validation", "accuracy"] == ["train/acc$", "val/acc$"]
    texts = {name: found[f"{name}/text_summary"][0][1].tensor.string_val[0].decode() for name in ("settings", "result")}
    code = [line.removeprefix("    ") for line in texts["settings"].splitlines()]
    assert yaml.safe_load("\n".join(code)) == yaml.safe_load((folder / "config.yaml").read_text())
    assert texts["result"].splitlines()[2:4] == [
        f"{key} | {result.metrics[key]:.6g}" for key in ("val_acc", "val_loss")
    ]
    assert found["tags/text_summary"][0][1].tensor.string_val == [b"first, second"]
    sections = sorted({tag.split("/")[0] for tag, points in found.items() if points[0][1].HasField("simple_value")})
    assert sections == ["train", "val", "while training", FINAL]  # as TensorBoard sorts them


def test_columns_have_the_values_of_the_sweep_to_filter_by(monkeypatch):
    monkeypatch.setenv(SWEPT_VARIABLE, "{}")
    solo = {"model": "bn", "optimizer": "adam", "data": "shapes", "lr": 0.1, "seed": 1.0, "batch_norm": True}
    jobs = [solo | {"seed": float(seed), "lr": lr} for seed in range(1, 4) for lr in (10.0**-k for k in range(10))]
    jobs.append(solo | {"model": "selu", "batch_norm": False})
    typed = [[f"model={job['model']}", f"optim.lr={job['lr']}", f"seed={job['seed']}"] for job in jobs]
    pass_swept([*zip(jobs, typed, strict=True)])
    found = {
        one.name: one
        for one in metadata.parse_experiment_plugin_data(
            columns(solo, swept(), {}).value[0].metadata.plugin_data.content
        ).hparam_infos
    }
    assert [*found["model"].domain_discrete] == ["bn", "selu"]
    assert [*found["seed"].domain_discrete] == [1, 2, 3]
    assert (found["seed"].type, found["lr"].type) == (api_pb2.DATA_TYPE_FLOAT64, api_pb2.DATA_TYPE_FLOAT64)
    assert (found["lr"].domain_interval.min_value, found["lr"].domain_interval.max_value) == (1e-9, 1)  # ten values
    assert [*found["batch_norm"].domain_discrete] == [False, True]
    assert [*found["optimizer"].domain_discrete] == ["adam"]
    assert {name for name, one in found.items() if one.differs} == {"model", "lr", "seed", "optimizer", "data"}


@pytest.mark.parametrize(
    ("stop", "error"), [(ctrl_c, Interrupted), pytest.param(power_cut, RuntimeError, marks=pytest.mark.slow)]
)
def test_a_resumed_run_shows_every_point_once_and_its_own_result(train, stop, error):
    few = ("trainer.max_epochs=4", BOARD)
    with pytest.raises(error):
        train(*few, callbacks=(At(2, stop),))
    result, folder = train(*few)
    assert len(event_files(folder)) == 2
    assert [step for step, _ in points(folder, "train/loss")] == [STEPS * (i + 1) for i in range(4)]
    assert_curves_are_those_of_metrics_csv(folder)
    assert_result_is_shown(result, folder)
    assert described(folder)[2] == api_pb2.STATUS_SUCCESS


@pytest.mark.slow
def test_a_run_that_was_interrupted_shows_what_it_had(train, tmp_path):
    with pytest.raises(Interrupted):
        train(BOARD, callbacks=(At(1, ctrl_c),))
    folder = tmp_path / "run"
    assert_curves_are_those_of_metrics_csv(folder)
    assert len(points(folder, f"{FINAL}/val_acc")) == 1
    assert points(folder, f"{FINAL}/test_acc") == []
    assert described(folder)[2] == api_pb2.STATUS_UNKNOWN


@pytest.mark.slow
def test_a_restarted_run_removes_events_of_the_failed_one(train):
    with pytest.raises(RuntimeError, match="power cut"):
        train(BOARD, callbacks=(At(0, power_cut),))
    result, folder = train(BOARD)
    assert len(event_files(folder)) == 1
    assert_result_is_shown(result, folder)
    assert described(folder)[2] == api_pb2.STATUS_SUCCESS


def test_a_diverged_run_has_its_hyperparameters_and_no_figures(train, tmp_path):
    with pytest.raises(Diverged):
        train(BOARD, "optim=sgd", "optim.lr=1e30")
    _, settings, status = described(tmp_path / "run")
    assert (settings["lr"], status) == (1e30, api_pb2.STATUS_FAILURE)
    assert not any(points(tmp_path / "run", f"{FINAL}/{name}") for name in ("val_acc", "test_acc"))


@pytest.mark.slow
def test_new_settings_take_the_place_of_the_old(train):
    train(BOARD)
    result, folder = train(BOARD, "task.label_smoothing=0.25", "ckpt_path=last", "trainer.max_epochs=3")
    assert described(folder)[1]["label_smoothing"] == 0.25
    assert_curves_are_those_of_metrics_csv(folder)
    assert_result_is_shown(result, folder)


def test_a_file_cut_off_in_the_middle_of_a_point_is_mended(tmp_path):
    """As `kill -9` or a full disk leaves it."""
    first = TensorBoard(str(tmp_path))
    for step in (10, 20, 30):
        first.log_metrics({"train/loss": step / 10}, step)
    first.experiment.close()
    [path] = event_files(tmp_path)
    os.truncate(path, path.stat().st_size - 5)
    second = TensorBoard(str(tmp_path))
    second.start({"model": "mlp", "lr": 0.1, "batch_norm": True}, DEFAULT, step=20)
    second.log_metrics({"train/loss": 3.5}, 30)
    second.end({}, "completed", 30)
    assert points(tmp_path, "train/loss") == [(10, 1.0), (20, 2.0), (30, 3.5)]


def test_points_are_on_disk_after_every_epoch(tmp_path):
    board = TensorBoard(str(tmp_path))
    board.log_metrics({"train/loss": 1.0, "lr": 0.5}, 10)
    assert (points(tmp_path, "train/loss"), points(tmp_path, "while training/lr")) == ([(10, 1.0)], [(10, 0.5)])


def test_nothing_is_written_before_there_is_something_to_write(tmp_path):
    TensorBoard(str(tmp_path / "run"))
    assert not any(tmp_path.iterdir())
