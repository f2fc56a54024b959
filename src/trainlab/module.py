"""One training and validation step, the loss, and the optimizer: what Lightning drives."""

import math
from collections.abc import Callable
from types import MethodType
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import LRSchedulerTypeUnion
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from trainlab.flat import FlatParameters
from trainlab.randomness import CounterDraws

Batch = tuple[Tensor, Tensor]  # uint8 images (B, C, H, W), int64 labels (B,)
STEPS_BETWEEN_LOSS_CHECKS = 100  # each check waits for the device


class Diverged(ArithmeticError):
    """The training loss is not finite."""


class Classifier(lightning.LightningModule):
    """Trains ``network`` with cross-entropy.

    Args:
        network: raw uint8 images (B, C, H, W) -> logits (B, classes).
        optimizer: parameters -> optimizer.
        scheduler: (optimizer, total steps) -> Lightning's scheduler dictionary or None.
        label_smoothing: share of the target spread over all classes, in [0, 1); in the training loss alone.
        compile: compile the network and the optimizer's step for training.

    Raises:
        ValueError: ``label_smoothing`` is out of range.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[[list[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer, int], dict[str, Any] | None],
        label_smoothing: float = 0.0,
        compile: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}; set label_smoothing")
        self.network = network
        self.label_smoothing = label_smoothing
        self._build_optimizer, self._build_scheduler = optimizer, scheduler
        self._compile = compile
        self._compiled = torch.compile(self._objective, dynamic=False) if compile else self._objective
        self._draws = [m for m in network.modules() if isinstance(m, CounterDraws)]
        self.val_metrics: dict[str, float] = {}  # of this epoch; empty until it is validated

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes the hook it is in forty times a step, and torch looks at each value for a parameter in it.
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def configure_optimizers(self) -> Any:
        """The optimizer over all parameters laid end to end, and its schedule over the steps of the whole run."""
        self._flat = FlatParameters(self.network)
        optimizer = self._build_optimizer([self._flat.parameter])
        if self._compile:
            optimizer.step = _compiled_step(optimizer)  # type: ignore[method-assign]
        total_steps = self.trainer.estimated_stepping_batches
        schedule = self._build_scheduler(optimizer, 0 if math.isinf(total_steps) else int(total_steps))
        return {"optimizer": optimizer} | ({"lr_scheduler": schedule} if schedule else {})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make room for float64 weights; Lightning converts the network only after it has loaded them."""
        if self.trainer.precision == "64-true":
            self.double()

    def on_train_start(self) -> None:
        """Make room for the losses of an epoch; tell the random layers which rows of a batch this process has."""
        self._losses = torch.zeros(int(self.trainer.num_training_batches), device=self.device)
        self._train_correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for draws in self._draws:
            draws.row_offset, draws.row_stride = self.trainer.global_rank, self.trainer.world_size

    def on_train_epoch_start(self) -> None:
        """Start the sums of the epoch."""
        self._train_correct.zero_()
        self._sizes: list[int] = []
        self.val_metrics = {}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The mean loss of a batch; its sums stay on the device."""
        images, labels = batch
        for draws in self._draws:
            draws.step.fill_(self.current_epoch * len(self._losses) + batch_idx)
        # A last, smaller batch is not worth a compilation of its own.
        full = not self._sizes or len(labels) == self._sizes[0]
        loss, correct = (self._compiled if full else self._objective)(images, labels)
        self._losses[batch_idx] = loss.detach()
        self._train_correct += correct
        self._sizes.append(len(labels))
        return loss

    def _objective(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of a batch and how many of it are right."""
        logits = at_least_float32(self.network(images))
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        return loss, (logits.detach().argmax(1) == labels).sum()

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        """Stop a training whose loss is not finite."""
        if (batch_idx + 1) % STEPS_BETWEEN_LOSS_CHECKS == 0 or batch_idx + 1 == len(self._losses):
            self._check_losses(max(0, batch_idx + 1 - STEPS_BETWEEN_LOSS_CHECKS), batch_idx + 1)

    def _check_losses(self, start: int, end: int) -> None:
        finite = self._losses[start:end].isfinite()
        if bool(finite.all()):
            return
        batch_idx = start + int((~finite).nonzero()[0])
        step = self.current_epoch * len(self._losses) + batch_idx
        lr = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
        raise Diverged(
            f"the loss is not finite at step {step} (epoch {self.current_epoch}, batch {batch_idx}, "
            f"learning rate {lr:.3g}); lower optim.lr or set trainer.gradient_clip_val=1"
        )

    def on_train_epoch_end(self) -> None:
        """Step a schedule that watches a metric, before the checkpoint is written."""
        schedule = self.lr_schedulers()
        if isinstance(schedule, ReduceLROnPlateau):
            monitor = self.trainer.lr_scheduler_configs[0].monitor
            if monitor in self.val_metrics:
                schedule.step(self.val_metrics[monitor])

    def lr_scheduler_step(self, scheduler: LRSchedulerTypeUnion, metric: Any | None) -> None:
        """Step a schedule that counts; Lightning steps one that watches a metric only after the checkpoint."""
        if metric is None:
            scheduler.step()  # type: ignore[call-arg]

    def train_sums(self) -> Tensor:
        """(3,) float64: sum of losses, number right, number of images of the epoch, over all processes."""
        sizes = torch.tensor(self._sizes, dtype=torch.float64)
        loss = (self._losses[: len(sizes)].cpu().double() * sizes).sum()
        return self._reduce(torch.stack([loss, self._train_correct.cpu().double(), sizes.sum()]))

    def on_validation_epoch_start(self) -> None:
        """Start the sums of the validation."""
        # Apple's GPUs have no float64.
        kind = torch.float32 if self.device.type == "mps" else torch.float64
        self._val = torch.zeros(3, device=self.device, dtype=kind)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the sums."""
        images, labels = batch
        logits = at_least_float32(self.network(images))
        self._val[0] += functional.cross_entropy(logits, labels, reduction="sum")
        self._val[1] += (logits.argmax(1) == labels).sum()
        self._val[2] += len(labels)

    def on_validation_epoch_end(self) -> None:
        """Publish ``val/loss`` and ``val/acc`` for early stopping, checkpoints and schedules."""
        loss, right, count = self._reduce(self._val.cpu().double()).tolist()
        self.val_metrics = {"val/loss": loss / count, "val/acc": right / count}
        # As tensors: `log` would round Python numbers to float32.
        metrics = {k: torch.tensor(v, dtype=self._val.dtype) for k, v in self.val_metrics.items()}
        self.log_dict(metrics, logger=False, rank_zero_only=False)

    def _reduce(self, sums: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.trainer.world_size == 1:
            return sums
        return self.trainer.strategy.reduce(sums.to(self.device), reduce_op="sum").cpu()

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Drop the gradients of the network's own parameters."""
        self._flat.zero_grad()

    def on_after_backward(self) -> None:
        """Hand the gradients to the optimizer, before they are clipped."""
        self._flat.gather_gradients()


def at_least_float32(logits: Tensor) -> Tensor:
    """Logits in a type fine enough to sum losses in; half-precision networks put out coarser ones."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _compiled_step(optimizer: Optimizer) -> Callable[..., Any]:
    """``optimizer.step`` with the update compiled and the closure, which has its own graphs, left out of it.

    Betas are constants of the compiled update. While a schedule moves them the update is eager.
    """
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(group["lr"])  # a schedule changes it; as a number it would recompile each step
    betas = [group.get("betas") for group in optimizer.param_groups]
    eager, compiled = optimizer.step, torch.compile(optimizer.step)

    def step(self: Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if [group.get("betas") for group in self.param_groups] == betas:
            compiled()
            return loss
        for group in self.param_groups:
            group["lr"] = float(group["lr"])  # eager steps with a tensor are slow
        eager()
        return loss

    return MethodType(step, optimizer)
