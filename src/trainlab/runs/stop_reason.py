"""Why a training has ended, according to its callbacks."""

from collections.abc import Callable, Sequence

from lightning import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason as Reason

from trainlab.runs.folder import is_interruption


def stop_reason(
    error: BaseException | None, trainer: Trainer, callbacks: Sequence[Callback], epoch_is_whole: Callable[[], bool]
) -> str:
    """The reason in a word or two, for `result.json`.

    Args:
        error: what has ended the run, if anything has.
        trainer: of the run.
        callbacks: of the run.
        epoch_is_whole: whether the last epoch was not ended inside.
    """
    if error:
        return "interrupted" if is_interruption(error) else "error"
    if was_pruned(callbacks):
        return "pruned"
    if _stopped_early(callbacks):
        return "early stopping"
    if any(isinstance(callback, Timer) and (callback.time_remaining() or 0) <= 0 for callback in callbacks):
        return "max_time"
    if 0 <= trainer.max_steps <= trainer.global_step:
        return "max_steps"
    return "max_epochs" if epoch_is_whole() and 0 <= (trainer.max_epochs or -1) <= trainer.current_epoch else "callback"


def was_pruned(callbacks: Sequence[Callback]) -> bool:
    """Whether a search has ended it early, and nothing else had.

    The callback of a search is recognized by its attribute: importing it would need Optuna.
    """
    return any(getattr(callback, "pruned", False) for callback in callbacks) and not _stopped_early(callbacks)


def _stopped_early(callbacks: Sequence[Callback]) -> bool:
    return any(isinstance(c, EarlyStopping) and c.stopping_reason != Reason.NOT_STOPPED for c in callbacks)
