"""Gradients of several batches in one step."""

from torch import Tensor


class Accumulation:
    """Weighs the losses of the batches of a step, so that their gradients sum to that of the one batch of all images.

    The loss of a batch is a mean with a weight, such as the number of its images, and that of all batches the mean of
    these by their weights, whose sum is known at the end: until then gradients are divided by the images of a full
    step.

    Args:
        images: of a step of full batches.
    """

    def __init__(self, images: int) -> None:
        self._full, self._sum = images, _NOTHING

    def add(self, loss: Tensor, weight: float | Tensor) -> Tensor:
        """The loss of a batch as it is to be differentiated."""
        weight = weight.to(loss.dtype) if isinstance(weight, Tensor) else weight
        self._sum = self._sum + weight
        return loss * (weight / self._full)

    def finish(self) -> float | Tensor | None:
        """The factor of the summed gradient, None for 1; the next batch is the first of another step."""
        total, self._sum = self._sum, _NOTHING
        return None if isinstance(total, int) and total == self._full else self._full / total


_NOTHING: float | Tensor = 0
