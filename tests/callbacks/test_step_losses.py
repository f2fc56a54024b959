"""The loss of every step is kept, and nothing of the training changes."""

import pytest

from conftest import BATCH_SIZE, NUM_TRAIN, STEPS
from faults import PressCtrlC
from same_runs import assert_same_training
from trainlab.callbacks.step_losses import FILE, read_step_losses
from trainlab.run import Interrupted
from trainlab.runs.files import read_rows
from trainlab.runs.fingerprint import fingerprint

ON = "callbacks.step_losses.enabled=true"


def test_an_epochs_loss_is_the_mean_of_its_steps(train):
    _, folder = train(ON)
    losses = read_step_losses(folder / FILE)
    assert len(losses) == 2 * STEPS
    sizes = [BATCH_SIZE] * (STEPS - 1) + [NUM_TRAIN - BATCH_SIZE * (STEPS - 1)]
    for epoch, row in enumerate(read_rows(folder / "metrics.csv")):
        of_epoch = losses[epoch * STEPS : (epoch + 1) * STEPS].tolist()
        mean = sum(loss * size for loss, size in zip(of_epoch, sizes, strict=True)) / NUM_TRAIN
        assert mean == pytest.approx(float(row["train/loss"]), rel=1e-5)  # six digits are kept


def test_a_training_is_the_same_to_the_bit(train):
    _, plain = train(name="plain")
    _, watched = train(ON, name="watched")
    assert_same_training(watched, plain)
    assert not (plain / FILE).exists()
    assert len(read_step_losses(plain / FILE)) == 0


@pytest.mark.slow
def test_a_resumed_training_leaves_what_an_undisturbed_one_leaves(train):
    settings = (ON, "trainer.max_epochs=4")
    _, whole = train(*settings, name="whole")
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(1),))
    _, cut = train(*settings, name="cut")
    assert (cut / FILE).read_text() == (whole / FILE).read_text()


def test_it_is_not_part_of_the_fingerprint(compose_config):
    assert fingerprint(compose_config().settings) == fingerprint(compose_config(ON).settings)
