"""Which epochs are validated, what counts them, and what a figure is of."""

import pytest

from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.errors import Diverged
from trainlab.runs.files import read_rows

EVERY_SECOND = "+trainer.check_val_every_n_epoch=2"


def validated(folder):
    """Epochs that have validation figures."""
    return [int(row["epoch"]) for row in read_rows(folder / "metrics.csv") if row["val/loss"]]


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [(["trainer.max_epochs=3"], [1, 2]), (["trainer.max_epochs=9", "trainer.max_steps=57"], [1, 2])],
)
def test_the_last_epoch_is_validated_and_no_epoch_has_the_figures_of_another(settings, epochs, train):
    result, folder = train(EVERY_SECOND, *settings)
    assert validated(folder) == epochs
    assert result.metrics["best_epoch"] in epochs
    best = load_checkpoint(folder / "checkpoints" / "best.ckpt")["epoch"]
    row = read_rows(folder / "metrics.csv")[best]
    assert result.metrics["val_loss"] == float(row["val/loss"])


def test_the_patience_of_early_stopping_counts_validations(train):
    patience = ("callbacks.early_stopping.min_delta=10", "callbacks.early_stopping.patience=2")
    result, folder = train(EVERY_SECOND, *patience, "trainer.max_epochs=20")
    assert validated(folder) == [1, 3, 5]
    assert (result.metrics["epochs"], result.metrics["stop_reason"]) == (6, "early stopping")


def test_the_patience_of_a_plateau_counts_validations(train):
    """Only a validation that halves the loss counts, so the rate falls after the second one, and after the third."""
    plateau = ("scheduler=plateau", "scheduler.patience=0", "scheduler.threshold=0.5")
    _, folder = train(EVERY_SECOND, *plateau, "trainer.max_epochs=6", "optim.lr=1e-3")
    rates = [float(row["lr"]) for row in read_rows(folder / "metrics.csv")]
    assert rates == [1e-3] * 4 + [5e-4] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "advice"), [("16-true", "set trainer.precision=bf16"), ("32-true", "lower optim")]
)
def test_a_training_that_diverged_in_float16_is_advised_another_precision(precision, advice, train):
    with pytest.raises(Diverged, match=rf"not finite at step .*; {advice}"):
        train("optim=sgd", "optim.lr=6e4", f"trainer.precision={precision}")
