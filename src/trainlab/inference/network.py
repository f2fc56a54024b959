"""Loss and accuracy of a network on a set of images."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_confusion_matrix


@dataclass(frozen=True)
class Evaluation:
    """Results of a network on a set of images. Tensors are on the CPU.

    Attributes:
        loss: mean cross-entropy in nats.
        logits: float32 (N, C).
        labels: int64 (N,).
        confusion: int64 (C, C), number of images of class i (rows) predicted as class j (columns).
    """

    loss: float
    logits: Tensor
    labels: Tensor
    confusion: Tensor

    @property
    def predictions(self) -> Tensor:
        """The class with the largest logit, int64 (N,)."""
        return self.logits.argmax(1)

    @property
    def accuracy(self) -> float:
        """Accuracy in [0, 1]."""
        return int(self.confusion.diagonal().sum()) / int(self.confusion.sum())

    @property
    def class_accuracy(self) -> list[float | None]:
        """Accuracy on each class; None for a class without images."""
        rows = zip(self.confusion.diagonal().tolist(), self.confusion.sum(1).tolist(), strict=True)
        return [correct / images if images else None for correct, images in rows]


@torch.inference_mode()
def evaluate(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], num_classes: int) -> Evaluation:
    """Evaluate ``network``, in evaluation mode, in float32, on (images, labels) batches on its device."""
    network.eval()
    losses, all_logits, labels = [], [], []
    for images, batch_labels in batches:
        logits = network(images)
        losses.append(functional.cross_entropy(logits, batch_labels, reduction="none").cpu().double())
        all_logits.append(logits.cpu())
        labels.append(batch_labels.cpu())
    logits, label = torch.cat(all_logits), torch.cat(labels)
    confusion = multiclass_confusion_matrix(logits.argmax(1), label, num_classes)
    return Evaluation(float(torch.cat(losses).mean()), logits, label, confusion)


@contextmanager
def in_mode(network: nn.Module, training: bool) -> Iterator[None]:
    """Set training or evaluation mode; afterwards each module has its previous mode."""
    modes = {part: part.training for part in network.modules()}
    network.train(training)
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
