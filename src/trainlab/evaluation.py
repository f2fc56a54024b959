"""Loss and accuracy of a network on a set of images, and of a checkpoint on its test set."""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_confusion_matrix

from trainlab.checkpoints import load_checkpoint, rebuild_data, rebuild_network
from trainlab.files import write_atomically

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What a network does on a set of images.

    Attributes:
        loss: mean cross-entropy in nats.
        predictions: int64 (N,), on the CPU.
        confusion: int64 (C, C), images of class i taken for class j.
    """

    loss: float
    predictions: Tensor
    confusion: Tensor

    @property
    def accuracy(self) -> float:
        """Share of images that are right, in [0, 1]."""
        return int(self.confusion.diagonal().sum()) / int(self.confusion.sum())

    @property
    def class_accuracy(self) -> list[float]:
        """The same for the images of each class; NaN for a class without images."""
        return (self.confusion.diagonal().double() / self.confusion.sum(1)).tolist()


@torch.inference_mode()
def evaluate(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], num_classes: int) -> Evaluation:
    """Evaluate ``network``, in evaluation mode, in float32, on (images, labels) batches on its device."""
    network.eval()
    losses, predictions, labels = [], [], []
    for images, batch_labels in batches:
        logits = network(images)
        losses.append(functional.cross_entropy(logits, batch_labels, reduction="none").cpu().double())
        predictions.append(logits.argmax(1).cpu())
        labels.append(batch_labels.cpu())
    predicted = torch.cat(predictions)
    confusion = multiclass_confusion_matrix(predicted, torch.cat(labels), num_classes)
    return Evaluation(float(torch.cat(losses).mean()), predicted, confusion)


def evaluate_checkpoint(
    path: Path,
    data_root: str | None = None,
    eval_batch_size: int | None = None,
    device: str = "auto",
    out: Path | None = None,
) -> dict[str, Any]:
    """Evaluate a checkpoint on the test set of its data; print the figures and write them.

    Args:
        path: of the checkpoint; network and data are rebuilt from it.
        data_root: where the images lie now, if not where they lay.
        eval_batch_size: images a step; that of the training if None.
        device: "auto", or a torch device.
        out: file to write; None for `eval.json` in the folder of the run.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        device = accelerator.type if accelerator else "cpu"
    checkpoint = load_checkpoint(path)
    changes = {"root": data_root, "eval_batch_size": eval_batch_size}
    data = rebuild_data(checkpoint, **{key: value for key, value in changes.items() if value is not None})
    data.check()
    try:
        network = rebuild_network(checkpoint).to(device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device must be one that there is, got {device!r}; set device") from error
    if list(data.classes) != checkpoint["trainlab"]["classes"]:
        raise ValueError(
            f"the data have the classes {', '.join(data.classes)}, the checkpoint has "
            f"{', '.join(checkpoint['trainlab']['classes'])}; set data_root to the data it was trained with"
        )
    batches = ((images.to(device), labels.to(device)) for images, labels in data.test_dataloader())
    evaluation = evaluate(network, batches, len(data.classes))
    figures = {
        "checkpoint": str(path.resolve()),
        "epoch": checkpoint["epoch"],
        "data_digest": data.images.digest,
        "test_loss": evaluation.loss,
        "test_acc": evaluation.accuracy,
        "class_acc": dict(zip(data.classes, evaluation.class_accuracy, strict=True)),
        "confusion": evaluation.confusion.tolist(),
    }
    Console().print(_table(figures))
    out = out or path.resolve().parent.parent / "eval.json"
    write_atomically(out, (json.dumps(figures, indent=2) + "\n").encode())
    log.info("written to %s", out)
    return figures


def _table(figures: dict[str, Any]) -> Table:
    table = Table("test images", "accuracy", caption=f"loss {figures['test_loss']:.4f}")
    table.add_row("all", f"{figures['test_acc']:.2%}", style="bold", end_section=True)
    for name, accuracy in figures["class_acc"].items():
        table.add_row(name, f"{accuracy:.2%}")
    return table
