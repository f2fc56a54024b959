"""Why a training has ended, as `result.json` has it."""

import pytest
from lightning.pytorch.callbacks import Callback

from conftest import STEPS, first
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.files import read_rows


class StopAfter(Callback):
    """Asks Lightning to stop after so many steps: in the middle of an epoch, or at its end."""

    def __init__(self, steps):
        self.steps = steps

    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.should_stop or trainer.global_step == self.steps


@pytest.mark.parametrize(
    ("steps", "max_epochs", "reason"),
    first(1, [(5, 1, "callback"), (STEPS, 3, "callback"), (STEPS + 5, 3, "callback"), (2 * STEPS, 2, "max_epochs")]),
)
def test_a_training_that_a_callback_ends_has_not_reached_max_epochs(steps, max_epochs, reason, train):
    result, folder = train(f"trainer.max_epochs={max_epochs}", callbacks=(StopAfter(steps),))
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["global_step"] == steps
    assert (result.metrics["epochs"], result.metrics["stop_reason"]) == (-(-steps // STEPS), reason)
    best = result.metrics["best_epoch"]
    assert best <= max(0, steps // STEPS - 1), "part of an epoch is the best one where there is no other"
    assert result.metrics["val_loss"] == float(read_rows(folder / "metrics.csv")[best]["val/loss"])


def test_early_stopping_in_the_first_epoch_is_the_reason(train):
    result, _ = train("+callbacks.early_stopping.stopping_threshold=100")
    assert (result.metrics["epochs"], result.metrics["stop_reason"]) == (1, "early stopping")
