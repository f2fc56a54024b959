"""The callback records statistics of every layer and does not change the training."""

import math
import signal

import pytest
from lightning.pytorch.callbacks import Callback

from conftest import cases
from event_files import BOARD, points, values
from same_runs import assert_same_training, rows
from trainlab.callbacks.layer_statistics import LayerStatistics
from trainlab.data.shapes import Shapes
from trainlab.inference.layer_statistics import activations, layers_of
from trainlab.inference.rebuild import rebuild_network
from trainlab.loggers.tensorboard import HISTOGRAMS, LAYERS
from trainlab.run import Interrupted
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.errors import Diverged
from trainlab.runs.fingerprint import fingerprint
from trainlab.runs.result import Result

ON = "callbacks.layer_statistics.every_n_epochs=1"
HISTOGRAMS_ON = "callbacks.layer_statistics.histograms=true"
DROPOUT = ("model.dropout=0.3", "model.dropout_kind=standard", "model.dropout_after=every")
CASES = {
    "bn and dropout": ("model=bn", *DROPOUT),
    "alpha dropout": ("model=alpha_dropout", "model.dropout_after=every", "optim=sgd", "scheduler=one_cycle"),
    "rrelu, augmented": ("model.activation=rrelu", "data.flip=true", "data.crop_padding=2", "task.label_smoothing=0.1"),
    "float64, batches of two": ("trainer.precision=64-true", "trainer.accumulate_grad_batches=2"),
    "bfloat16": ("trainer.precision=bf16-true", "model=selu_lecun"),
}


@pytest.mark.parametrize("case", cases(CASES, "bn and dropout"))
def test_a_training_is_the_same_to_the_bit(train, case):
    _, plain = train(*CASES[case], name="plain")
    result, probed = train(*CASES[case], ON, HISTOGRAMS_ON, name="probed")
    assert_same_training(probed, plain)
    assert result.metrics["test_loss"] == Result.read(plain).metrics["test_loss"]
    assert (
        len(rows(probed, "layer_statistics.csv")) == 3 * 4
    )  # before, after each of two epochs; three layers and the output
    assert not (plain / "layer_statistics.csv").exists()


@pytest.mark.slow
def test_a_compiled_training_too(train):
    settings = ("model=bn", "model.depth=1", *DROPOUT, "compile=true")
    _, plain = train(*settings, name="plain")
    _, probed = train(*settings, ON, name="probed")
    assert_same_training(probed, plain)


def test_rows_are_those_of_the_network_at_the_end_of_an_epoch(train):
    _, folder = train("model=selu_lecun", ON, "callbacks.layer_statistics.num_images=1000", "trainer.max_epochs=1")
    network = rebuild_network(load_checkpoint(folder / "checkpoints" / "last.ckpt"))
    data = Shapes(num_train=400, num_test=100, val_size=100)
    held_out = data.val_dataloader()  # all of them: there are 100
    found = activations(network, layers_of(network), held_out.images[held_out.indices])
    recorded = [row for row in rows(folder, "layer_statistics.csv") if row["epochs"] == "1"]
    assert [row["layer"] for row in recorded] == ["linear_1", "linear_2", "linear_3", "output"]
    assert {row["step"] for row in recorded} == {"19"}
    for row, of in zip(recorded, found, strict=True):
        assert (float(row["mean"]), float(row["std"]), float(row["dead"])) == (of.mean, of.std, of.dead)
    # Independent weights: rows of each matrix differ, and no more of them depend on each other than there must.
    assert [(row["rank"], row["distinct_units"]) for row in recorded] == [("16.0", "16.0")] * 3 + [("10.0", "10.0")]


class FirstGradient(Callback):
    """Keeps the gradient of the first step."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 1:
            self.found = {k: v.clone() for k, v in pl_module.flat.by_name(pl_module.flat.gradient).items()}


@pytest.mark.parametrize("case", cases(["bn and dropout", "alpha dropout", "rrelu, augmented"], "alpha dropout"))
def test_the_gradient_before_the_training_is_that_of_its_first_step(train, case):
    first = FirstGradient()
    _, folder = train(*CASES[case], ON, "trainer.max_epochs=1", callbacks=(first,))
    before = [row for row in rows(folder, "layer_statistics.csv") if row["epochs"] == "0"]
    recorded = {row["layer"]: float(row["gradient_norm"]) for row in before}
    squares = dict.fromkeys(recorded, 0.0)
    for name, gradient in first.found.items():
        part = name.split(".")[1]
        squares[part.replace("norm_", "linear_")] += float(gradient.square().sum())
    assert recorded == pytest.approx({name: square**0.5 for name, square in squares.items()}, rel=1e-5)  # float32


def test_every_other_epoch(train):
    _, folder = train("callbacks.layer_statistics.every_n_epochs=2", "trainer.max_epochs=5")
    assert list(dict.fromkeys(row["epochs"] for row in rows(folder, "layer_statistics.csv"))) == ["0", "2", "4"]


@pytest.mark.parametrize("off", ["callbacks.layer_statistics=null", "callbacks.layer_statistics.every_n_epochs=0"])
def test_it_can_be_switched_off(train, off):
    _, folder = train(off, "trainer.max_epochs=1")
    assert not (folder / "layer_statistics.csv").exists()


def test_it_is_not_part_of_the_fingerprint(train, compose_config):
    result, _ = train("trainer.max_epochs=1")
    again, folder = train("trainer.max_epochs=1", ON)
    assert again.provenance == result.provenance  # that of the run that was: it was not trained again
    assert not (folder / "layer_statistics.csv").exists()
    configs = [compose_config(*more).settings for more in ([], [ON], ["callbacks.layer_statistics=null"])]
    assert len(set(map(fingerprint, configs))) == 1


class Stop(Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 2 and batch_idx == 5:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_a_resumed_run_leaves_the_rows_and_points_of_an_undisturbed_one(train):
    settings = ("model=bn", ON, BOARD, "trainer.max_epochs=4")
    with pytest.raises(Interrupted):
        train(*settings, name="halted", callbacks=(Stop(),))
    _, halted = train(*settings, name="halted")
    _, whole = train(*settings, name="whole")
    assert rows(halted, "layer_statistics.csv") == rows(whole, "layer_statistics.csv")
    assert values(halted).keys() == values(whole).keys()
    for tag in values(whole):
        if tag.startswith("within"):
            assert [step for step, _ in values(halted)[tag]] == [step for step, _ in values(whole)[tag]], tag


@pytest.mark.slow
def test_tensorboard_has_a_series_and_histograms_a_layer(train):
    _, folder = train(ON, HISTOGRAMS_ON, BOARD)
    recorded = rows(folder, "layer_statistics.csv")
    for key, section in LAYERS.items():
        for layer in ("linear_1", "linear_3", "output"):
            expected = [(int(row["step"]), float(row[key])) for row in recorded if row["layer"] == layer]
            assert len(expected) == 3
            found = points(folder, f"{section}/{layer}")
            assert [step for step, _ in found] == [step for step, _ in expected]
            assert [v for _, v in found] == pytest.approx([v for _, v in expected], rel=1e-6)  # float32
    series = values(folder)[f"{HISTOGRAMS['activations']}/linear_2"]
    stds = [float(row["std"]) for row in recorded if row["layer"] == "linear_2"]
    for (_, value), std in zip(series, stds, strict=True):
        histogram = value.histo
        assert histogram.num == sum(histogram.bucket) == 100 * 16  # validation images, units
        mean = histogram.sum / histogram.num
        assert histogram.sum_squares / histogram.num - mean**2 == pytest.approx(std**2, rel=1e-4)
        assert len(histogram.bucket) == len(histogram.bucket_limit) == 64
        assert histogram.bucket_limit[-1] == pytest.approx(histogram.max)
    weights = load_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]
    of_layer = [value for name, value in weights.items() if "linear_2" in name]
    _, last = values(folder)[f"{HISTOGRAMS['weights']}/linear_2"][-1]
    assert last.histo.num == sum(value.numel() for value in of_layer) == 16 * 16 + 16
    assert last.histo.sum == pytest.approx(sum(float(value.double().sum()) for value in of_layer))
    norms = [float(row["gradient_norm"]) for row in recorded if row["layer"] == "linear_2"]
    for (_, value), norm in zip(values(folder)[f"{HISTOGRAMS['gradients']}/linear_2"], norms, strict=True):
        assert value.histo.sum_squares == pytest.approx(norm**2)


def test_only_activations_have_histograms_by_default(train):
    _, folder = train(ON, BOARD, "trainer.max_epochs=1")
    found = values(folder)
    assert f"{HISTOGRAMS['activations']}/linear_1" in found
    assert not {f"{HISTOGRAMS[kind]}/linear_1" for kind in ("weights", "gradients")} & found.keys()


def test_activations_that_are_not_finite_are_recorded(train, tmp_path):
    """Weights of 1e25 overflow float32 in the second layer; what the first look found is on disk before the loss is."""
    with pytest.raises(Diverged):
        train("model.initializer_scale=1e25", ON, BOARD)
    first, second, *_ = rows(tmp_path / "run", "layer_statistics.csv")
    assert math.isfinite(float(first["mean"]))
    assert not math.isfinite(float(second["mean"]))
    assert points(tmp_path / "run", f"{LAYERS['mean']}/linear_2")


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"every_n_epochs": -1}, "every_n_epochs must be at least 0, got -1"),
        ({"num_images": 1}, "num_images must be at least 2"),
    ],
)
def test_wrong_settings(settings, rule, tmp_path):
    with pytest.raises(ValueError, match=rule):
        LayerStatistics(str(tmp_path), **settings)
