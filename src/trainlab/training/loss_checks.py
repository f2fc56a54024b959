"""Whether losses are finite: when that is checked, and the error that ends a training where one is not."""

import torch
from torch.optim import SGD, Optimizer

from trainlab.runs.errors import Diverged

STEPS_BETWEEN_LOSS_CHECKS = 100  # where a check waits for the device, or for other processes


def checks_loss(batches: int, device: torch.device, processes: int = 1) -> bool:
    """Whether the loss is checked to be finite after that many batches of an epoch.

    On a CPU after each one. Elsewhere the check waits for the device: after 1, 2, 4, ... and every 100. Of several
    processes one alone may have such a loss; the others have it soon after, and all end at the same check.
    """
    is_regular = batches % STEPS_BETWEEN_LOSS_CHECKS == 0
    if processes > 1:
        return is_regular
    is_early = batches < STEPS_BETWEEN_LOSS_CHECKS and batches.bit_count() == 1
    return device.type == "cpu" or is_early or is_regular


def training_diverged(epoch: int, batch: int, batches: int, lr: float, advice: str) -> Diverged:
    """The error of a training loss that is not finite.

    Args:
        epoch: of the loss, counted from 0.
        batch: of the epoch, counted from 0.
        batches: of an epoch.
        lr: of the latest step.
        advice: what to set, see `advise`.
    """
    return Diverged(
        f"the loss is not finite at step {epoch * batches + batch + 1} (epoch {epoch + 1}, batch {batch + 1}, "
        f"learning rate {lr:.3g}); {advice}; debug=anomaly names the operation"
    )


def validation_diverged(epoch: int, advice: str) -> Diverged:
    """The error of a validation loss that is not finite, after ``epoch``, counted from 0."""
    return Diverged(
        f"the validation loss is not finite after epoch {epoch + 1}, though the training loss was; {advice}"
    )


def advise(precision: str, optimizer: Optimizer) -> str:
    """What to set where a loss is not finite, in the ``precision`` of the Trainer."""
    if precision == "16-true":
        return "set trainer.precision=bf16-true or 32-true: float16 has no number above 65504"
    clips = isinstance(optimizer, SGD)  # others divide by the size of gradients themselves
    return "lower optim.lr" + " or set trainer.gradient_clip_val=1" * clips
