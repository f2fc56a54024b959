"""Which of Lightning's callbacks can work on a training whose module makes the optimizer's steps itself."""

from collections.abc import Iterable

from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.accelerators.cpu import _PSUTIL_AVAILABLE
from lightning.pytorch.callbacks import Callback, DeviceStatsMonitor, WeightAveraging
from lightning.pytorch.utilities.model_helpers import is_overridden

# Hooks of callbacks between backward and update.
EPOCHS = 10_000  # far more than a run has
_GRADIENT_HOOKS = ("on_before_backward", "on_after_backward", "on_before_optimizer_step")
# Lightning's callbacks that would have no effect or fail: why, and what does the same.
_REFUSED: dict[type[Callback], str] = {
    lightning_callbacks.StochasticWeightAveraging: (
        "needs Lightning's automatic optimization; use lightning.pytorch.callbacks.WeightAveraging"
    ),
    lightning_callbacks.GradientAccumulationScheduler: (
        "needs Lightning's automatic optimization; set trainer.accumulate_grad_batches"
    ),
    lightning_callbacks.LearningRateFinder: "needs Lightning's automatic optimization; set lr_search=range_test",
    lightning_callbacks.BatchSizeFinder: "cannot resize batches of images in memory; set data.batch_size",
    lightning_callbacks.BaseFinetuning: (
        "adds parameters to the optimizer during training, which are fixed here; freeze parameters in the model"
    ),
    lightning_callbacks.ModelPruning: "replaces parameters during training, so that best.ckpt could not be loaded",
    lightning_callbacks.SpikeDetection: (
        "reads the loss from the output of the training step, which has none here; a loss that is not finite ends a run"
    ),
}


def watches_gradients(callbacks: Iterable[Callback]) -> bool:
    """Whether any of the callbacks has a hook between backward and update, which a step in one piece lacks."""
    return any(is_overridden(hook, c, Callback) for c in callbacks for hook in _GRADIENT_HOOKS)


def check_callback(callback: Callback, setting: str, on_cpu: bool) -> None:
    """Raise ValueError where ``callback`` would fail or have no effect.

    Args:
        callback: any.
        setting: where it is set.
        on_cpu: whether the training is on the CPU.
    """
    name = type(callback).__name__
    if isinstance(callback, DeviceStatsMonitor):
        of_cpu = on_cpu if callback._cpu_stats is None else callback._cpu_stats
        if of_cpu and not _PSUTIL_AVAILABLE:
            raise ValueError(f"{name} needs psutil for figures of the CPU: pip install psutil, or leave out {setting}")
    if isinstance(callback, WeightAveraging) and any(callback.should_update(epoch_idx=i) for i in range(EPOCHS)):
        raise ValueError(
            f"{name} averages after the validation of an epoch, so that other weights would be saved than validated; "
            f"average after steps (update_every_n_steps), or leave out {setting}"
        )
    for kind, reason in _REFUSED.items():
        if isinstance(callback, kind):
            raise ValueError(f"{name} {reason}; leave out {setting}")
    if is_overridden("on_before_zero_grad", callback, Callback):
        raise ValueError(
            f"{name} has on_before_zero_grad, which Lightning calls under automatic optimization alone; "
            f"use on_train_batch_end, or leave out {setting}"
        )
