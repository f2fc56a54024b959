"""Runs of tasks other than the default classification, from training to predictions."""

import pytest
import torch
import torchmetrics
from PIL import Image

import task_data
from conftest import cases, first
from event_files import BOARD, values
from same_runs import assert_same_run
from task_data import F1, R2
from trainlab.config.build import build
from trainlab.data.split import split
from trainlab.inference import evaluate_checkpoint, load_data, load_network
from trainlab.inference.export import export_checkpoint
from trainlab.inference.predict import Predictor
from trainlab.inference.rebuild import rebuild_task
from trainlab.loggers.tensorboard import CONFUSION_MATRIX, TEST_IMAGES, TRAINING_IMAGES
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.files import read_rows
from trainlab.runs.result import Result, describe

OWN = (  # of YAML it would be an option of its own
    *("task._target_=task_data.Quantile", "~task.criterion", "~task.huber_delta"),
    "+task.quantile=0.75",
)
FLOAT32 = 1e-5  # relative: sums in batches of another size


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """The overrides for the arrays of a task."""
    folder = tmp_path_factory.mktemp("arrays")
    return lambda kind: task_data.save(folder, kind)


def outputs_of(folder, part):
    """Outputs of the best network, and targets, of the validation or the test images."""
    data = load_data(folder)
    if part == "val":
        _, indices = data._indices
        images, targets = data.images.train[indices], data.images.train_labels[indices]
    else:
        images, targets = data.images.test, data.images.test_labels
    with torch.no_grad():
        return load_network(folder)(images), targets


def test_labels_are_learned_validated_and_tested(arrays, train):
    result, folder = train(*arrays("multilabel"), F1, "trainer.max_epochs=3", "task.pos_weights=balanced")
    rows = read_rows(folder / "metrics.csv")
    assert [key for key in rows[0] if "/" in key] == ["train/loss", "train/acc", "val/loss", "val/acc", "val/f1"]
    f1 = torchmetrics.classification.MultilabelF1Score(3)
    for part in ("val", "test"):
        outputs, targets = outputs_of(folder, part)
        losses = -(outputs.sigmoid().log() * targets + (1 - outputs.sigmoid()).log() * (1 - targets))
        assert result.metrics[f"{part}_loss"] == pytest.approx(float(losses.mean()), rel=FLOAT32)
        assert result.metrics[f"{part}_acc"] == pytest.approx(float(((outputs > 0) == targets).float().mean()))
        assert result.metrics[f"{part}_f1"] == pytest.approx(float(f1(outputs.sigmoid(), targets.long())))
    best = rows[result.metrics["best_epoch"]]
    assert float(best["val/f1"]) == pytest.approx(result.metrics["val_f1"], rel=FLOAT32)
    f1_before, f1_after = (float(rows[i]["val/f1"]) for i in (0, -1))
    assert f1_before != f1_after  # each epoch starts anew


def test_values_are_learned_and_the_best_epoch_is_that_of_the_primary_metric(arrays, train):
    more = ["task.primary=val/r2", R2, "trainer.max_epochs=4", "task.criterion=huber"]
    result, folder = train(*arrays("regression"), *more)
    rows = read_rows(folder / "metrics.csv")
    r2 = [float(row["val/r2"]) for row in rows]
    assert result.metrics["best_epoch"] == r2.index(max(r2))
    outputs, targets = outputs_of(folder, "test")
    assert result.metrics["test_mae"] == pytest.approx(float((outputs[:, 0] - targets).abs().mean()), rel=FLOAT32)
    expected = 1 - (outputs[:, 0] - targets).square().sum() / (targets - targets.mean()).square().sum()
    assert result.metrics["test_r2"] == pytest.approx(float(expected), rel=1e-4)
    assert (result.task["primary"], result.task["compared_by"]) == ("val_r2", "val_r2")
    assert result.task["metrics"]["val_r2"] == {"mode": "max", "label": "validation r2", "spec": ".4g"}
    assert f"validation r2 {result.metrics['val_r2']:.4g}, loss " in describe(result, folder)


class NeverKnown(torchmetrics.MeanAbsoluteError):
    def compute(self):
        return super().compute() * torch.nan


def test_a_primary_metric_that_is_never_finite_chooses_no_epoch_and_is_warned_of(arrays, train, caplog):
    metric = f"+task.metrics.odd._target_={__name__}.NeverKnown"
    result, folder = train(*arrays("regression"), metric, "task.primary=val/odd", "trainer.max_epochs=1")
    assert "best_epoch" not in result.metrics
    assert describe(result, folder).startswith("no epoch has a finite validation odd, so the last of 1 was tested (")
    assert "val/odd was NaN or infinite in all epochs" in caplog.text


def test_a_run_does_not_continue_with_a_primary_metric_that_its_epochs_lack(arrays, train):
    _, folder = train(*arrays("regression"), "trainer.max_epochs=1")
    before = (folder / "result.json").read_bytes()
    more = (R2, "task.primary=val/r2", "trainer.max_epochs=2", "ckpt_path=last")
    with pytest.raises(ValueError, match=r"^the epochs so far have val/loss, .* cannot be chosen by val/r2; leave"):
        train(*arrays("regression"), *more)
    assert (folder / "result.json").read_bytes() == before


@pytest.mark.slow
def test_a_metric_of_several_values_is_their_mean(arrays, train):
    pearson = "+task.metrics.pearson._target_=torchmetrics.PearsonCorrCoef"
    result, folder = train(*arrays("two values"), R2, pearson, "trainer.max_epochs=1")
    outputs, targets = outputs_of(folder, "test")
    both = [float(torch.corrcoef(torch.stack([outputs[:, i], targets[:, i]]))[0, 1]) for i in (0, 1)]
    assert result.metrics["test_pearson"] == pytest.approx(sum(both) / 2, abs=1e-4)
    assert result.task["metrics"]["val_pearson"]["mode"] is None


def test_images_of_other_targets_are_held_out_at_random():
    values = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
    train, val = split(values, 30, "stratified", 1)
    assert sorted([*train.tolist(), *val.tolist()]) == [*range(100)]
    assert len(val) == 30
    assert val.tolist() != split(values, 30, "stratified", 2)[1].tolist()
    assert split(values, 30, "first", 1)[1].tolist() == [*range(30)]


@pytest.mark.slow
def test_more_metrics_of_a_classification(arrays, train):
    top = "+task.metrics.top2={_target_: torchmetrics.Accuracy, task: multiclass, top_k: 2}"
    result, folder = train(*arrays("classes"), top, "task.primary=val/top2", "trainer.max_epochs=2")
    outputs, targets = outputs_of(folder, "test")
    in_two = (outputs.topk(2, 1).indices == targets[:, None]).any(1)
    assert result.metrics["test_top2"] == pytest.approx(float(in_two.float().mean()))
    assert result.task["compared_by"] == "val_top2"
    assert load_checkpoint(folder / "checkpoints/best.ckpt")["trainlab"]["config"]["callbacks"]["early_stopping"][
        "monitor"
    ] == ("val/top2")


@pytest.mark.parametrize("kind", cases(["multilabel", "regression"], "multilabel"))
def test_a_resumed_run_equals_an_uninterrupted_one(kind, arrays, train):
    metric = F1 if kind == "multilabel" else R2
    overrides = [*arrays(kind), metric]
    train(*overrides, "trainer.max_epochs=2", name="resumed")
    _, resumed = train(*overrides, "trainer.max_epochs=3", "ckpt_path=last", name="resumed")
    _, whole = train(*overrides, "trainer.max_epochs=3", name="whole")
    assert_same_run(resumed, whole)


def test_labels_are_evaluated_predicted_and_exported(arrays, train, tmp_path):
    result, folder = train(*arrays("multilabel"), F1, "trainer.max_epochs=1")
    best = folder / "checkpoints/best.ckpt"
    found = evaluate_checkpoint(best)
    expected = {key: value for key, value in result.metrics.items() if key.startswith("test_")}
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    assert "confusion" not in found and "class_acc" not in found
    assert evaluate_checkpoint(best) == found  # the file is recognized as an evaluation
    with pytest.raises(
        ValueError, match=r"^MC dropout is of classifications, .* is of MultiLabel; leave out mc_samples"
    ):
        evaluate_checkpoint(best, mc_samples=2)
    Image.new("RGB", (6, 6), (250, 5, 5)).save(tmp_path / "x.png")
    (prediction,) = Predictor.load(best).predict([tmp_path / "x.png"])
    raw = torch.tensor([250, 5, 5], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 6, 6)
    by_name = dict(zip(("red", "green", "blue"), load_network(folder)(raw).sigmoid()[0].tolist(), strict=True))
    assert prediction.as_json(3)["top"] == [
        {"class": name, "probability": pytest.approx(value, rel=FLOAT32)}
        for name, value in sorted(by_name.items(), key=lambda item: -item[1])
    ]
    assert export_checkpoint(best, "torch_export").exists()


def test_values_are_evaluated_and_predicted_by_name(arrays, train, tmp_path):
    short = "+task.metrics.r2._target_=torchmetrics.R2Score"
    result, folder = train(*arrays("regression"), short, "trainer.max_epochs=1")
    found = evaluate_checkpoint(folder / "checkpoints/best.ckpt")
    expected = {key: value for key, value in result.metrics.items() if key.startswith("test_")}
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    Image.new("RGB", (6, 6), (250, 5, 5)).save(tmp_path / "x.png")
    predictor = Predictor.load(folder / "checkpoints/best.ckpt")
    (prediction,) = predictor.predict([tmp_path / "x.png"])
    raw = torch.tensor([250, 5, 5], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 6, 6)
    value = load_network(folder)(raw).item()
    found = prediction.as_json(3)["values"]
    assert found == {"redness": pytest.approx(value, rel=FLOAT32)}
    assert prediction.formatted(3) == [("redness", f"{found['redness']:.4g}")]
    with pytest.raises(ValueError, match="leave out --mc-samples"):
        Predictor.load(folder / "checkpoints/best.ckpt", mc_samples=3)


@pytest.mark.parametrize("name", ["image.FrechetInceptionDistance", "utilities.data.to_onehot"])
def test_a_checkpoint_names_no_other_code_of_torchmetrics(name):
    metrics = {"x": {"_target_": f"torchmetrics.{name}"}}
    about = {"config": {"task": {"_target_": "trainlab.tasks.Regression", "metrics": metrics}}}
    checkpoint = {"path": "x.ckpt", "trainlab": about | {"classes": ["redness"]}}
    with pytest.raises(ValueError, match=r"x\.ckpt .* no class or function that a checkpoint may name"):
        rebuild_task(checkpoint)


def test_a_task_of_a_users_own(arrays, train, tmp_path):
    result, folder = train(*arrays("regression"), *OWN, "trainer.max_epochs=3")
    outputs, targets = outputs_of(folder, "test")
    over = targets - outputs[:, 0]
    losses = torch.maximum(0.75 * over, -0.25 * over)
    assert result.metrics["test_loss"] == pytest.approx(float(losses.mean()), rel=FLOAT32)
    assert result.metrics["test_below"] == pytest.approx(float((over < 0).float().mean()))
    best = folder / "checkpoints/best.ckpt"
    with pytest.raises(
        ValueError, match=r"names task_data\.Quantile, which is not of trainlab; .* trust=\[task_data\]"
    ):
        evaluate_checkpoint(best)
    assert evaluate_checkpoint(best, trust=["task_data"])["test_below"] == result.metrics["test_below"]
    assert Result.read(folder).task["metrics"]["val_below"]["mode"] == "max"


@pytest.mark.parametrize(
    ("kind", "overrides", "message"),
    first(
        6,
        [
            (
                "multilabel",
                ["task=classification"],
                r"needs classes, int64 \(N,\), .* uint8 \(N, 3\); set",
            ),
            (
                "classes",
                ["task=multilabel"],
                r"task=multilabel needs .*, the data have int64 \(N,\); set task=classification",
            ),
            (
                "classes",
                ["task=regression"],
                r"task=regression needs values, .* int64 \(N,\); set task=classification, or",
            ),
            (
                "multilabel",
                ["task.primary=val/f2"],
                r"primary must be one of val/loss, val/acc, got 'val/f2'; set task\.primary",
            ),
            (
                "multilabel",
                ["callbacks.checkpoint.monitor=val/mae"],
                r"monitor must be one of .*; set callbacks\.checkpoint\.",
            ),
            (
                "multilabel",
                ["task.pos_weights=[1,2]"],
                r"pos_weights must be 3 numbers, .* got 2; set task\.pos_weights",
            ),
            (
                "classes",
                ["task.class_weights=[-1,2,1]"],
                r"class_weights must be null, balanced, or a list .* set task\.class",
            ),
            ("classes", ["task.focal_gamma=-1"], r"focal_gamma must be at least 0, got -1; set task\.focal_gamma"),
            ("regression", ["task.huber_delta=0"], r"huber_delta must be above 0, got 0; set task\.huber_delta"),
            (
                "regression",
                ["model.num_classes=2"],
                r"num_classes must be the number of outputs of Regression, 1, got 2",
            ),
            ("regression", [R2.replace("r2", "mae")], "neither loss nor mae, got 'mae'; set task"),
            ("classes", [F1], r"MultilabelF1Score cannot be computed for Classification: .*; set task\.metrics\.f1"),
            (
                "regression",
                ["+task.metrics.x._target_=torch.nn.Linear"],
                r"missing .* 'in_features' .* \(in task\.metrics\.x\)",
            ),
            (
                "classes",
                ["+task.metrics.x._target_=torchmetrics.classification.MulticlassConfusionMatrix"],
                "must be a number",
            ),
            (
                "two values",
                ["task.primary=val/p", "+task.metrics.p._target_=torchmetrics.PearsonCorrCoef"],
                r"primary must be a metric that is better high or low, got 'val/p'; set task\.primary",
            ),
        ],
    ),
)
def test_what_does_not_fit_is_an_error_before_anything_is_written(
    kind, overrides, message, arrays, compose_config, tmp_path
):
    with pytest.raises(ValueError, match=message) as error:
        build(compose_config(*arrays(kind), *overrides))
    assert len(str(error.value).splitlines()) == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_tensorboard_gets_training_images_and_no_predictions_of_other_tasks(arrays, train, drawn):
    figures = "callbacks.figures={_target_: trainlab.callbacks.FigureLogger, num_images: 4}"
    _, folder = train(*arrays("multilabel"), F1, BOARD, figures, "trainer.max_epochs=1")
    tags = values(folder)
    assert TRAINING_IMAGES in tags and "val/f1" in tags
    assert not tags.keys() & {TEST_IMAGES, CONFUSION_MATRIX}
