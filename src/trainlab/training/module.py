"""The LightningModule: training and validation step, loss, optimizer and schedule."""

import logging
import math
from collections.abc import Callable
from typing import Any, Protocol, cast

import lightning
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from trainlab.data import TrainingData
from trainlab.data.batches import Batches
from trainlab.randomness import CounterDraws, derive_seed, seed_global_generators
from trainlab.tasks.classification import Classification
from trainlab.tasks.task import Task
from trainlab.training.accumulation import Accumulation
from trainlab.training.compiler import compiled_objective
from trainlab.training.cuda_graph import GraphedCallable
from trainlab.training.epoch_sums import EpochSums, ValidationSums, type_of_sums
from trainlab.training.exchange import broadcast_buffers
from trainlab.training.flat_parameters import FlatParameters, SeparateParameters, build_optimizer
from trainlab.training.foreign_callbacks import reads_loss, watches_gradients
from trainlab.training.fused_step import FusedStep
from trainlab.training.length import count_steps
from trainlab.training.lightning_internals import (
    FastHookNames,
    continue_epoch,
    count_step,
    detects_anomalies,
    reopen_epoch,
    set_up_batches,
)
from trainlab.training.lookahead import Lookahead
from trainlab.training.loss_checks import advise, checks_loss, training_diverged, validation_diverged
from trainlab.training.optimizer_checks import needs_closure
from trainlab.training.optimizers import clipping, has_rule
from trainlab.training.parameter_groups import LaterFrozen, Rules, list_names, own_name
from trainlab.training.scheduler_steps import SchedulerSteps

log = logging.getLogger(__name__)
Batch = tuple[Tensor, Tensor]  # uint8 images (B, C, H, W), targets (B, ...)


class EpochSteps(Protocol):
    """Makes the optimizer's steps of a `TaskModule`, all of an epoch at once."""

    def train_epoch(self, module: "TaskModule") -> None:
        """Make the steps of the epoch that ``module`` is at, and hand it their sums by `take_epoch`."""


class TaskModule(FastHookNames, lightning.LightningModule):
    """Trains ``network`` for a task.

    Args:
        network: raw uint8 images (B, C, H, W) -> outputs (B, outputs of the task).
        optimizer: parameters, or groups of them -> optimizer.
        scheduler: (optimizer, total steps) -> Lightning's scheduler dictionary or None.
        task: what is learned; None for a classification.
        compile: compile the training step.
        gradient_clip_val: largest norm (or value) of the gradient; None or 0 for no clipping.
        gradient_clip_algorithm: "norm" or "value".
        accumulate_grad_batches: batches of a step, see `Accumulation`; the last one of an epoch has those left.
        parameter_groups: rules of groups of parameters, as of `group_parameters`.
        epoch_steps: makes the steps; None for this module itself, one for each batch.
        step_seed: for networks that draw from global generators: these are seeded before each step by it and the step.
        lookahead: averages the weights; None if they are not averaged.
        frozen_later: parameters that are not trained from some epoch on.

    Raises:
        ValueError: an argument is out of range.
    """

    logs_itself = False  # see `Progress`
    trained: FlatParameters | SeparateParameters
    loss: Tensor  # () mean of the latest batch
    # Of the latest epoch in a population, and whether its rows had images of their own. If compiled, they decide about
    # rounding.
    row, rows, separate = 0, 0, False

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer, int], dict[str, Any] | None],
        task: Task | None = None,
        compile: bool = False,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str = "norm",
        accumulate_grad_batches: int = 1,
        parameter_groups: Rules = (),
        epoch_steps: EpochSteps | None = None,
        step_seed: int | None = None,
        lookahead: Lookahead | None = None,
        frozen_later: LaterFrozen | None = None,
    ) -> None:
        super().__init__()
        if accumulate_grad_batches < 1:
            raise ValueError(
                f"accumulate_grad_batches must be at least 1, got {accumulate_grad_batches}; "
                "set trainer.accumulate_grad_batches"
            )
        # Automatic optimization costs 0.3 ms a step, a tenth of a small network's step.
        self.automatic_optimization = False
        self.network = network
        self._sums = EpochSums()
        self._begun: dict[str, Any] | None = None  # sums of the epoch that a checkpoint lies in, until it continues
        self.task = task or Classification()
        self._build_optimizer, self._rules, self._build_scheduler = optimizer, parameter_groups, scheduler
        self._resumes_flat: bool | None = None  # whether the checkpoint's optimizer has flat parameters
        self.compile_step, self._epoch_steps, self._step_seed = compile, epoch_steps, step_seed
        self.lookahead, self.frozen_later = lookahead or Lookahead(), frozen_later or {}
        self.clip = clipping(gradient_clip_algorithm, gradient_clip_val)
        self.accumulate = accumulate_grad_batches
        self._draws = [m for m in network.modules() if isinstance(m, CounterDraws)]
        self.val_metrics: dict[str, float] = {}  # of this epoch; empty until it is validated

    def configure_optimizers(self) -> Any:
        """The optimizer over all parameters, and its schedule over the steps of the whole run."""
        may_be_flat = self._resumes_flat is not False
        self.trained, optimizer = build_optimizer(self._build_optimizer, self.network, self._rules, may_be_flat)
        if isinstance(self.trained, FlatParameters):
            self.trained.complete = bool(self._resumes_flat)
        self._evaluates_loss = needs_closure(optimizer)
        self._fused_step: FusedStep | None = None
        self._forward = self._objective
        self._watched = watches_gradients(self.trainer.callbacks)  # type: ignore[attr-defined]  # Lightning sets it unseen
        self._loss_is_read = reads_loss(self.trainer.callbacks)  # type: ignore[attr-defined]  # as above
        in_one = isinstance(self.trained, FlatParameters) and self.steps_can_be_one_graph(self.trainer, optimizer)
        captured = GraphedCallable.captures(self.device) and self.trainer.precision.endswith("-true")
        captured = captured and not detects_anomalies(self.trainer)
        if self._epoch_steps is not None:
            pass  # no step is made here
        elif in_one and (self.compile_step or captured):
            step = FusedStep(self.network, self._loss, self.flat, optimizer, self.clip, self.compile_step)
            self._fused_step = step
        elif self.compile_step:
            self._forward = compiled_objective(self._objective)
        self._all_steps = self._total_steps()
        schedule = self._build_scheduler(optimizer, self._all_steps)
        self._scheduler_steps = SchedulerSteps(optimizer, schedule)
        if schedule is None:
            return optimizer
        # Lightning saves the schedule; `step_schedule` steps it.
        return {"optimizer": optimizer, "lr_scheduler": {key: schedule[key] for key in ("scheduler", "interval")}}

    def steps_can_be_one_graph(self, trainer: lightning.Trainer, optimizer: Optimizer) -> bool:
        """Whether forward, backward and update of a step can be one graph, to be compiled or captured."""
        # Gradients of several batches, processes or scales meet between backward and update, where callbacks see them.
        together = self.accumulate == 1 and trainer.world_size == 1 and trainer.precision != "16-mixed"
        watched = watches_gradients(trainer.callbacks)  # type: ignore[attr-defined]  # Lightning sets it unseen
        own_network = self._step_seed is None  # another may change any of its buffers
        own_task = type(self.task).__module__.startswith("trainlab.")  # another may synchronize
        together = together and not self.frozen_later  # a graph has the gradients of all parameters
        return together and not watched and own_network and own_task and has_rule(optimizer)

    def _total_steps(self) -> int:
        """Optimizer steps of the whole run; 0 if it has no limit."""
        trainer = self.trainer
        set_up_batches(trainer)
        return count_steps(self.steps_per_epoch, self.accumulate, trainer.max_epochs, trainer.max_steps)

    @property
    def flat(self) -> FlatParameters:
        """What the optimizer trains, where that is flat."""
        assert isinstance(self.trained, FlatParameters)
        return self.trained

    @property
    def optimizer(self) -> Optimizer:
        """torch's own, over ``trained``."""
        return self._optimizer.optimizer

    @property
    def lr_and_momentum(self) -> tuple[float, float]:
        """Learning rate and momentum of the latest step; see `SchedulerSteps`."""
        return self._scheduler_steps.lr_and_momentum

    @property
    def rates(self) -> dict[str, float]:
        """`lr` and `momentum` of the latest step."""
        lr, momentum = self.lr_and_momentum
        return {"lr": float(lr), "momentum": float(momentum)}

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return int(self.trainer.num_training_batches)

    @property
    def steps_to_make(self) -> int:
        """Steps of the current epoch, which have one batch each, up to `max_steps`."""
        trainer, steps = self.trainer, self.steps_per_epoch
        left = trainer.max_steps - trainer.global_step
        return steps if trainer.max_steps < 0 else min(steps, self.batches_made + left)

    @property
    def batches_made(self) -> int:
        """Batches of the current epoch so far."""
        return len(self._sums.sizes)

    @property
    def score_so_far(self) -> Tensor:
        """(), sum of the scores of these batches."""
        return self._sums.scores

    @property
    def batches(self) -> Batches:
        """Those of the current epoch, of images of trainlab."""
        assert isinstance(self.trainer.train_dataloader, Batches)
        return self.trainer.train_dataloader

    @property
    def _batch_size(self) -> int:
        """Images of a full batch."""
        return self.trainer.train_dataloader.batch_size or self._data.batch_size  # type: ignore[union-attr]  # there is one

    @property
    def _data(self) -> TrainingData:
        return cast(TrainingData, self.trainer.datamodule)  # type: ignore[attr-defined]  # Lightning sets it dynamically

    @property
    def begun_batches(self) -> int:
        """Batches of the current epoch that the checkpoint already contains, until the epoch continues; else 0."""
        return len(self._begun["sizes"]) if self._begun else 0

    @property
    def begun_images(self) -> int:
        """Images of these batches, of all processes."""
        return self.begun_batches * self._batch_size * self.trainer.world_size

    @property
    def epoch_is_whole(self) -> bool:
        """Whether all batches of the epoch have been trained: `max_steps` may end a training before."""
        return self._sums.is_whole

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the optimizer has, and the sums of each process over an epoch that is begun, for the rest of it."""
        if isinstance(self.trained, SeparateParameters):
            checkpoint["separate_parameters"] = True
        if slow := self.lookahead.state():
            checkpoint["lookahead"] = slow
        if self._sums.sizes and not self.epoch_is_whole:
            checkpoint["begun_epoch"] = self._sums.state(self.trainer)
        if self.rows and self.compile_step:
            checkpoint["population"] = {"row": self.row, "rows": self.rows, "separate": self.separate}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Prepare to continue with the checkpoint's kind of parameters, and the epoch that it was saved in, if any."""
        self._resumes_flat = "separate_parameters" not in checkpoint
        if "lookahead" in checkpoint:
            self.lookahead.load(checkpoint["lookahead"])
        kept = checkpoint.get("population", {})
        self.row, self.rows, self.separate = kept.get("row", 0), kept.get("rows", 0), kept.get("separate", False)
        if "begun_epoch" in checkpoint:
            self._begun = checkpoint["begun_epoch"]
            reopen_epoch(checkpoint["loops"]["fit_loop"])

    def on_train_start(self) -> None:
        """Allocate the sums of an epoch; set which rows of a batch the random layers of this process draw for."""
        targets = self._data.train_targets() if self.task.needs_targets else self._data.example_targets(1)
        self.task.prepare(targets.to(self.device))
        self._sums = EpochSums(self.steps_per_epoch, self.device)
        self._accumulation = Accumulation(self.accumulate * self._batch_size) if self.accumulate > 1 else None
        self._optimizer = cast(LightningOptimizer, self.optimizers())
        for draws in self._draws:
            draws.row_offset, draws.row_stride = self.trainer.global_rank, self.trainer.world_size

    def on_train_epoch_start(self) -> None:
        """Start the sums of the epoch."""
        self._sums.restart()
        self.val_metrics = {}
        self.lookahead.begin_epoch(self.network)
        for epoch, parameters in self.frozen_later.items():
            for parameter in parameters:
                parameter.requires_grad_(self.current_epoch < epoch)
        if self._begun:
            begun, self._begun = self._begun, None
            self._sums.load(begun, self.trainer.global_rank)
            self.batches.start = len(self._sums.sizes)
            continue_epoch(self.trainer)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Have `EpochSteps`, if given, make the steps of the epoch."""
        if self._epoch_steps is not None:
            self._epoch_steps.train_epoch(self)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """A step on a batch; the sums stay on the device. The loss is returned where callbacks of others get it."""
        if self._epoch_steps is not None:
            return None
        images, targets = batch
        step = self.current_epoch * len(self._sums.losses) + batch_idx
        for draws in self._draws:
            draws.step.fill_(step)
        self._seed_generators("step", step)
        # A last, smaller batch is not worth a compilation of its own.
        full = not self._sums.sizes or len(targets) == self._sums.sizes[0]
        if self._fused_step is not None and self._fused_step.ready and full:
            loss, score = self._fused_step(images, targets)
            count_step(self.trainer)
            self._end_step()
        elif self._evaluates_loss:
            loss, score = self._make_step_with_closure(self._forward if full else self._objective, images, targets)
        else:
            loss, score = (self._forward if full else self._objective)(images, targets)
            self._sum_gradients(loss, targets)
            if (batch_idx + 1) % self.accumulate == 0 or batch_idx + 1 == len(self._sums.losses):
                self._make_step()
        self._sums.losses[batch_idx] = self.loss = loss.detach()
        self._sums.scores += score
        self._sums.sizes.append(len(targets))
        return self.loss.clone() if self._loss_is_read else None  # a captured step overwrites it

    def _seed_generators(self, place: str, number: int) -> None:
        """Seed the global generators for a network that draws from them, differently in each process."""
        if self._step_seed is not None:
            rank = self.trainer.global_rank
            seed_global_generators(derive_seed(self._step_seed, place, number, rank), self.device)

    def _sum_gradients(self, loss: Tensor, targets: Tensor) -> None:
        """Add the gradient of a batch to those of the step so far."""
        self.manual_backward(
            self._accumulation.add(loss, self.task.loss_weight(targets)) if self._accumulation else loss
        )

    def _gather_gradients(self) -> None:
        """Gather the gradients; once a parameter has none, train each separately, so that it stays unchanged."""
        if not self.trained.gather_gradients():
            later = {parameter for parameters in self.frozen_later.values() for parameter in parameters}
            named = self.network.named_parameters()
            trainable = [(own_name(name), p.grad) for name, p in named if p.requires_grad or p in later]
            if sparse := [name for name, grad in trainable if grad is not None and grad.is_sparse]:
                raise ValueError(f"gradients must be dense, got a sparse one of {list_names(sparse)}; set sparse=false")
            names = list_names([name for name, grad in trainable if grad is None])
            log.info("no gradient for %s: the optimizer now updates each parameter separately", names)
            self.trained, self._fused_step = self.flat.separate(self.optimizer), None
            if self.compile_step:
                self._forward = compiled_objective(self._objective)

    def _make_step_with_closure(self, forward: Any, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """A step that evaluates the loss several times; loss and sum of scores before it."""
        found: list[tuple[Tensor, Tensor]] = []

        def evaluate() -> Tensor:
            self.trained.zero_grad()
            loss, score = forward(images, targets)
            self.manual_backward(loss)
            found.append((loss.detach(), score))
            return loss

        self._optimizer.step(evaluate)
        self.trained.zero_grad()
        self._end_step()
        return found[0]

    def _make_step(self) -> None:
        self._gather_gradients()
        if self._accumulation and (factor := self._accumulation.finish()) is not None:
            self.trained.scale_gradients(factor)
        if self._watched:
            self.trained.show_gradients()
        self._optimizer.step()
        self.trained.zero_grad()
        self._end_step()

    def _end_step(self) -> None:
        """After each step of the optimizer."""
        if self.lookahead.every_n_steps:
            self.lookahead.after_step(self.network, self.current_epoch, self.trainer.global_step, self._all_steps)
        self.step_schedule("step")

    def _objective(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self._loss(self.network(images), targets)

    def _loss(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of a batch and the sum of its scores."""
        outputs = at_least_float32(outputs)
        loss = self.task.loss(outputs, targets)
        return loss, self.task.score_images(outputs.detach(), targets).sum()

    def update(self, gradient: Tensor) -> None:
        """Make the optimizer's step with ``gradient`` (P,), that of all parameters, and the schedule's."""
        self.flat.parameter.grad = self.clip(gradient) if self.clip else gradient
        self.optimizer.step()
        self.flat.parameter.grad = None
        self.step_schedule("step")

    def take_epoch(self, losses: Tensor, scores: Tensor, sizes: list[int]) -> None:
        """Take the sums of steps that `EpochSteps` has made.

        Args:
            losses: (steps,) mean loss of each batch; fewer than all batches if one was not finite, or it was stopped.
            scores: (), the sum over the epoch so far, as of correct predictions.
            sizes: images of each batch.
        """
        self._sums.take(losses, scores, sizes)

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        """Stop a training whose loss is not finite."""
        if checks_loss(len(self._sums.sizes), self.device, self.trainer.world_size):
            self._check_losses()

    def _check_losses(self) -> None:
        if (batch_idx := self._sums.first_not_finite()) is not None:
            lr, _ = self.lr_and_momentum
            raise training_diverged(self.current_epoch, batch_idx, len(self._sums.losses), lr, self._advice)

    @property
    def _advice(self) -> str:
        return advise(self.trainer.precision, self.optimizer)

    def on_train_epoch_end(self) -> None:
        """Step a schedule that counts epochs or watches a metric, before the checkpoint is written."""
        self._check_losses()
        self.lookahead.settle(self.network)
        broadcast_buffers(self.network, self.trainer)  # of an epoch without validation
        if self.epoch_is_whole:
            self.step_schedule("epoch")

    def step_schedule(self, interval: str) -> None:
        """Step a schedule that counts in ``interval``, "step" or "epoch"."""
        self._scheduler_steps.step(interval, self.val_metrics)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradient, after a mixed-precision one was unscaled and callbacks have seen it."""
        if self._watched:
            self._gather_gradients()
        if self.clip:
            self.trained.clip_gradients(self.clip)

    @property
    def losses_of_epoch(self) -> Tensor:
        """Mean loss of each batch of the epoch so far, on the CPU."""
        return self._sums.losses_so_far()

    def train_metrics(self) -> tuple[dict[str, float], int]:
        """Mean loss and score of the epoch, and the number of its images, over all processes."""
        loss, score, count = self._sums.totals(self.trainer).tolist()
        return {"train/loss": loss / count, f"train/{self.task.score}": score / count}, int(count)

    def on_validation_epoch_start(self) -> None:
        """Start the sums of the validation, with the same buffers in all processes."""
        self._check_losses()
        self.lookahead.settle(self.network)
        broadcast_buffers(self.network, self.trainer)
        self._val_sums = ValidationSums(self.task, self.device)
        self._seed_generators("validation", self.current_epoch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the sums."""
        images, targets = batch
        self._val_sums.add(at_least_float32(self.network(images)), targets)

    def on_validation_epoch_end(self) -> None:
        """Publish the metrics for early stopping, checkpoints and schedules."""
        means = self._val_sums.means(self.trainer)
        if not math.isfinite(means["val/loss"]):
            raise validation_diverged(self.current_epoch, self._advice)
        self.val_metrics = means | self._val_sums.metrics()
        # As tensors: `log` would round Python numbers to float32.
        metrics = {k: torch.tensor(v, dtype=type_of_sums(self.device)) for k, v in self.val_metrics.items()}
        self.log_dict(metrics, logger=False, rank_zero_only=False)


def at_least_float32(outputs: Tensor) -> Tensor:
    """Outputs in float32 or finer, so that losses can be summed."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))
