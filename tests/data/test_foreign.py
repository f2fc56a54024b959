"""Runs on a LightningDataModule that is not of trainlab."""

import pytest
import torch
from PIL import Image

from conftest import with_defaults
from faults import PowerCut, Warn
from foreign_data import CLASSES, Stripes
from same_runs import NADAM, assert_same_run, rows
from sweeping import Script
from test_max_steps import assert_same_end
from trainlab.config.compose import compose
from trainlab.data import ForeignData
from trainlab.inference.evaluate import evaluate_checkpoint
from trainlab.inference.export import export_checkpoint
from trainlab.inference.predict import Predictor
from trainlab.population.eligibility import ineligible_reason
from trainlab.run import build, run
from trainlab.runs.checkpoints import batches_begun, load_checkpoint

DEFAULTS = [
    *(*NADAM, "model.depth=2", "model.width=8", "trainer=cpu", "trainer.max_epochs=3", "model.num_classes=3"),
    *("callbacks.figures=null", "logger.tensorboard=null", "name=x", "output_dir=nowhere"),
]


def config_of(*settings, module="Stripes"):
    return compose(with_defaults(DEFAULTS, f"data._target_=foreign_data.{module}", *settings))


@pytest.fixture
def train_on(tmp_path, monkeypatch):
    def train_on(name, *settings, callbacks=(), module="Stripes"):
        cfg = config_of(*settings, f"name={name}", f"output_dir={tmp_path}", module=module)
        with monkeypatch.context() as patch:

            def build_with_callbacks(cfg, context):
                parts = build(cfg, context)
                parts.trainer.callbacks[:0] = callbacks
                return parts

            patch.setattr("trainlab.run.build", build_with_callbacks)
            return run(cfg), tmp_path / name

    return train_on


def test_a_run_whose_end_is_announced_continues_from_the_start_of_the_epoch(train_on, announced):
    with pytest.raises(KeyboardInterrupt):
        train_on("cut", callbacks=(Warn(1, 3),))
    announced.at_s = None  # another process
    _, whole = train_on("whole")
    cut = whole.parent / "cut"
    saved = load_checkpoint(cut / "checkpoints" / "last.ckpt")
    assert (saved["epoch"], batches_begun(saved), len(rows(cut))) == (0, 0, 1)
    train_on("cut")
    assert_same_run(cut, whole)


@pytest.mark.parametrize(
    ("module", "settings"),
    [
        ("Stripes", []),
        pytest.param("Stripes", ["+data.num_workers=2", "+data.persistent=true"], marks=pytest.mark.slow),
        pytest.param("NamedStripes", ["+data.floats=false", "model.standardize=true"], marks=pytest.mark.slow),
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


def test_all_programs_read_the_checkpoint_of_floats(train_on, tmp_path):
    result, folder = train_on("floats", "callbacks.layer_statistics.every_n_epochs=1", "trainer.max_epochs=1")
    path = folder / "checkpoints" / "best.ckpt"
    with pytest.raises(ValueError, match=r"names foreign_data\.Stripes, .* set trust=\[foreign_data\]"):
        evaluate_checkpoint(path)
    evaluated = evaluate_checkpoint(path, trust=["foreign_data"])
    assert evaluated["test_acc"] == result.metrics["test_acc"]
    assert list(evaluated["class_acc"]) == ["0", "1", "2"]
    with pytest.raises(ValueError, match="was trained on floats that its data module has made of images"):
        Predictor.load(path)
    exported = torch.export.load(export_checkpoint(path, "torch_export")).module()
    assert exported(torch.rand(3, 1, 12, 9)).shape == (3, 3)


def test_a_split_in_the_constructor_is_the_same_in_all_runs_and_evaluations(train_on):
    result, folder = train_on("split", "trainer.max_epochs=1", module="SplitAtOnce")
    torch.manual_seed(5)
    other = build(config_of("seed=5", module="SplitAtOnce")).data.module.test.indices
    torch.manual_seed(6)
    assert build(config_of(module="SplitAtOnce")).data.module.test.indices == other
    evaluated = evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", trust=["foreign_data"])
    assert evaluated["test_loss"] == result.metrics["test_loss"]


def test_image_files_are_predicted_by_a_network_of_uint8_images(train_on, tmp_path):
    _, folder = train_on("bytes", "+data.floats=false", "trainer.max_epochs=1", module="NamedStripes")
    Image.new("L", (9, 12), 100).save(tmp_path / "x.png")
    (prediction,) = Predictor.load(folder / "checkpoints" / "best.ckpt").predict([tmp_path / "x.png"])
    assert set(prediction.classes) == set(CLASSES)


def test_pixels_are_scaled_and_floats_are_not():
    floats, pixels = (build(config_of(f"+data.floats={on}")).network.eval() for on in ("true", "false"))
    images = torch.randint(0, 256, (4, 1, 12, 9), dtype=torch.uint8)
    assert floats(images / 255).allclose(pixels(images), atol=1e-6)


def test_it_is_trained_alone_and_the_plan_says_why():
    cfg = config_of()
    assert ineligible_reason(cfg.settings, 1, build(cfg).data) == "data are of Stripes"


def test_a_checkpoint_inside_an_epoch_cannot_be_continued(train_on):
    train_on("a", "trainer.max_steps=3")
    with pytest.raises(
        ValueError, match=r"inside an epoch, after batch 3, and data and modules that are not of trainlab "
    ):
        train_on("a", "trainer.max_steps=12", "ckpt_path=last")


@pytest.mark.slow
def test_a_run_is_made_longer_and_its_uncertainty_evaluated(train_on):
    train_on("b", "trainer.max_epochs=1")
    _, longer = train_on("b", "trainer.max_epochs=3", "ckpt_path=last")
    assert_same_end(longer, train_on("whole")[1])
    evaluated = evaluate_checkpoint(longer / "checkpoints" / "best.ckpt", mc_samples=2, trust=["foreign_data"])
    assert len(evaluated["most_uncertain"]) == 32


@pytest.mark.slow
@pytest.mark.ddp
def test_two_processes_divide_the_batches(tmp_path):
    names = ("trainer.devices=2", "trainer.max_epochs=1", "name=two", f"output_dir={tmp_path}")
    settings = with_defaults(DEFAULTS, "data._target_=foreign_data.Stripes", *names)
    done = Script("train.py", settings, tmp_path, {}).finish()
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = rows(tmp_path / "two")
    assert int(row["step"]) == 4, "55 of 110 images for each process in batches of 16"


@pytest.mark.parametrize(
    ("settings", "module", "rule"),
    [
        ([], "OneLoader", r"OneLoader has no val_dataloader; define it$"),
        ([], "Dictionaries", r"batches of Dictionaries must be \(images, targets\), with .* got \(dict\); change"),
        (["+data.width=3"], "Stripes", r"Stripes takes no width; leave out data\.width"),
        (["model.num_classes=4"], "NamedStripes", r"num_classes must be .*3, got 4; set model\.num_classes=3$"),
    ],
)
def test_what_is_impossible_is_an_error_before_the_training(settings, module, rule):
    with pytest.raises(ValueError, match=rule) as error:
        build(config_of(*settings, module=module))
    assert "\n" not in str(error.value)


def test_passes_outside_of_the_training_repeat_and_leave_the_generators_alone():
    data = ForeignData(Stripes(batch_size=11), seed=3, num_classes=3)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    mean, _ = data.statistics()
    images, targets = data.first_batch()
    assert torch.get_rng_state().equal(state)
    again = ForeignData(Stripes(batch_size=11), seed=3, num_classes=3)
    assert again.statistics()[0].equal(mean) and again.first_batch()[0].equal(images)
    assert data.count_batches(2).train == 5 and data.count_batches(1).last == 11
    assert targets.dtype == torch.int64 and data.train_targets().shape == (110,)
    other = ForeignData(Stripes(batch_size=11), seed=4, num_classes=3)
    assert not other.first_batch()[0].equal(images)
    assert other.val_images(40).equal(data.val_images(40)), "the split follows from no seed of a run"
