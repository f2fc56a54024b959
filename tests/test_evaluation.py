import json
import math

import pytest
import torch
from torch import nn

from trainlab.checkpoints import load_checkpoint, rebuild_network
from trainlab.data.shapes import Shapes
from trainlab.evaluation import evaluate, evaluate_checkpoint


class Lookup(nn.Module):
    """Logits that are the image itself; in training mode they are shifted."""

    def forward(self, images):
        return images + (100 * torch.arange(3) if self.training else 0)


# Four images of three classes, none of the last. Probabilities are 1/2, 1/4, 1/4 and the like.
LOGITS = torch.tensor([[2.0, 1, 1], [1, 2, 1], [1, 2, 1], [1, 1, 2]]) * math.log(2)
LABELS = torch.tensor([0, 0, 1, 1])


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_loss_and_confusion_by_hand(batch_size):
    network = Lookup().train()
    batches = zip(LOGITS.split(batch_size), LABELS.split(batch_size), strict=True)
    evaluation = evaluate(network, batches, 3)
    # -log of 1/2, 1/4, 1/2, 1/4: six halvings over four images. float32 losses, hence 1e-6.
    assert evaluation.loss == pytest.approx(6 * math.log(2) / 4, rel=1e-6)
    assert evaluation.predictions.tolist() == [0, 1, 1, 2]
    assert evaluation.confusion.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert evaluation.accuracy == 0.5
    assert evaluation.class_accuracy[:2] == [0.5, 0.5]
    assert math.isnan(evaluation.class_accuracy[2])
    assert not network.training


def test_evaluation_keeps_no_graph():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 3))
    evaluate(network, [(LOGITS, LABELS)], 3)
    assert all(p.grad is None for p in network.parameters())


@pytest.fixture
def finished(train):
    return train("model=alpha_dropout", "model.dropout=0.5")


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
    shown = capsys.readouterr().out
    assert f"{figures['test_acc']:.2%}" in shown
    assert all(name in shown for name in test.classes)


def test_the_size_of_a_batch_changes_nothing_but_rounding(finished, tmp_path):
    _, folder = finished
    path = folder / "checkpoints" / "last.ckpt"
    whole = evaluate_checkpoint(path, device="cpu", out=tmp_path / "whole.json")
    parts = evaluate_checkpoint(path, device="cpu", eval_batch_size=7, out=tmp_path / "parts.json")
    assert parts["test_loss"] == pytest.approx(whole["test_loss"], rel=1e-6)  # other kernels, float32
    assert parts["confusion"] == whole["confusion"]
    assert not (folder / "eval.json").exists()
