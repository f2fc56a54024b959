"""Which of Lightning's callbacks work under manual optimization."""

from collections.abc import Iterable, Mapping

from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import Callback, DeviceStatsMonitor, WeightAveraging
from lightning.pytorch.utilities.model_helpers import is_overridden

from trainlab.training.lightning_internals import lacks_psutil

_MANY_EPOCHS = 10_000  # more than a run has
# Hooks of callbacks between backward and update.
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
        "adds parameters to the optimizer during training, which are fixed here; set freeze"
    ),
    lightning_callbacks.ModelPruning: "replaces parameters during training, so that best.ckpt could not be loaded",
    lightning_callbacks.SpikeDetection: (
        "lists batches to leave out when a run is resumed, which resumes with all here; a loss that is not finite ends "
        "a run"
    ),
}


def watches_gradients(callbacks: Iterable[Callback]) -> bool:
    """Whether any of the callbacks has a hook between backward and update, which a fused step does not call."""
    return any(is_overridden(hook, c, Callback) for c in callbacks for hook in _GRADIENT_HOOKS)


def reads_loss(callbacks: Iterable[Callback]) -> bool:
    """Whether a callback that is not of trainlab may read the loss of a batch in `on_train_batch_end`."""
    return any(is_foreign(c) and is_overridden("on_train_batch_end", c, Callback) for c in callbacks)


def is_foreign(callback: Callback) -> bool:
    """Whether a callback is not of trainlab."""
    return not type(callback).__module__.startswith("trainlab.")


def changes_no_step(callback: Callback) -> bool:
    """Whether a callback leaves network and task as they are, so that compiled steps may be those of the first epoch.

    Known of the callbacks of trainlab and Lightning alone: another may change a rate of dropout, or add hooks.
    """
    return type(callback).__module__.startswith(("trainlab.", "lightning.pytorch.callbacks."))


def check_callbacks(callbacks: Mapping[str, Callback], on_cpu: bool, automatic: bool = False) -> None:
    """Raise ValueError where one of Lightning's callbacks would fail or have no effect.

    Args:
        callbacks: all, by the setting that each is made from.
        on_cpu: whether the training is on the CPU.
        automatic: whether Lightning's automatic optimization is used, as by LightningModules of the user's.
    """
    for setting, callback in callbacks.items():
        if problem := _problem(callback, on_cpu, automatic):
            raise ValueError(f"{type(callback).__name__} {problem}; leave out {setting}")
    averaging = [setting for setting, callback in callbacks.items() if isinstance(callback, WeightAveraging)]
    if len(averaging) > 1:
        raise ValueError(f"a checkpoint holds one average of the weights, got {' and '.join(averaging)}; leave out one")


def _problem(callback: Callback, on_cpu: bool, automatic: bool) -> str:
    """Why a callback does not work and what to do instead; "" if it works."""
    if automatic and isinstance(callback, lightning_callbacks.StochasticWeightAveraging):
        return (
            "sets the averaged weights after the last epoch, so that they are neither validated nor saved; "
            "use lightning.pytorch.callbacks.WeightAveraging"
        )
    for kind, reason in () if automatic else _REFUSED.items():
        if isinstance(callback, kind):
            return reason
    if isinstance(callback, DeviceStatsMonitor) and lacks_psutil(callback, on_cpu):
        return "needs psutil for statistics of the CPU (pip install psutil)"
    if isinstance(callback, WeightAveraging) and any(callback.should_update(epoch_idx=i) for i in range(_MANY_EPOCHS)):
        return (
            "averages after the validation of an epoch, so that other weights would be saved than validated; "
            "average after steps (update_every_n_steps)"
        )
    if not automatic and is_overridden("on_before_zero_grad", callback, Callback):
        return (
            "has on_before_zero_grad, which Lightning calls only under automatic optimization; use on_train_batch_end"
        )
    return ""
