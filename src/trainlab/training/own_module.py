"""Training of a LightningModule of the user's: random draws that repeat, and what callbacks ask of it."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from trainlab.randomness import derive_seed, seed_global_generators, seed_torch
from trainlab.runs.errors import Diverged
from trainlab.tasks.metrics import key_of
from trainlab.training.kept_metrics import KeptMetrics
from trainlab.training.lightning_internals import (
    batches_trained,
    logged_in_epoch,
    seed_batches,
    step_plateau_schedules,
)
from trainlab.training.loss_checks import checks_loss

log = logging.getLogger(__name__)


class OwnModuleProgress(Checkpoint):
    """The `Progress` of a LightningModule that is not of trainlab. It seeds what the module and its data draw from.

    The global generators of torch, numpy and Python are seeded by (seed, epoch) before the batches of an epoch are
    drawn and before they are validated, those of torch by (seed, epoch, batch) before each step. So a run that is
    resumed at the end of an epoch draws what an uninterrupted one does.

    It is a `Checkpoint`, because Lightning calls ``on_train_epoch_end`` of these after the module's own, in which
    metrics may be logged.

    Args:
        seed: of the run.
        primary: metric that must be logged in validation.
        write_epoch: is called at the end of an epoch.

    Attributes:
        val_metrics, logs_itself: see `Progress`.
    """

    logs_itself = True

    def __init__(self, seed: int, primary: str, write_epoch: Callable[[Trainer], None]) -> None:
        self._seed, self._primary, self._write_epoch = seed, primary, write_epoch
        self.val_metrics: dict[str, float] = {}
        self._groups: Sequence[Mapping[str, Any]] = ()  # the first of each optimizer
        self._lrs: Sequence[Any] = ()  # of the latest step; a schedule has changed those of the groups
        self.begun_batches = self.begun_images = 0
        self._checked = 0  # losses that are known to be finite
        self._losses: list[Tensor] = []  # of the batches of the epoch, where the training step returns them
        self._sizes: list[int] = []  # images of the batches

    @property
    def accumulate(self) -> int:
        """Batches of an optimizer step."""
        return self._trainer.accumulate_grad_batches

    @property
    def steps_per_epoch(self) -> float:
        """Batches of an epoch; infinite where the data loader has no length."""
        return self._trainer.num_training_batches

    @property
    def rates(self) -> dict[str, float]:
        """`lr` and `momentum` of the first parameters of the first optimizer in the latest step; `lr_1` of the next."""
        found: dict[str, float] = {}
        for number, (group, lr) in enumerate(zip(self._groups, self._lrs, strict=True)):
            own = {"lr": lr, "momentum": group["betas"][0] if "betas" in group else group.get("momentum", 0.0)}
            found |= {f"{name}_{number}" if number else name: float(value) for name, value in own.items()}
        return found

    @property
    def epoch_is_whole(self) -> bool:
        """Whether all batches of the epoch have been trained."""
        return batches_trained(self._trainer)[1]

    def train_metrics(self) -> tuple[dict[str, float], int]:
        """Metrics that were logged in training, over the epoch, and the number of its images, over all processes.

        `train/loss` is the mean of the losses that the training step has returned, unless it logs such a mean itself.
        """
        logged = logged_in_epoch(self._trainer)
        if self._losses and len(self._losses) == len(self._sizes) and "train_loss" not in map(_train_key, logged):
            sizes = torch.tensor(self._sizes, dtype=torch.float64)
            logged = {"train/loss": (torch.stack(self._losses).cpu().double() * sizes).sum() / sizes.sum()} | logged
        kept = {name: value for name, value in logged.items() if not name.endswith("_step")}
        kept = {k: v for k, v in kept.items() if not (k.endswith("_epoch") and k.removesuffix("_epoch") in kept)}
        images = torch.tensor(sum(self._sizes), device=self._trainer.strategy.root_device)
        return self._means(kept), int(self._trainer.strategy.reduce(images, reduce_op="sum"))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Have Lightning draw batches and step schedules where a resumed run does the same."""
        self._trainer = trainer
        if stage == "fit":
            seed_batches(trainer, self._seed_all, derive_seed(self._seed, "order"))
            self._step_schedules = step_plateau_schedules(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for metrics of torchmetrics."""
        self._kept_metrics = KeptMetrics(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check them for the last time."""
        self._warn_of_kept_metrics()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the sums of the epoch."""
        self.val_metrics, self._losses, self._sizes, self._checked = {}, [], [], 0
        self._seed_all("epoch", trainer.current_epoch)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed torch's generators for the step."""
        place = ("step", trainer.current_epoch, batch_idx, trainer.global_rank)
        seed_torch(derive_seed(self._seed, *place), pl_module.device)
        self._groups = [optimizer.param_groups[0] for optimizer in trainer.optimizers]
        self._lrs = [group["lr"] for group in self._groups]
        if batch_idx == 0:
            self._warn_of_kept_metrics()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count images, and keep the loss."""
        self._sizes.append(count_images(batch))
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor) and loss.dim() == 0:  # Lightning has divided it
            self._losses.append(loss.detach() * self.accumulate if self.accumulate > 1 else loss.detach())
            if checks_loss(len(self._losses), loss.device, trainer.world_size):
                self._check_loss(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop a training whose loss is not finite."""
        self._check_loss(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the metrics that were logged.

        Raises:
            ValueError: the one that checkpoints are chosen by is not among them.
        """
        if trainer.sanity_checking:
            return
        self.val_metrics = self._means(logged_in_epoch(trainer))
        if self._primary not in self.val_metrics:
            found = ", ".join(self.val_metrics) or "nothing"
            raise ValueError(
                f"primary must be a metric that the module logs in validation, got {self._primary}, and it logs "
                f"{found}; set task=logged task.primary and task.mode"
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Step schedules that watch a metric, and write the metrics of the epoch."""
        self._check_loss(trainer)
        self._step_schedules()
        self._write_epoch(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note where `max_steps` or a callback has ended the training inside an epoch."""
        batches, are_all = batches_trained(trainer)
        if not are_all:
            checkpoint["begun_epoch"] = {"sizes": [0] * batches}

    def _seed_all(self, place: str, epoch: int) -> None:
        rank, device = self._trainer.global_rank, self._trainer.strategy.root_device
        seed_global_generators(derive_seed(self._seed, place, epoch, rank), device)

    def _warn_of_kept_metrics(self) -> None:
        for name in self._kept_metrics.found():
            log.warning(
                "%s is kept over epochs but not in checkpoints, so a resumed run would have other values; call "
                "self.%s.persistent(True) in __init__, or reset it each epoch",
                name,
                name,
            )

    def _means(self, logged: Mapping[str, Tensor]) -> dict[str, float]:
        """Logged metrics as numbers, the same in all processes."""
        found = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in sorted(logged.items())}
        if self._trainer.world_size > 1:
            reduce = self._trainer.strategy.reduce
            found = {
                name: reduce(value.to(self._trainer.strategy.root_device), reduce_op="mean")
                for name, value in found.items()
            }
        return {name: float(value) for name, value in found.items()}

    def _check_loss(self, trainer: Trainer) -> None:
        start, self._checked = self._checked, len(self._losses)
        if start == self._checked or bool((finite := torch.stack(self._losses[start:]).isfinite()).all()):
            return
        batch_idx = start + int((~finite).nonzero()[0])
        raise Diverged(
            f"the loss is not finite in epoch {trainer.current_epoch + 1}, batch {batch_idx + 1}; lower the learning "
            "rate of the module, or set trainer.gradient_clip_val=1; debug=anomaly names the operation"
        )


def _train_key(name: str) -> str:
    return key_of(name, "train")


def count_images(batch: Any) -> int:
    """Length of the first tensor in a nested batch; 1 if there is none."""
    if isinstance(batch, Tensor):
        return len(batch) if batch.dim() else 1
    parts: Iterable[Any] = (
        batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, list | tuple) else ()
    )
    return next((count_images(part) for part in parts), 1)
