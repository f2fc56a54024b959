"""Any number of labels of each image."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from trainlab.tasks.classification import check_weights
from trainlab.tasks.task import NONE, Metrics, Task, TaskData, describe_targets


class MultiLabel(Task):
    """Binary cross-entropy of each label, the mean over labels; the score is the share of labels that are right.

    Targets are 0 or 1, (B, L). `val/loss` is without weights.

    Args:
        pos_weights: weight of each label in the training loss where it is 1; "balanced" for the number of zeros by
            that of ones in the training split.
        primary: see `Task`.
        metrics: see `Task`. They get probabilities and int64 targets.

    Raises:
        ValueError: an argument is out of range.
    """

    score, score_label, specs, predicts = "acc", "label accuracy", (".4f", ".2%"), "probability"

    def __init__(
        self,
        *,
        pos_weights: Sequence[float] | Literal["balanced"] | None = None,
        primary: str = "val/loss",
        metrics: Metrics = NONE,
    ) -> None:
        super().__init__(primary=primary, metrics=metrics)
        check_weights("pos_weights", pos_weights)
        self.pos_weights = pos_weights
        self._weights: Tensor | None = None  # (L,) on the device of the training

    def check(self, data: TaskData) -> None:
        """Check that there are labels, each 0 or 1.

        Raises:
            ValueError: there are not, or another number of weights.
        """
        targets = data.example_targets(1)
        if targets.ndim != 2 or targets.dtype == torch.int64:
            raise ValueError(
                f"task=multilabel needs labels 0 or 1, uint8 (N, L), the data have {describe_targets(targets)}; "
                f"set {'data to labels (N, L)' if targets.is_floating_point() else 'task=classification'}"
            )
        check_weights("pos_weights", self.pos_weights, data.count_classes())

    def prepare(self, targets: Tensor) -> None:
        """Check the targets, and compute the weights of the labels."""
        if not bool(((targets == 0) | (targets == 1)).all()):
            low, high = map(float, targets.aminmax())
            raise ValueError(f"labels must be 0 or 1, got {low:g} to {high:g}; set data.path")
        if isinstance(self.pos_weights, str):
            ones = targets.float().sum(0)
            self._weights = (len(targets) - ones) / ones.clamp(min=1)  # no weight is infinite
        elif self.pos_weights is not None:
            self._weights = torch.tensor(self.pos_weights, dtype=torch.float32, device=targets.device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over labels and images, weighted as set."""
        weights = None if self._weights is None else self._weights.to(outputs.dtype)
        return functional.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype), pos_weight=weights)

    def evaluation_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over labels of each image (B,), in nats."""
        of_labels = functional.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype), reduction="none")
        return of_labels.mean(-1)

    def score_images(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Share of labels that are right where the probability is above 1/2 for 1 (B,)."""
        return ((outputs > 0) == (targets > 0.5)).float().mean(-1)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probability of each label (B, L)."""
        return outputs.sigmoid()

    def caption(self, target: Tensor, names: Sequence[str]) -> str:
        """The labels that are 1."""
        return "\n".join(name for name, value in zip(names, target.tolist(), strict=True) if value)

    def metric_inputs(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and int64 targets (B, L)."""
        return self.predictions(outputs), targets.long()
