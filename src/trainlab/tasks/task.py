"""What is learned: the base class of tasks."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Protocol

import torch
import torchmetrics
from torch import Tensor
from torch.func import vmap

from trainlab.tasks.metrics import METRICS, Metric, metric_of
from trainlab.tasks.reported import TaskMetrics

Metrics = Mapping[str, torchmetrics.Metric]
NONE: Metrics = MappingProxyType({})
# outputs (M, B, ...) and targets (M, B, ...) of M members -> mean losses (M,), sums of scores (M,)
MemberLosses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class TaskData(Protocol):
    """What a task knows of the data before an image is read."""

    more_classes: str  # advice in the error message for data with only one class

    def count_classes(self) -> int:
        """Number of names, as of classes, labels or values."""

    def example_targets(self, count: int) -> Tensor:
        """Zeros of the type and shape of ``count`` targets."""


class Task(ABC):
    """The loss that is minimized, the metrics, and the one that runs are chosen by.

    A task of your own has at least `evaluation_loss` and `score_images`, and the attributes of its score. Outputs are
    those of the network, (B, count_outputs), in float32 or finer; targets are those of the data, (B, ...).

    Args:
        primary: the metric by which checkpoints, early stopping, schedules and searches choose: "val/loss",
            "val/<score>" or "val/<one of metrics>".
        metrics: of torchmetrics, by name. They get `predictions` and targets, and are computed over the validation
            images after each epoch and over the test images at the end.

    Attributes:
        score: short name of the score, whose mean over the images is `train/<score>` and `val/<score>`.
        score_mode: the direction in which it improves, "min" or "max".
        score_label: its name for display.
        specs: format specifications of a loss and of a score.
        predicts: what `predictions` are, "probability" or "value"; named in the output of predictions.

    Raises:
        ValueError: an argument is out of range.
    """

    score: ClassVar[str] = "score"
    score_mode: ClassVar[str] = "max"
    score_label: ClassVar[str] = "score"
    specs: ClassVar[tuple[str, str]] = (".4g", ".4g")
    predicts: ClassVar[str] = "value"

    def __init__(self, *, primary: str = "val/loss", metrics: Metrics = NONE) -> None:
        self.metrics = dict(metrics)
        for name in self.metrics:
            if name in ("loss", self.score) or not name.isidentifier():
                raise ValueError(
                    f"a metric needs a name of letters, digits and _ that is neither loss nor {self.score}, "
                    f"got {name!r}; set task.metrics"
                )
        if self.metric(primary, "task.primary").mode is None:
            raise ValueError(f"primary must be a metric that is better high or low, got {primary!r}; set task.primary")
        self.primary = primary

    @property
    def compared_by(self) -> str:
        """The metric that runs are compared by in reports."""
        return self.primary

    @property
    def known(self) -> dict[str, Metric]:
        """The validation metrics by name; the loss and the score come first."""
        loss, score = self.specs
        found = {
            "val/loss": Metric("min", METRICS["val/loss"].label, "val_loss", loss),
            f"val/{self.score}": Metric(self.score_mode, f"validation {self.score_label}", f"val_{self.score}", score),
        }
        for name, metric in self.metrics.items():
            mode = {True: "max", False: "min", None: None}[metric.higher_is_better]
            found[f"val/{name}"] = Metric(mode, f"validation {name.replace('_', ' ')}", f"val_{name}", ".4g")
        return found

    def metric(self, name: str, key: str) -> Metric:
        """The metric ``name``, which is the value of the setting ``key``.

        Raises:
            ValueError: the task has no such metric.
        """
        return metric_of(name, key, self.known)

    @property
    def reported(self) -> TaskMetrics:
        """The metrics as a result names them."""
        known = self.known
        return TaskMetrics.of(known[self.primary], known[self.compared_by], [*known.values()])

    def check(self, data: TaskData) -> None:
        """Check that the targets of ``data`` are what is learned, without reading an image.

        Raises:
            ValueError: they are not.
        """
        return

    def count_outputs(self, data: TaskData) -> int:
        """Number of outputs that the network must return for each image."""
        return data.count_classes()

    @property
    def needs_targets(self) -> bool:
        """Whether `prepare` reads the targets, and not only their type and device."""
        return type(self).prepare is not Task.prepare

    def prepare(self, targets: Tensor) -> None:
        """Take what `loss` needs of the targets of the training split, on whose device it is computed.

        Raises:
            ValueError: a target has a value that it cannot have.
        """
        return

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over a batch, (); what is minimized."""
        return self.evaluation_loss(outputs, targets).mean()

    def loss_weight(self, targets: Tensor) -> float | Tensor:
        """Weight of the `loss` of a batch in the mean over several, (): that of all images in one batch."""
        return len(targets)

    @abstractmethod
    def evaluation_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of each image (B,), whose mean is `val/loss`."""

    def sum_evaluation_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Its sum over a batch, ()."""
        return self.evaluation_loss(outputs, targets).sum()

    @abstractmethod
    def score_images(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Score of each image (B,), bool or float, whose mean is `val/<score>`."""

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities or values (B, count_outputs)."""
        return outputs

    def caption(self, target: Tensor, names: Sequence[str]) -> str:
        """A target of one image for display, below its picture."""
        return ", ".join(f"{value:.4g}" for value in target.flatten().tolist())

    def metric_inputs(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What the metrics of torchmetrics get of a batch."""
        return self.predictions(outputs), targets

    def loss_of_members(self, tasks: "Sequence[Task]", like: Tensor) -> MemberLosses:
        """Losses of a population's members at once, on the device of ``like``; this is the first of their ``tasks``."""

        def losses(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            scores = vmap(self.score_images, randomness="error")(outputs.detach(), targets)
            return vmap(self.loss, randomness="error")(outputs, targets), scores.sum(-1)

        return losses


def describe_targets(targets: Tensor) -> str:
    """Type and shape for messages, such as "float32 (N, 3)"."""
    shape = ", ".join(["N", *map(str, targets.shape[1:])])
    return f"{str(targets.dtype).removeprefix('torch.')} ({shape}{',' * (targets.ndim == 1)})"


def vmap_problem(task: Task, data: TaskData) -> str:
    """Why the losses of members of a population cannot be computed at once; "" if they can."""
    draws = torch.Generator().manual_seed(0)
    outputs = torch.rand(2, 4, task.count_outputs(data), generator=draws)
    targets = torch.stack([data.example_targets(4)] * 2)
    name = type(task).__name__
    try:
        ours, theirs = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
        losses, scores = task.loss_of_members([task, task], outputs)(ours, targets)
        alone = [task.loss(*one) for one in zip(theirs, targets, strict=True)]
        of_images = [task.score_images(*one).sum() for one in zip(theirs.detach(), targets, strict=True)]
        losses.sum().backward()
        torch.stack(alone).sum().backward()
    except Exception as error:
        return f"{name} cannot be batched by torch.func.vmap ({vmap_reason(error)})"
    pairs = [(losses, torch.stack(alone)), (scores, torch.stack(of_images))]
    if ours.grad is not None and theirs.grad is not None:
        pairs.append((ours.grad, theirs.grad))
    if not all(torch.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True) for a, b in pairs):
        return f"{name} has another loss when it is batched by torch.func.vmap"
    return ""


# What is in the messages of torch, and what it means.
_VMAP_REASONS = {
    "data-dependent control flow": "its control flow depends on values of a tensor",
    ".item()": "it takes the value of a tensor, as .item() does",
    "dynamic shape": "shapes in it depend on values of a tensor",
    "doesn't have storage": "it leaves torch, as .numpy() does",
}


def vmap_reason(error: Exception) -> str:
    """Why `torch.func.vmap` cannot batch a function: the first sentence of ``error``, or what that means."""
    text = str(error).strip() or type(error).__name__
    if "atching rule" in text and (operation := re.search(r"aten::\w+(\.\w+)?", text)):
        return f"torch has no batching rule for {operation[0]}"
    if known := [reason for part, reason in _VMAP_REASONS.items() if part in text]:
        return known[0]
    return text.splitlines()[0].partition(". ")[0].removesuffix(".")
