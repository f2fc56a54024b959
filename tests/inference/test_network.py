import math

import pytest
import torch
from torch import nn

from trainlab.inference import evaluate


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
    evaluation = evaluate(network, batches)
    # -log of 1/2, 1/4, 1/2, 1/4: six halvings over four images. float32 losses, hence 1e-6.
    assert evaluation.loss == pytest.approx(6 * math.log(2) / 4, rel=1e-6)
    assert evaluation.predictions.tolist() == [0, 1, 1, 2]
    assert torch.equal(evaluation.outputs, LOGITS)
    assert torch.equal(evaluation.targets, LABELS)
    assert evaluation.confusion.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert evaluation.accuracy == evaluation.score == 0.5
    assert evaluation.class_accuracy == [0.5, 0.5, None]
    assert not network.training


def test_evaluation_keeps_no_graph():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 3))
    evaluate(network, [(LOGITS, LABELS)])
    assert all(p.grad is None for p in network.parameters())
