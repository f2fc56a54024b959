"""Runs on a LightningDataModule that is not of trainlab."""

import pytest

from faults import PowerCut
from same_runs import NADAM, assert_same_run, rows
from trainlab.config.compose import compose
from trainlab.run import build, run

SHORT = [*NADAM, "model.depth=2", "model.width=8", "trainer=cpu", "trainer.max_epochs=3", "model.num_classes=3"]
QUIET = ["callbacks.figures=null", "logger.tensorboard=null"]


@pytest.fixture
def train_on(tmp_path, monkeypatch):
    def train_on(name, *settings, callbacks=(), module="Stripes"):
        data = [f"data._target_=foreign_data.{module}", *settings]
        cfg = compose([*data, *SHORT, *QUIET, f"name={name}", f"output_dir={tmp_path}"])
        with monkeypatch.context() as patch:

            def build_with_callbacks(cfg, context):
                parts = build(cfg, context)
                parts.trainer.callbacks[:0] = callbacks
                return parts

            patch.setattr("trainlab.run.build", build_with_callbacks)
            return run(cfg), tmp_path / name

    return train_on


@pytest.mark.parametrize(
    ("module", "settings"),
    [
        ("Stripes", []),
        pytest.param("Stripes", ["+data.num_workers=2", "+data.persistent=true"], marks=pytest.mark.slow),
        ("NamedStripes", ["+data.floats=false", "model.standardize=true"]),
    ],
)
def test_a_run_that_was_killed_is_as_one_that_was_not(module, settings, train_on):
    result, whole = train_on("whole", *settings, module=module)
    with pytest.raises(RuntimeError):
        train_on("cut", *settings, module=module, callbacks=(PowerCut(2),))
    assert len(rows(whole.parent / "cut")) == 2
    _, cut = train_on("cut", *settings, module=module)
    assert_same_run(cut, whole)
    assert rows(whole)[0]["train/loss"] != rows(whole)[1]["train/loss"]
    assert result.metrics["test_acc"] > 0.5
