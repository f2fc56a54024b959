"""The direction of a metric belongs to the metric, wherever it is watched."""

import pytest

from trainlab.config.build import build
from trainlab.runs.files import read_rows
from trainlab.runs.fingerprint import fingerprint
from trainlab.tasks.metrics import mode_of

MONITORS = [f"callbacks.{name}.monitor=val/acc" for name in ("checkpoint", "early_stopping")]


def test_the_mode_follows_from_the_metric():
    assert [mode_of("val/loss", None, ""), mode_of("val/acc", None, "")] == ["min", "max"]
    assert mode_of("val/loss", "min", "") == "min"
    assert mode_of("my/metric", "max", "") == "max"


@pytest.mark.parametrize(
    ("monitor", "mode", "rule"),
    [
        ("val/acc", "min", "mode must be max for monitor=val/acc, got 'min'; set a.mode=null or another a.monitor"),
        ("my/metric", None, "mode must be given for monitor='my/metric', min or max, got null; set a.mode"),
        ("val/loss", "lowest", "mode must be min, max or null, got 'lowest'; set a.mode"),
    ],
)
def test_a_mode_that_contradicts_or_is_missing_is_an_error(monitor, mode, rule):
    with pytest.raises(ValueError, match=rule):
        mode_of(monitor, mode, "a")


def test_the_epoch_with_the_highest_accuracy_is_kept_and_reported(train):
    result, folder = train(*MONITORS, "optim.lr=5e-3", "trainer.max_epochs=4")
    accuracies = [float(row["val/acc"]) for row in read_rows(folder / "metrics.csv")]
    assert len(set(accuracies)) > 1
    assert result.metrics["best_epoch"] == accuracies.index(max(accuracies))
    assert result.metrics["val_acc"] == max(accuracies)


def test_a_mode_that_follows_and_the_same_one_given_are_one_run(compose_config):
    given = [setting.replace("monitor=val/acc", "mode=max") for setting in MONITORS if "checkpoint" not in setting]
    plain, explicit, other = (
        fingerprint(compose_config(*overrides).settings) for overrides in (MONITORS, [*MONITORS, *given], [])
    )
    assert plain == explicit != other


@pytest.mark.parametrize("kind", ["EarlyStopping", "ModelCheckpoint"])
def test_callbacks_of_others_watch_a_metric_in_its_direction(kind, compose_config):
    other = f"+callbacks.other={{_target_: lightning.pytorch.callbacks.{kind}, monitor: "
    callbacks = build(compose_config(f"{other}val/acc}}")).callbacks
    assert next(callback for callback in callbacks if type(callback).__module__.startswith("lightning")).mode == "max"
    with pytest.raises(ValueError, match=r"mode must be max for .*, got 'min'; set callbacks\.other\.mode"):
        build(compose_config(f"{other}val/acc, mode: min}}"))
    with pytest.raises(ValueError, match="mode must be given for monitor='train/loss'"):
        build(compose_config(f"{other}train/loss}}"))


def test_the_plateau_of_an_accuracy_is_where_it_no_longer_rises(compose_config):
    parts = build(compose_config("scheduler=plateau", "scheduler.monitor=val/acc"))
    assert parts.module._build_scheduler.keywords["mode"] == "max"
