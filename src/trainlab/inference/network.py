"""Loss, score and metrics of a network on a set of images."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_confusion_matrix

from trainlab.randomness import derive_seed, global_generators_restored, seed_global_generators
from trainlab.tasks.classification import Classification
from trainlab.tasks.running_metrics import RunningMetrics
from trainlab.tasks.task import Task


@dataclass(frozen=True)
class Evaluation:
    """Results of a network on a set of images. Tensors are on the CPU.

    Attributes:
        loss: mean loss, by the task's `evaluation_loss`: for a classification the cross-entropy in nats.
        score: mean score, for a classification the accuracy in [0, 1].
        score_name: its short name, such as "acc".
        metrics: the task's other metrics by name.
        outputs: float32 (N, outputs), for a classification logits.
        targets: (N, ...), for a classification int64 labels (N,).
        confusion: of a classification, int64 (C, C), number of images of class i (rows) predicted as class j (columns).
    """

    loss: float
    score: float
    score_name: str
    metrics: dict[str, float]
    outputs: Tensor
    targets: Tensor
    confusion: Tensor | None = None

    def of_split(self, split: str) -> dict[str, float]:
        """All metrics under their keys in a result, for a split "val" or "test"."""
        found = {"loss": self.loss, self.score_name: self.score} | self.metrics
        return {f"{split}_{name}": value for name, value in found.items()}

    @property
    def predictions(self) -> Tensor:
        """Of a classification: the class with the largest logit, int64 (N,)."""
        return self.outputs.argmax(1)

    @property
    def accuracy(self) -> float:
        """Of a classification: accuracy in [0, 1]."""
        assert self.confusion is not None
        return int(self.confusion.diagonal().sum()) / int(self.confusion.sum())

    @property
    def class_accuracy(self) -> list[float | None]:
        """Of a classification: accuracy on each class; None for a class without images."""
        assert self.confusion is not None
        rows = zip(self.confusion.diagonal().tolist(), self.confusion.sum(1).tolist(), strict=True)
        return [correct / images if images else None for correct, images in rows]


@torch.inference_mode()
def evaluate(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], task: Task | None = None, seed: int = 0
) -> Evaluation:
    """Evaluate ``network``, in evaluation mode, in float32, on (images, targets) batches on its device.

    Args:
        network: images -> outputs.
        batches: of this process; others are not waited for.
        task: what the network has learned; None for a classification.
        seed: of the run, from which what a network draws in evaluation mode follows.
    """
    network.eval()
    task = task or Classification()
    losses, scores, all_outputs, all_targets = [], [], [], []
    running: RunningMetrics | None = None
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    with global_generators_restored(device):
        seed_global_generators(derive_seed(seed, "test"), device)
        for images, targets in batches:
            outputs = network(images)
            running = running or RunningMetrics(task, outputs.device, of_all_processes=False)
            running.update(outputs, targets)
            losses.append(task.evaluation_loss(outputs, targets).cpu().double())
            scores.append(task.score_images(outputs, targets).cpu().double())
            all_outputs.append(outputs.cpu())
            all_targets.append(targets.cpu())
    outputs, truth = torch.cat(all_outputs), torch.cat(all_targets)
    confusion = None
    if isinstance(task, Classification):
        confusion = multiclass_confusion_matrix(outputs.argmax(1), truth, outputs.shape[1])
    return Evaluation(
        float(torch.cat(losses).mean()),
        float(torch.cat(scores).mean()),
        task.score,
        running.compute() if running else {},
        outputs,
        truth,
        confusion,
    )


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
