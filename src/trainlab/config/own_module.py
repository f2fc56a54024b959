"""A LightningModule of the user's in the place of trainlab's network, optimizer, schedule and task."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.model_helpers import is_overridden

from trainlab.callbacks import EpochLog, LayerStatistics, StepLosses
from trainlab.config.construct import Config, construct
from trainlab.config.learners import check_last_batch, count_image_steps
from trainlab.data import ImageData
from trainlab.inference.own_module import check_test_step, digest_of, seed_for_setup, test_module
from trainlab.models.image_network import InputScaling
from trainlab.randomness import derive_seed, global_generators_restored, seed_global_generators
from trainlab.runs.checkpoints import check_loadable, check_same_network
from trainlab.tasks.logged import LoggedMetrics
from trainlab.tasks.reported import TaskMetrics
from trainlab.training.compilation import AUTO
from trainlab.training.own_module import OwnModuleProgress

# Of settings that it does not have: what to do instead.
_ADVICE = {
    "compile": "call torch.compile in the module",
    "freeze": "call requires_grad_(False) in the module",
    "lr_search": "set its learning rate",
    "test_views": "average over them in its test_step",
}


@dataclass
class OwnModule:
    """A LightningModule of the user's. See `Learner`.

    Attributes:
        data: the images of trainlab, which it gets as floats in [0, 1], or a data module of the user's.
        module: what is trained.
        config: of the run.
    """

    data: LightningDataModule
    task: LoggedMetrics
    module: LightningModule
    config: Config
    _test_callbacks: Sequence[Callback] = ()

    def __post_init__(self) -> None:
        for key, advice in _ADVICE.items():
            if self.config.get(key) not in (None, False, AUTO, "none", [], {}):
                raise ValueError(
                    f"{key} has no effect on a LightningModule of your own (module is set); leave it out, or {advice}"
                )
        if isinstance(self.data, ImageData):
            self.data.scaling = InputScaling(self.data.image_shape, standardize=False)

    @property
    def network(self) -> LightningModule:
        """The module itself."""
        return self.module

    @property
    def trainer_settings(self) -> Mapping[str, Any]:
        """Data loaders of the user's are divided among processes by Lightning."""
        return {} if isinstance(self.data, ImageData) else {"use_distributed_sampler": True}

    @property
    def whole_epochs(self) -> bool:
        """Always: what it has logged of an epoch is not in its checkpoints."""
        return True

    @property
    def about(self) -> dict[str, Any]:
        """Shape of the images and names of the classes, where there are such."""
        if not isinstance(self.data, ImageData):
            return {}
        return {"image_shape": list(self.data.image_shape), "classes": list(self.data.images.classes)}

    def reported(self, validated: Collection[str]) -> TaskMetrics:
        """Those that were logged."""
        return self.task.reported(validated)

    @property
    def digest(self) -> str:
        """Of the data."""
        return digest_of(self.data)

    def describe_data(self) -> str:
        """Where the images are, or the data module."""
        if isinstance(self.data, ImageData):
            return self.data.describe_memory()
        return f"data of {type(self.data).__name__}"

    def callbacks(self, epochs: EpochLog) -> Sequence[Callback]:
        """What observes it and seeds its random draws."""
        return [OwnModuleProgress(self.config["seed"], self.task.primary, epochs.record)]

    def check(self, trainer: lightning.Trainer) -> int:
        """Optimizer steps of the whole run; 0 where the data do not tell how many."""
        name, options = type(self.module).__name__, self.config["trainer"]
        for hook in ("training_step", "configure_optimizers"):
            if not is_overridden(hook, self.module):
                raise ValueError(f"{name} has no {hook}; define it")
        if self.config["test"]:
            check_test_step(self.module)
        if not self.module.automatic_optimization:
            unset = {"gradient_clip_val": (None, 0), "accumulate_grad_batches": (1,), "max_steps": (-1,)}
            for key, off in unset.items():
                if options[key] not in off:
                    raise ValueError(
                        f"{key} needs Lightning's automatic optimization, which {name} switches off, got "
                        f"{options[key]}; leave out trainer.{key}"
                    )
        for key, part in {"hyper_parameters": self.module, "datamodule_hyper_parameters": self.data}.items():
            check_loadable({key: dict(part.hparams)})
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # Lightning sets it unseen
            if isinstance(callback, LayerStatistics) and callback.every_n_epochs:
                raise ValueError(f"layer statistics are of networks (model), got {name}; leave out layer_statistics")
            if isinstance(callback, StepLosses) and callback.enabled:
                raise ValueError(f"step losses are of networks (model), got {name}; leave out step_losses, or log them")
        self._test_callbacks = [c for c in trainer.callbacks if _takes_part_in_tests(c)]  # type: ignore[attr-defined]  # see above
        if not isinstance(self.data, ImageData):
            return 0
        check_last_batch(trainer, self.data, self.module)
        return count_image_steps(trainer, self.data, trainer.accumulate_grad_batches)

    def set_lr(self, lr: float) -> None:
        """No search finds one for it."""
        raise AssertionError("lr_search is refused")

    @property
    def step_flops(self) -> float:
        """Not known."""
        return math.inf

    @property
    def compiled(self) -> bool:
        """What it compiles is its own."""
        return False

    def describe_compilation(self) -> str:
        """Nothing."""
        return ""

    def continue_as(self, compiled: bool) -> None:
        """Nothing: its steps are its own."""

    def prepare(self, trainer: lightning.Trainer, is_new: bool) -> None:
        """Seed what data and module draw in `setup`."""
        seed_for_setup(self.config["seed"], trainer.strategy.root_device)

    def test(self, checkpoint: dict[str, Any], trainer: lightning.Trainer) -> tuple[dict[str, float], None]:
        """What its `test_step` logs."""
        check_same_network(checkpoint, self.module)
        precision, seed = self.config["trainer"]["precision"], self.config["seed"]
        path, device = Path(checkpoint["path"]), trainer.strategy.root_device
        return test_module(self.module, self.data, path, device, precision, seed, self._test_callbacks), None


def _takes_part_in_tests(callback: Callback) -> bool:
    """Whether a callback of the user's has a hook of a test."""
    own = not type(callback).__module__.startswith(("trainlab.", "lightning."))
    hooks = ("start", "epoch_start", "batch_start", "batch_end", "epoch_end", "end")
    return own and any(is_overridden(f"on_test_{hook}", callback, Callback) for hook in hooks)


def build_own_module(config: Config, data: LightningDataModule) -> OwnModule:
    """The LightningModule of the user's that a run trains."""
    late: dict[str, Any] = {}
    if isinstance(data, ImageData):
        data.check()
        late = {"image_shape": data.image_shape, "num_classes": data.count_classes()}
    with global_generators_restored():
        seed_global_generators(derive_seed(config["seed"], "network"), torch.device("cpu"))
        module = construct(config, "module", facts=late)
    if not isinstance(module, LightningModule):
        raise ValueError(f"module must build a LightningModule, got {type(module).__name__}; set module._target_")
    return OwnModule(data, construct(config, "task"), module, config)
