"""One class of each image."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from trainlab.tasks.task import NONE, MemberLosses, Metrics, Task, TaskData, describe_targets


class Classification(Task):
    """Cross-entropy of the class of each image; the score is the accuracy.

    Targets are int64 (B,), or probabilities (B, C), as of mixed images, which count as their largest. `val/loss` and
    `test_loss` are the cross-entropy, without smoothing, weights or focus, so that runs of any loss can be compared.

    Args:
        label_smoothing: fraction of the target spread over all classes, in [0, 1); only in the training loss.
        class_weights: weight of each class in the training loss; "balanced" for N / (C n_c), from the training split.
        focal_gamma: exponent of (1 - p), by which each term of the training loss is multiplied; 0 for none. See Lin et
            al., "Focal Loss for Dense Object Detection" (2017).
        primary: see `Task`.
        metrics: see `Task`.

    Raises:
        ValueError: an argument is out of range.
    """

    score, score_label, specs, predicts = "acc", "accuracy", (".4f", ".2%"), "probability"

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | Literal["balanced"] | None = None,
        focal_gamma: float = 0.0,
        primary: str = "val/loss",
        metrics: Metrics = NONE,
    ) -> None:
        super().__init__(primary=primary, metrics=metrics)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}; set task.label_smoothing")
        if not focal_gamma >= 0:
            raise ValueError(f"focal_gamma must be at least 0, got {focal_gamma}; set task.focal_gamma")
        check_weights("class_weights", class_weights)
        self.label_smoothing, self.class_weights, self.focal_gamma = label_smoothing, class_weights, focal_gamma
        self._weights: Tensor | None = None  # (C,) on the device of the training
        self._count = 0  # of classes

    @property
    def compared_by(self) -> str:
        """The accuracy, unless another metric than the loss is the primary one."""
        return f"val/{self.score}" if self.primary == "val/loss" else self.primary

    def check(self, data: TaskData) -> None:
        """Check that there are classes, at least two.

        Raises:
            ValueError: there are not, or another number of weights.
        """
        targets = data.example_targets(1)
        if targets.dtype != torch.int64 or targets.ndim != 1:
            raise ValueError(
                f"task=classification needs classes, int64 (N,), the data have {describe_targets(targets)}; "
                "set task=multilabel or task=regression"
            )
        if (count := data.count_classes()) < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {count}; {data.more_classes}")
        self._count = count
        check_weights("class_weights", self.class_weights, count)

    @property
    def needs_targets(self) -> bool:
        """For balanced weights."""
        return isinstance(self.class_weights, str)

    def prepare(self, targets: Tensor) -> None:
        """Compute the weights of the classes."""
        if self.class_weights is None:
            return
        if isinstance(self.class_weights, str):
            counts = targets.bincount(minlength=self._count).clamp(min=1)  # no weight is infinite
            self._weights = len(targets) / (self._count * counts.float())
        else:
            self._weights = torch.tensor(self.class_weights, dtype=torch.float32, device=targets.device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy, smoothed, weighted and focused as set."""
        if targets.is_floating_point():
            targets = targets.to(outputs.dtype)
        if self._is_plain:
            return functional.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)
        return weighted_losses(outputs, targets, self.label_smoothing, self._weights, self.focal_gamma)

    def loss_weight(self, targets: Tensor) -> float | Tensor:
        """Number of images, or the sum of the weights of their classes, by which the loss is divided."""
        if self._weights is None or targets.is_floating_point():
            return len(targets)
        return self._weights[targets].sum()

    @property
    def _is_plain(self) -> bool:
        return self.class_weights is None and self.focal_gamma == 0

    def evaluation_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of each image (B,), in nats."""
        return functional.cross_entropy(outputs, targets, reduction="none")

    def sum_evaluation_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Its sum, (); not to the bit that of `evaluation_loss`."""
        return functional.cross_entropy(outputs, targets, reduction="sum")

    def score_images(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Whether the class with the largest output is the right one, bool (..., B)."""
        classes = targets.argmax(-1) if targets.is_floating_point() else targets
        return outputs.argmax(-1) == classes

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities (B, C)."""
        return outputs.softmax(-1)

    def caption(self, target: Tensor, names: Sequence[str]) -> str:
        """The name of the class, of a mixed image that of the largest share."""
        return names[int(target.argmax() if target.ndim else target)]

    def loss_of_members(self, tasks: Sequence[Task], like: Tensor) -> MemberLosses:
        """Losses of members that differ at most in label smoothing."""
        own = type(self)
        if own.loss is not Classification.loss or own.score_images is not Classification.score_images:
            return super().loss_of_members(tasks, like)
        shares = [task.label_smoothing for task in tasks if isinstance(task, Classification)]
        smoothing = torch.tensor(shares, dtype=like.dtype, device=like.device)[:, None]

        def losses(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            scores = self.score_images(outputs.detach(), targets).sum(-1)
            if self._is_plain:
                return mean_losses(outputs, targets, smoothing), scores
            return weighted_losses(outputs, targets, smoothing, self._weights, self.focal_gamma), scores

        return losses


def mean_losses(logits: Tensor, targets: Tensor, smoothing: Tensor) -> Tensor:
    """Mean cross-entropy (M,) of logits (M, B, C), with torch's label smoothing (M, 1)."""
    logs = functional.log_softmax(logits, -1)
    if targets.is_floating_point():  # probabilities (M, B, C)
        of_label = (targets * logs).sum(-1)
    else:
        is_label = targets[..., None] == torch.arange(logits.shape[-1], device=targets.device)
        of_label = torch.where(is_label, logs, 0).sum(-1)
    # Not 0 times the mean, which may be infinite.
    spread = torch.where(smoothing > 0, smoothing * logs.mean(-1), 0)
    return -((1 - smoothing) * of_label + spread).mean(-1)


def weighted_losses(
    logits: Tensor, targets: Tensor, smoothing: Tensor | float, weights: Tensor | None, gamma: float
) -> Tensor:
    """Mean over a batch (...) of the sum over classes of w q (1 - p)^gamma (-log p), with q the smoothed target.

    With classes as targets the mean is weighted by the weight of the right class, as in `torch.nn.CrossEntropyLoss`.

    Args:
        logits: (..., B, C).
        targets: int64 (..., B), or probabilities (..., B, C).
        smoothing: share of the target that is spread, a number or (..., 1).
        weights: (C,); None for ones.
        gamma: the exponent.
    """
    logs = functional.log_softmax(logits, -1)
    q = targets if targets.is_floating_point() else functional.one_hot(targets, logits.shape[-1]).to(logs.dtype)
    if not isinstance(smoothing, float | int):
        smoothing = smoothing[..., None]
    q = (1 - smoothing) * q + smoothing / logits.shape[-1]
    terms = -q * torch.where(q > 0, logs, 0)
    if gamma:
        # Its smallest value keeps the derivative of the power finite.
        terms = terms * (1 - logs.exp()).clamp(min=torch.finfo(logs.dtype).eps) ** gamma
    if weights is None:
        return terms.sum(-1).mean(-1)
    weights = weights.to(logs.dtype)
    losses = (terms * weights).sum(-1)
    return losses.mean(-1) if targets.is_floating_point() else losses.sum(-1) / weights[targets].sum(-1)


def check_weights(name: str, weights: Sequence[float] | str | None, count: int | None = None) -> None:
    """Raise ValueError unless the setting ``name`` of the task is None, "balanced", or ``count`` weights."""
    if weights is None or weights == "balanced":
        return
    if isinstance(weights, str) or not all(weight >= 0 for weight in weights) or not any(weights):
        raise ValueError(
            f"{name} must be null, balanced, or a list of numbers of at least 0, not all 0, got {weights!r}; "
            f"set task.{name}"
        )
    if count is not None and len(weights) != count:
        raise ValueError(f"{name} must be {count} numbers, one for each name, got {len(weights)}; set task.{name}")
