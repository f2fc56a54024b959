import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from conftest import compose_tiny
from trainlab.data.shapes import Shapes
from trainlab.inference import evaluate_checkpoint
from trainlab.inference.mc_dropout import mc_probabilities
from trainlab.inference.rebuild import rebuild_network
from trainlab.inference.table import show
from trainlab.run import run
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.tasks.metrics import Metric
from trainlab.tasks.reported import TaskMetrics


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    cfg = compose_tiny(tmp_path_factory.mktemp("trained"), "model=alpha_dropout", "model.dropout=0.5")
    return run(cfg), cfg.run_dir


@pytest.fixture
def finished(trained, tmp_path):
    """A result, and the folder of a run as it left it."""
    result, folder = trained
    return result, shutil.copytree(folder, tmp_path / "run")


def test_a_checkpoint_is_evaluated_on_all_test_images(finished, capsys):
    result, folder = finished
    path = folder / "checkpoints" / "best.ckpt"
    figures = evaluate_checkpoint(path, device="cpu")
    test = Shapes(num_train=400, num_test=100).read()
    with torch.no_grad():
        logits = rebuild_network(load_checkpoint(path))(test.test).double()
    losses = logits.logsumexp(1) - logits[range(100), test.test_labels]
    right = logits.argmax(1) == test.test_labels
    assert figures["test_loss"] == pytest.approx(float(losses.mean()), rel=1e-6)  # float32 there, float64 here
    assert figures["test_acc"] == int(right.sum()) / 100
    for label, name in enumerate(test.classes):
        assert figures["class_acc"][name] == float(right[test.test_labels == label].double().mean())
    assert torch.tensor(figures["confusion"]).sum(1).tolist() == test.test_labels.bincount(minlength=10).tolist()
    assert figures["epoch"] == result.metrics["best_epoch"]
    assert figures["data_digest"] == test.digest == result.provenance["data_digest"]
    assert json.loads((folder / "eval.json").read_text()) == figures
    assert capsys.readouterr().out == ""  # the script shows it
    show(figures)
    shown = capsys.readouterr().out
    assert f"{figures['test_acc']:.2%}".replace("%", " %") in shown
    assert all(name in shown for name in test.classes)


def test_the_size_of_a_batch_changes_nothing_but_rounding(finished, tmp_path):
    _, folder = finished
    path = folder / "checkpoints" / "last.ckpt"
    whole = evaluate_checkpoint(path, device="cpu", out=tmp_path / "whole.json")
    parts = evaluate_checkpoint(path, device="cpu", eval_batch_size=7, out=tmp_path / "parts.json")
    assert parts["test_loss"] == pytest.approx(whole["test_loss"], rel=1e-6)  # other kernels, float32
    assert parts["confusion"] == whole["confusion"]
    assert not (folder / "eval.json").exists()


@pytest.fixture
def sampled(finished):
    result, folder = finished
    figures = evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu", mc_samples=20)
    return result, folder, figures


def test_mc_dropout_compared_with_deterministic_predictions(sampled):
    result, folder, figures = sampled
    assert json.loads((folder / "eval.json").read_text()) == figures
    for key in ("test_loss", "test_acc"):  # the same weights, images and arithmetic as at the end of the training
        assert figures[key] == result.metrics[key]
    metrics = figures["metrics"]
    assert list(metrics) == ["accuracy", "nll", "brier", "ece", "aurc", "entropy", "mutual_information"]
    assert metrics["accuracy"]["deterministic"]["value"] == pytest.approx(result.metrics["test_acc"], rel=1e-12)
    assert metrics["nll"]["deterministic"]["value"] == pytest.approx(result.metrics["test_loss"], rel=1e-6)
    assert "deterministic" not in metrics["mutual_information"]

    test = Shapes(num_train=400, num_test=100).read()
    network = rebuild_network(load_checkpoint(folder / "checkpoints" / "best.ckpt"))
    p = mc_probabilities(network, test.test, 20).double()
    right = (p.mean(0).argmax(1) == test.test_labels).double().mean()
    assert metrics["accuracy"]["mc_dropout"]["value"] == pytest.approx(right.item(), rel=1e-12)
    likelihood = p.mean(0)[range(100), test.test_labels].log()
    assert metrics["nll"]["mc_dropout"]["value"] == pytest.approx(-likelihood.mean().item(), rel=1e-5)  # float32 sums
    about = figures["mc_dropout"]
    firsts = [(p[:s].mean(0).argmax(1) == test.test_labels).double().mean().item() for s in range(1, 21)]
    assert about["accuracy_by_samples"] == pytest.approx(firsts, abs=0.011)  # one image may be a tie
    for metric in metrics.values():
        for of in (of for side, of in metric.items() if side != "name"):
            assert of["low"] <= of["high"]
        if "difference" in metric:
            change = metric["mc_dropout"]["value"] - metric["deterministic"]["value"]
            assert metric["difference"]["value"] == pytest.approx(change, abs=1e-12)
    assert about["mcnemar"]["gained"] - about["mcnemar"]["lost"] == round(
        100 * metrics["accuracy"]["difference"]["value"]
    )
    assert about["cost_of_1000_images"]["samples"] == [1, 2, 5, 10, 20]


def test_what_a_terminal_shows(finished, capsys):
    _, folder = finished
    figures = evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu", mc_samples=5)
    assert capsys.readouterr().out == ""
    show(figures)
    shown = capsys.readouterr().out
    for side in ("deterministic", "mc_dropout"):
        assert f"{100 * figures['metrics']['accuracy'][side]['value']:.2f}" in shown
        assert f"{figures['metrics']['nll'][side]['high']:.4f}" in shown
    assert set(figures["mc_dropout"]["summary"]) <= set(shown.splitlines())


def test_figures_are_written_next_to_the_file(sampled, tmp_path: Path):
    _, folder, _ = sampled
    names = {"reliability.png", "risk_coverage.png", "accuracy_by_samples.png", "most_uncertain.png"}
    assert {path.name for path in (folder / "eval_figures").iterdir()} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (folder / "eval_figures").iterdir())
    evaluate_checkpoint(folder / "checkpoints" / "last.ckpt", device="cpu", mc_samples=2, out=tmp_path / "x.json")
    assert {path.name for path in (tmp_path / "x_figures").iterdir()} == names


def test_the_most_uncertain_images(sampled):
    _, folder, figures = sampled
    test = Shapes(num_train=400, num_test=100).read()
    p = mc_probabilities(rebuild_network(load_checkpoint(folder / "checkpoints" / "best.ckpt")), test.test, 20)
    entropy = torch.distributions.Categorical(p.double().mean(0)).entropy()
    expected = torch.distributions.Categorical(p.double()).entropy().mean(0)
    listed = figures["most_uncertain"]
    assert [one["entropy"] for one in listed] == pytest.approx(
        entropy.sort(descending=True).values[:32].tolist(), rel=1e-5
    )
    for one in listed:
        i = one["image"]
        assert one["entropy"] == pytest.approx(entropy[i].item(), rel=1e-5)
        assert one["mutual_information"] == pytest.approx((entropy - expected)[i].item(), abs=1e-5)
        assert one["label"] == test.classes[test.test_labels[i]]
        assert one["prediction"] == test.classes[p.mean(0)[i].argmax()]


@pytest.mark.slow
def test_mc_dropout_is_repeatable_whatever_the_batch(finished, tmp_path: Path):
    _, folder = finished
    path = folder / "checkpoints" / "best.ckpt"

    def figures(**settings):
        found = evaluate_checkpoint(path, device="cpu", out=tmp_path / "eval.json", mc_samples=10, **settings)
        del found["mc_dropout"]["cost_of_1000_images"]
        return found

    first = figures()
    assert figures() == first
    parts = figures(eval_batch_size=7)
    for key, metric in first["metrics"].items():  # float32, summed in another order
        assert parts["metrics"][key]["mc_dropout"] == pytest.approx(metric["mc_dropout"], rel=1e-4, abs=1e-6), key
    assert figures(mc_seed=1)["metrics"]["nll"]["mc_dropout"] != first["metrics"]["nll"]["mc_dropout"]


def test_a_network_without_dropout_has_its_deterministic_figures(train, caplog, capsys):
    result, folder = train("model=selu")
    (folder / "eval_figures").mkdir()
    (folder / "eval_figures" / "accuracy_by_samples.png").touch()  # of an earlier checkpoint
    with caplog.at_level(logging.INFO):
        figures = evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu", mc_samples=10)
    assert "mc_samples has no effect: the network has no dropout" in caplog.messages
    assert figures["mc_dropout"] is None
    assert json.loads((folder / "eval.json").read_text()) == figures
    assert figures["metrics"]["accuracy"].keys() == {"name", "deterministic"}
    assert figures["metrics"]["accuracy"]["deterministic"]["value"] == pytest.approx(result.metrics["test_acc"])
    left = {path.name for path in (folder / "eval_figures").iterdir()}
    assert left == {"reliability.png", "risk_coverage.png", "most_uncertain.png"}
    capsys.readouterr()
    show(figures)
    shown = capsys.readouterr().out
    show({key: value for key, value in figures.items() if key not in ("metrics", "mc_dropout")})
    assert shown == capsys.readouterr().out


def test_without_samples_nothing_is_said_of_mc_dropout(finished):
    _, folder = finished
    figures = evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu")
    assert list(figures) == [
        *("checkpoint", "epoch", "data_digest", "test_loss", "test_acc", "task", "class_acc", "confusion"),
    ]
    assert not (folder / "eval_figures").exists()


def test_a_plain_evaluation_keeps_the_part_on_mc_dropout_of_the_same_weights_alone(sampled, caplog):
    _, folder, figures = sampled
    with caplog.at_level(logging.INFO):
        assert evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu") == figures
    assert f"{folder / 'eval.json'} keeps the MC dropout results of an earlier evaluation" in caplog.messages
    assert len([*(folder / "eval_figures").iterdir()]) == 4
    checkpoint = load_checkpoint(folder / "checkpoints" / "best.ckpt")
    checkpoint["epoch"] += 1
    torch.save(checkpoint, folder / "checkpoints" / "best.ckpt")
    with caplog.at_level(logging.INFO):
        assert "mc_dropout" not in evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu")
    assert (
        f"removed the MC dropout results in {folder / 'eval.json'}, of other weights or images, and their figures"
        in (caplog.messages)
    )
    assert not (folder / "eval_figures").exists()


def test_only_evaluations_are_replaced(finished):
    _, folder = finished
    path = folder / "checkpoints" / "best.ckpt"
    before = {file: file.read_bytes() for file in (path, folder / "result.json", folder / "config.yaml")}
    for file in before:
        with pytest.raises(ValueError, match=r"; set (another )?out$"):
            evaluate_checkpoint(path, device="cpu", out=file)
    assert {file: file.read_bytes() for file in before} == before
    assert evaluate_checkpoint(path, device="cpu") == evaluate_checkpoint(path, device="cpu")


def test_mistakes_name_the_settings_of_an_evaluation(finished, tmp_path: Path):
    _, folder = finished
    path = folder / "checkpoints" / "best.ckpt"
    with pytest.raises(ValueError, match=r"^eval_batch_size must be at least 1, got 0; set eval_batch_size$"):
        evaluate_checkpoint(path, device="cpu", eval_batch_size=0)
    with pytest.raises(ValueError, match=r"^mc_samples must be at least 1, got 0; set mc_samples$"):
        evaluate_checkpoint(path, device="cpu", mc_samples=0)
    checkpoint = load_checkpoint(path)
    checkpoint["trainlab"]["config"]["data"] = {
        "_target_": "trainlab.data.image_folder.ImageFolder",
        "root": str(tmp_path / "gone"),
        "cache_dir": str(tmp_path),
    }
    torch.save(checkpoint, tmp_path / "moved.ckpt")
    with pytest.raises(FileNotFoundError, match=r"set data_root"):
        evaluate_checkpoint(tmp_path / "moved.ckpt", device="cpu")


def test_what_is_wrong_with_images_points_to_no_setting_of_the_training(finished, tmp_path: Path):
    _, folder = finished
    checkpoint = load_checkpoint(folder / "checkpoints" / "best.ckpt")
    for split in ("train", "test"):
        for name in checkpoint["trainlab"]["classes"]:
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "1.png").write_text("no image")
    settings = {"_target_": "trainlab.data.image_folder.ImageFolder", "root": str(tmp_path), "cache_dir": str(tmp_path)}
    path, advice = tmp_path / "other.ckpt", "set data_root to the data it was trained with$"
    checkpoint["trainlab"]["config"]["data"] = settings
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match=r"1\.png is corrupt or not an image; " + advice):
        evaluate_checkpoint(path, device="cpu")


def test_other_images_are_said_to_be_and_need_not_be_enough_for_a_training(finished, tmp_path: Path, caplog):
    _, folder = finished
    checkpoint = load_checkpoint(folder / "checkpoints" / "best.ckpt")
    for split in ("train", "test"):
        for name in checkpoint["trainlab"]["classes"]:
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(tmp_path / split / name / "1.png")
    checkpoint["trainlab"]["classes"].sort()
    settings = {"root": str(tmp_path), "cache_dir": str(tmp_path / "cache"), "val_size": 5000, "batch_size": 999}
    checkpoint["trainlab"]["config"]["data"] = {"_target_": "trainlab.data.image_folder.ImageFolder", **settings}
    torch.save(checkpoint, tmp_path / "other.ckpt")
    with caplog.at_level(logging.INFO):
        figures = evaluate_checkpoint(tmp_path / "other.ckpt", device="cpu", out=tmp_path / "eval.json")
    assert torch.tensor(figures["confusion"]).sum() == 10
    digests = f"{figures['data_digest']}, run's data digest {checkpoint['trainlab']['data_digest']}"
    assert f"evaluating on other images than the run's: data digest {digests}" in caplog.messages
    caplog.clear()
    evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu")
    assert "other images" not in caplog.text


@pytest.mark.parametrize("device", ["cuda:99", "meta", "toaster"])
def test_a_device_that_there_is_not(device: str, finished):
    with pytest.raises(ValueError, match=f"^device '{device}' is not available; set device$"):
        evaluate_checkpoint(finished[1] / "checkpoints" / "best.ckpt", device=device)


def test_a_class_without_test_images_has_no_accuracy(train, capsys):
    _, folder = train("trainer.max_epochs=1", "data.num_test=5")
    evaluate_checkpoint(folder / "checkpoints" / "best.ckpt", device="cpu")
    written = json.loads((folder / "eval.json").read_text(), parse_constant=pytest.fail)  # NaN is no JSON
    assert sum(accuracy is None for accuracy in written["class_acc"].values()) >= 5
    show(written)
    assert "nan" not in capsys.readouterr().out


def test_a_terminal_shows_the_metrics_of_any_task(capsys):
    r2, loss = Metric("max", "validation r2", "val_r2", ".3f"), Metric("min", "validation loss", "val_loss", ".1f")
    show({"task": TaskMetrics.of(r2, r2, [loss]).entry(), "test_loss": 1.25, "test_r2": 0.5})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["│", "r2", "│", "0.500", "│"] in rows and ["│", "loss", "│", "1.2", "│"] in rows
