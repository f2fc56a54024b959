"""What a run trains, as the run sees it, and the first of two kinds: a network for a task."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import lightning
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.optim import Optimizer

from trainlab.callbacks import EpochLog
from trainlab.data import ForeignData, TrainingData
from trainlab.inference.network import Evaluation, evaluate
from trainlab.inference.views import Views, with_views
from trainlab.models.image_network import ImageNetwork
from trainlab.models.whitening import PatchWhitening
from trainlab.randomness import derive_seed
from trainlab.runs.checkpoints import check_same_network, network_weights
from trainlab.tasks.logged import LoggedMetrics
from trainlab.tasks.reported import TaskMetrics
from trainlab.tasks.task import Task
from trainlab.training.compilation import is_long, lacks_for_compilation
from trainlab.training.foreign_callbacks import changes_no_step
from trainlab.training.length import count_steps, limit_batches, limited
from trainlab.training.lightning_internals import detects_anomalies, seed_batches
from trainlab.training.module import TaskModule
from trainlab.training.optimizer_checks import check_closure
from trainlab.training.schedules import check_scheduler
from trainlab.training.threads import step_flops


class Learner(Protocol):
    """What a run trains."""

    @property
    def task(self) -> Task | LoggedMetrics:
        """The metrics, and the primary one."""

    @property
    def module(self) -> lightning.LightningModule:
        """What Lightning trains."""

    @property
    def network(self) -> nn.Module:
        """What has the weights of checkpoints."""

    @property
    def trainer_settings(self) -> Mapping[str, Any]:
        """Arguments of the Trainer that it replaces."""

    @property
    def whole_epochs(self) -> bool:
        """Whether it continues at the ends of epochs only."""

    @property
    def about(self) -> dict[str, Any]:
        """Plain values that its checkpoints have. Reads the images."""

    def reported(self, validated: Collection[str]) -> TaskMetrics:
        """The metrics as a result names them, of which these were ``validated``."""

    @property
    def digest(self) -> str:
        """Hexadecimal hash of the data. Reads the images."""

    def describe_data(self) -> str:
        """What it is trained on, in one line."""

    def callbacks(self, epochs: EpochLog) -> Sequence[Callback]:
        """That take part in its training, before all others."""

    def check(self, trainer: lightning.Trainer) -> int:
        """Optimizer steps of the whole run; 0 where they are not known.

        Raises:
            ValueError: it cannot be trained so.
        """

    def set_lr(self, lr: float) -> None:
        """Have another learning rate, before the optimizer is made."""

    @property
    def step_flops(self) -> float:
        """Floating-point operations of a step on one batch, estimated; infinite where they are not known."""

    @property
    def compiled(self) -> bool:
        """Whether its steps are compiled by trainlab. Known once it has been checked."""

    def describe_compilation(self) -> str:
        """A line about how long compiling takes, or why steps are not compiled; "" otherwise."""

    def continue_as(self, compiled: bool) -> None:
        """Compile the steps, or not, as those of the checkpoint were that it continues.

        Raises:
            ValueError: it cannot, on this machine.
        """

    def prepare(self, trainer: lightning.Trainer, is_new: bool) -> None:
        """Prepare for a training, which ``is_new`` or continues from a checkpoint. May read the images."""

    def test(
        self, checkpoint: dict[str, Any], trainer: lightning.Trainer
    ) -> tuple[dict[str, float], Evaluation | None]:
        """Metrics of a checkpoint on the test set by their keys in a result, and outputs, where they are kept."""


@dataclass
class NetworkForTask:
    """A network that is trained for a task. See `Learner`.

    Attributes:
        optimizer: makes the optimizer.
        scheduler: makes the schedule.
        trial: an optimizer like that of the training.
        compile_min_steps: steps of a run from which on they are compiled; None where it is set whether they are.
        test_views: views of each image, over which outputs are averaged in the test.
    """

    data: TrainingData
    task: Task
    network: ImageNetwork
    module: TaskModule
    optimizer: partial[Optimizer]
    scheduler: Callable[[Optimizer, int], Any]
    trial: Optimizer
    compile_min_steps: int | None = None
    test_views: Views = "none"
    _lacks: str = ""  # on this machine, to compile

    @property
    def trainer_settings(self) -> Mapping[str, Any]:
        """The module clips gradients and accumulates them; data loaders of the user's are divided by Lightning."""
        divided = {"use_distributed_sampler": True} if isinstance(self.data, ForeignData) else {}
        return {"gradient_clip_val": None, "accumulate_grad_batches": 1, **divided}

    @property
    def whole_epochs(self) -> bool:
        """Whether the batches of an epoch can only be drawn all."""
        return getattr(self.data, "whole_epochs", False)

    @property
    def about(self) -> dict[str, Any]:
        """Shape of the images, names of the classes, number of outputs."""
        shape, classes = list(self.data.image_shape), list(self.data.classes)
        floats = {"float_images": True} if self.data.has_floats else {}
        of_network = {"image_shape": shape, "classes": classes, "num_outputs": self.network.num_classes}
        return of_network | {"compiled": self.compiled} | floats

    def reported(self, validated: Collection[str]) -> TaskMetrics:
        """Those of the task."""
        return self.task.reported

    @property
    def digest(self) -> str:
        """That of the images."""
        return self.data.digest

    def describe_data(self) -> str:
        """Where the images are."""
        return self.data.describe_memory()

    def callbacks(self, epochs: EpochLog) -> Sequence[Callback]:
        """None."""
        return []

    def check(self, trainer: lightning.Trainer) -> int:
        """Optimizer steps of the whole run, before any image is read."""
        check_closure(self.trial, self.module.accumulate, trainer.world_size, trainer.precision)
        total_steps = count_image_steps(trainer, self.data, self.module.accumulate)
        check_scheduler(self.scheduler, self.trial, total_steps, self.task.known)
        check_last_batch(trainer, self.data, self.network)
        if total_steps == 0 and self.module.lookahead.needs_total_steps:
            raise ValueError(
                "optim.lookahead.decay_power needs a known number of steps, at least 1, got 0; "
                "set trainer.max_epochs or trainer.max_steps"
            )
        if self.module.frozen_later and trainer.world_size > 1:
            raise ValueError(
                f"from_epoch in freeze needs one device, got {trainer.world_size}; "
                "set trainer.devices=1 or leave it out"
            )
        self._check_compilation(trainer, total_steps)
        if trainer.precision == "64-true":  # Lightning does it after callbacks and checkpoints have seen it
            self.module.double()
        return total_steps

    def _check_compilation(self, trainer: lightning.Trainer, total_steps: int) -> None:
        """Decide whether steps are compiled, where the setting does not: by the config alone, so that it repeats."""
        on_cpu = trainer.strategy.root_device.type == "cpu"
        if self.compile_min_steps is not None and on_cpu and self.module.steps_can_be_one_graph(trainer, self.trial):
            tried = trainer.precision in ("32-true", "64-true", "bf16-mixed") and not detects_anomalies(trainer)
            tried = tried and all(map(changes_no_step, trainer.callbacks))  # type: ignore[attr-defined]  # set unseen
            self.module.compile_step = tried and is_long(total_steps, self.compile_min_steps)
        self._lacks = lacks_for_compilation() if on_cpu and self.module.compile_step else ""
        if self._lacks and self.compile_min_steps is None:
            raise ValueError(f"compile=true needs {self._lacks}, got none; install it, or set compile=false")
        self.module.compile_step = self.module.compile_step and not self._lacks

    @property
    def step_flops(self) -> float:
        """Of its matrix products and convolutions."""
        return step_flops(self.network, self.data.image_shape, self.data.count_batches(1).full)

    @property
    def compiled(self) -> bool:
        """As the setting or the length of the run says."""
        return self.module.compile_step

    def describe_compilation(self) -> str:
        """That compiling takes a while, or what this machine lacks."""
        if self._lacks:
            return f"steps are not compiled and take about twice as long: this machine lacks {self._lacks}"
        return "compiling the training step: up to a minute, a few seconds the next time" if self.compiled else ""

    def continue_as(self, compiled: bool) -> None:
        """As the checkpoint was trained: compiled steps round differently."""
        if compiled and (lacks := self._lacks or lacks_for_compilation()):
            raise ValueError(
                f"the run was begun with compiled steps, and this machine lacks {lacks}; install it, or set another "
                "name= to train anew"
            )
        self.module.compile_step = compiled

    def set_lr(self, lr: float) -> None:
        """Have another learning rate, before the optimizer is made."""
        self.optimizer.keywords["lr"] = lr

    def prepare(self, trainer: lightning.Trainer, is_new: bool) -> None:
        """Give the network the statistics of the training split, if it scales by them or whitens patches."""
        if isinstance(self.data, ForeignData):
            seed_batches(trainer, self.data.seed_generators, derive_seed(self.data.seed, "order"))
        if is_new and self.network.scaling.standardize:
            self.network.scaling.set_statistics(*self.data.statistics())
        for layer in self.network.modules() if is_new else ():
            if isinstance(layer, PatchWhitening):
                layer.fit(self.network.scaling(images.cpu()) for images in self.data.train_images())

    def test(self, checkpoint: dict[str, Any], trainer: lightning.Trainer) -> tuple[dict[str, float], Evaluation]:
        """Evaluate the weights of a checkpoint, in float32."""
        check_same_network(checkpoint, self.network)
        self.data.trainer = trainer
        self.data.setup("test")
        network = self.network.float().to(trainer.strategy.root_device)
        network.load_state_dict(network_weights(checkpoint))
        viewed, seed = with_views(network, self.test_views), checkpoint["trainlab"]["config"].get("seed", 0)
        evaluation = evaluate(viewed, self.data.test_dataloader(), self.task, seed)
        return evaluation.of_split("test"), evaluation


def count_image_steps(trainer: lightning.Trainer, data: TrainingData, accumulate: int) -> int:
    """Optimizer steps of a run on images, before any is read.

    Raises:
        ValueError: a limit leaves no batch to train or to validate on.
    """
    counts = data.count_batches(trainer.world_size)
    overfit = "overfit_batches" if trainer.overfit_batches else None  # type: ignore[attr-defined]  # Lightning sets it dynamically
    limit_batches(counts.val, trainer.limit_val_batches, overfit or "limit_val_batches")
    batches = limit_batches(counts.train, trainer.limit_train_batches, overfit or "limit_train_batches")
    return count_steps(batches, accumulate, trainer.max_epochs, trainer.max_steps)


def check_last_batch(trainer: lightning.Trainer, data: TrainingData, network: nn.Module) -> None:
    """Raise ValueError where a process has a batch of one image, which batch normalization cannot take."""
    if not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules()):
        return
    counts = data.count_batches(trainer.world_size)
    batches = limited(counts.train, trainer.limit_train_batches)
    if 1 in (counts.full, counts.last if batches == counts.train else counts.full):
        raise ValueError(
            f"batch_size {counts.full} leaves a last batch of one image, which cannot be normalized; "
            "set data.batch_size or data.val_size"
        )
