"""A training that was cut short and continued is, bit for bit on the CPU, the one that was not."""

import pytest
from lightning.pytorch.callbacks import Callback

from conftest import cases
from faults import PowerCut, PressCtrlC
from same_runs import NADAM, assert_same_run, rows
from trainlab.callbacks import StopOnInterrupt
from trainlab.inference import evaluate
from trainlab.run import Interrupted
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.result import Result

EPOCHS = 4
CASES = {
    "nadam constant": NADAM,
    "alpha dropout, sgd one_cycle": [
        *("model=alpha_dropout", "model.dropout_after=every"),
        *("optim=sgd", "optim.lr=0.01", "scheduler=one_cycle"),
    ],
    # Only an epoch that halves the loss counts as better, so the rate falls after each epoch from the second on.
    "bn, adam plateau": [
        *("model=bn", "optim=adam", "optim.lr=2e-3"),
        *("scheduler=plateau", "scheduler.patience=0", "scheduler.threshold=0.5"),
    ],
    "augmentation": [*NADAM, "data.flip=true", "data.crop_padding=2"],
    "more augmentation": [
        *(*NADAM, "data.flip=alternating", "data.crop_padding=2", "data.padding_mode=reflect", "data.cutout=5"),
        "data.transforms=[{_target_: torchvision.transforms.v2.RandomPosterize, bits: 3}]",
    ],
    "not elementwise": [
        *("optim=sgd", "optim._target_=torch.optim.Adafactor", "optim.lr=2e-2"),
        *("~optim.momentum", "~optim.dampening", "~optim.nesterov"),
    ],
    # Not NAdam: torch keeps its product of momenta in float32 and makes it float64 when it loads it.
    "float64": ["optim=adam", "optim.lr=2e-3", "trainer.precision=64-true"],
}


@pytest.mark.parametrize("case", cases(CASES, "alpha dropout, sgd one_cycle", "bn, adam plateau"))
def test_an_interrupted_run_resumes_to_the_bit(case, train):
    settings = [*CASES[case], f"trainer.max_epochs={EPOCHS}"]
    _, whole = train(*settings, name="whole")
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(1),))
    cut = Result.read(whole.parent / "cut")
    assert (cut.status, cut.metrics["epochs"], cut.metrics["stop_reason"]) == ("interrupted", 2, "interrupted")
    assert "test_loss" not in cut.metrics
    _, cut = train(*settings, name="cut")
    assert_same_run(cut, whole)
    rates = {row["lr"] for row in rows(cut)}
    assert (len(rates) == 1) == ("scheduler" not in " ".join(settings)), "a schedule moves the rate, and it alone"


def test_a_run_that_failed_in_an_epoch_makes_that_epoch_again(train):
    settings = [*NADAM, f"trainer.max_epochs={EPOCHS}"]
    _, whole = train(*settings, name="whole")
    with pytest.raises(RuntimeError, match="power cut"):
        train(*settings, name="cut", callbacks=(PowerCut(2),))
    assert len(rows(whole.parent / "cut")) == 2
    _, cut = train(*settings, name="cut")
    assert_same_run(cut, whole)


def test_more_epochs_continue_a_finished_run(train):
    _, whole = train(*NADAM, f"trainer.max_epochs={EPOCHS}", name="whole")
    train(*NADAM, "trainer.max_epochs=2", name="longer")
    _, longer = train(*NADAM, f"trainer.max_epochs={EPOCHS}", "ckpt_path=last", name="longer")
    assert_same_run(longer, whole)


@pytest.mark.slow
def test_a_run_interrupted_in_its_last_epoch_needs_no_more_training(train):
    _, whole = train(*NADAM, name="whole")
    with pytest.raises(Interrupted):
        train(*NADAM, name="cut", callbacks=(PressCtrlC(1),))
    before = (whole.parent / "cut" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    _, cut = train(*NADAM, name="cut")
    assert (cut / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before
    assert_same_run(cut, whole)


# No epoch but the first gets better by 10, so a patience of 2 ends the run after the third.
IMPATIENT = [
    *(*NADAM, "trainer.max_epochs=9"),
    *("callbacks.early_stopping.min_delta=10", "callbacks.early_stopping.patience=2"),
]


@pytest.mark.parametrize("epoch", cases([0, 1, 2], 1))
def test_early_stopping_counts_on(epoch, train):
    _, whole = train(*IMPATIENT, name="whole")
    with pytest.raises(Interrupted):
        train(*IMPATIENT, name="cut", callbacks=(PressCtrlC(epoch),))
    result, cut = train(*IMPATIENT, name="cut")
    assert (result.metrics["epochs"], result.metrics["stop_reason"]) == (3, "early stopping")
    assert_same_run(cut, whole)


@pytest.mark.slow
def test_more_patience_continues_a_run_that_was_stopped_early(train):
    patient = [*IMPATIENT, "callbacks.early_stopping.patience=4"]
    _, whole = train(*patient, name="whole")
    train(*IMPATIENT, name="longer")
    result, longer = train(*patient, "ckpt_path=last", name="longer")
    assert result.metrics["epochs"] == 5
    assert rows(longer) == rows(whole)


@pytest.mark.slow
def test_a_run_interrupted_as_it_reached_a_threshold_is_at_its_end(train):
    _, other = train(*NADAM, f"trainer.max_epochs={EPOCHS}", name="other")
    first, second, *_ = (float(row["val/loss"]) for row in rows(other))
    assert second < first
    settings = [*NADAM, f"trainer.max_epochs={EPOCHS}", f"+callbacks.early_stopping.stopping_threshold={second + 1e-6}"]
    _, whole = train(*settings, name="whole")
    with pytest.raises(Interrupted):
        train(*settings, name="cut", callbacks=(PressCtrlC(1),))
    result, cut = train(*settings, name="cut")
    assert (result.metrics["epochs"], result.metrics["stop_reason"]) == (2, "early stopping")
    assert_same_run(cut, whole)


class PressTooLate(Callback):
    """Ctrl-C that reaches a run of a population while it is tested."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def on_fit_end(self, trainer, pl_module):
        def press(*arguments):
            (interrupt,) = (callback for callback in trainer.callbacks if isinstance(callback, StopOnInterrupt))
            interrupt.stop.requested = True
            return evaluate(*arguments)

        self.monkeypatch.setattr("trainlab.config.learners.evaluate", press)


def test_a_run_that_is_interrupted_as_it_is_tested_has_ended_for_another_reason(train, monkeypatch):
    result, _ = train(*NADAM, callbacks=(PressTooLate(monkeypatch),))
    assert (result.status, result.metrics["stop_reason"]) == ("completed", "max_epochs")


class Damage(Callback):
    """Makes the network sure of one class at the end of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx + 1 == trainer.num_training_batches:
            pl_module.network.module.output.bias.data[0] = 100.0


def test_a_run_continued_in_another_folder_tests_the_best_of_its_own_epochs(train):
    """The best epoch of the first folder is not in the second, where all epochs are worse."""
    _, first = train(*NADAM, name="first")
    result, second = train(
        *(*NADAM, "trainer.max_epochs=4", f"ckpt_path={first / 'checkpoints' / 'last.ckpt'}"),
        name="second",
        callbacks=(Damage(2), Damage(3)),
    )
    own = rows(second)
    assert [row["epoch"] for row in own] == ["2", "3"]
    assert min(float(row["val/loss"]) for row in own) > max(float(row["val/loss"]) for row in rows(first))
    best = min(own, key=lambda row: float(row["val/loss"]))
    assert (result.metrics["best_epoch"], result.metrics["val_loss"]) == (int(best["epoch"]), float(best["val/loss"]))
    assert load_checkpoint(second / "checkpoints" / "best.ckpt")["epoch"] == result.metrics["best_epoch"]
