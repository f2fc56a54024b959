"""A run as a trial that the process of its search asks to stop."""

import pytest
from lightning.pytorch.callbacks import Callback

from trainlab.callbacks.prune_request import request_pruning
from trainlab.runs.files import read_rows
from trainlab.runs.result import Result

EPOCHS = "trainer.max_epochs=3"


class Request(Callback):
    """Asks for the pruning of a trial before an epoch."""

    def __init__(self, requests, number, epoch):
        self.given, self.epoch = (requests, number), epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            request_pruning(*self.given)


def as_trial(requests):
    return f"sweep.trial={{requests:'{requests}',number:7}}"


@pytest.mark.parametrize(
    ("number", "epoch", "settings", "epochs"),
    [
        (7, 1, (), 2),
        pytest.param(7, 0, (), 1, marks=pytest.mark.slow),
        pytest.param(7, 2, (), 3, marks=pytest.mark.slow),  # after the last epoch there is nothing to spare
        pytest.param(7, 0, ("trainer.min_epochs=2",), 2, marks=pytest.mark.slow),
        pytest.param(6, 0, (), 3, marks=pytest.mark.slow),  # another trial is meant
    ],
)
def test_a_run_ends_after_the_epoch_in_which_it_is_asked_to(number, epoch, settings, epochs, train, tmp_path):
    requests = tmp_path / "requests"
    result, folder = train(EPOCHS, *settings, as_trial(requests), callbacks=(Request(requests, number, epoch),))
    assert len(read_rows(folder / "metrics.csv")) == result.metrics["epochs"] == epochs
    assert result.status == ("completed" if epochs == 3 else "pruned")
    assert ("test_loss" in result.metrics) == (epochs == 3)  # the test set is not read


def test_a_run_that_was_asked_while_it_did_not_run_makes_no_epoch_more(train, tmp_path):
    requests = tmp_path / "requests"
    first, folder = train(EPOCHS, as_trial(requests), callbacks=(Request(requests, 7, 1),))
    killed = Result.read(folder)
    killed.status = "running"
    killed.write(folder)
    again, _ = train(EPOCHS, as_trial(requests))
    assert (again.status, again.metrics) == ("pruned", first.metrics)
