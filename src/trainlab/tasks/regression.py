"""Values of each image."""

from typing import Literal

from torch import Tensor
from torch.nn import functional

from trainlab.tasks.task import NONE, Metrics, Task, TaskData, describe_targets

_CRITERIA = ("mse", "mae", "huber")


class Regression(Task):
    """Mean squared, absolute or Huber error of one value or several; the score is the mean absolute error.

    Targets are floats (B,) or (B, K), in any unit: predictions and score are in the same. Networks learn best where
    they have a standard deviation of about 1. `val/loss` and `test_loss` are the mean squared error, whatever the
    criterion, so that runs of any can be compared.

    Args:
        criterion: of the training loss: "mse", "mae" or "huber".
        huber_delta: of "huber": the error at which it becomes linear.
        primary: see `Task`.
        metrics: see `Task`. They get values and targets (B, K), or (B,) of one value.

    Raises:
        ValueError: an argument is out of range.
    """

    score, score_mode, score_label = "mae", "min", "mean absolute error"

    def __init__(
        self,
        *,
        criterion: Literal["mse", "mae", "huber"] = "mse",
        huber_delta: float = 1.0,
        primary: str = "val/loss",
        metrics: Metrics = NONE,
    ) -> None:
        super().__init__(primary=primary, metrics=metrics)
        if criterion not in _CRITERIA:
            raise ValueError(f"criterion must be one of {', '.join(_CRITERIA)}, got {criterion!r}; set task.criterion")
        if not huber_delta > 0:
            raise ValueError(f"huber_delta must be above 0, got {huber_delta}; set task.huber_delta")
        self.criterion, self.huber_delta = criterion, huber_delta

    def check(self, data: TaskData) -> None:
        """Check that there are values.

        Raises:
            ValueError: there are not.
        """
        targets = data.example_targets(1)
        if not targets.is_floating_point() or targets.ndim > 2:
            raise ValueError(
                f"task=regression needs values, float32 (N,) or (N, K), the data have {describe_targets(targets)}; "
                f"set {'task=classification' if targets.ndim == 1 else 'task=multilabel'}, or data to floats"
            )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean of the criterion over all values, ()."""
        targets = _like(outputs, targets)
        if self.criterion == "mae":
            return functional.l1_loss(outputs, targets)
        if self.criterion == "huber":
            return functional.huber_loss(outputs, targets, delta=self.huber_delta)
        return functional.mse_loss(outputs, targets)

    def evaluation_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error over the values of each image (B,)."""
        return functional.mse_loss(outputs, _like(outputs, targets), reduction="none").mean(-1)

    def score_images(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean absolute error over the values of each image (B,)."""
        return (outputs - _like(outputs, targets)).abs().mean(-1)

    def metric_inputs(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Values and targets, without the last axis if there is one value."""
        targets = _like(outputs, targets)
        return (outputs[:, 0], targets[:, 0]) if outputs.shape[1] == 1 else (outputs, targets)


def _like(outputs: Tensor, targets: Tensor) -> Tensor:
    """Targets (B,) or (B, K) in the type and shape of outputs (B, K)."""
    return targets.to(outputs.dtype).reshape(outputs.shape)
