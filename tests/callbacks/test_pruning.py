"""A run as the trial of a study whose other trials are known."""

import zlib

import pytest
from lightning.pytorch.callbacks import Callback
from optuna.distributions import FloatDistribution

from conftest import first
from faults import PressCtrlC
from run_folders import outcome
from trainlab.run import Interrupted
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.errors import LeaseLost
from trainlab.runs.files import read_rows
from trainlab.runs.lease import OF_RUN, lease_of, take
from trainlab.runs.optuna_storage import STUDY
from trainlab.runs.result import Result
from trainlab.sweep.space import Space
from trainlab.sweep.study import Settings, Study
from trainlab.tasks.metrics import METRICS

EPOCHS = 3
SPACE = Space((("optim.lr", FloatDistribution(1e-5, 1e-1)),))


def losses_of(folder):
    return [float(row["val/loss"]) for row in read_rows(folder / "metrics.csv")]


def study_with(folder, losses, pruner="median"):
    """A study with five completed trials that have the same losses by epoch, and a sixth that runs."""
    study = Study(folder, SPACE, Settings(6, "random", 1, pruner, EPOCHS))
    for trial in study.next(5):
        report(study, trial, losses)
        study.tell(trial, outcome("completed", {"val_loss": min(losses)}))
    (trial,) = study.next(1)
    return study, trial


def report(study, trial, losses, first=1):
    storage = study._storage
    for epochs, loss in enumerate(losses, first):
        storage.set_trial_intermediate_value(trial._trial_id, epochs, loss)


def as_trial(study, trial):
    about = f"journal:'{study.journal}',number:{trial.number},pruner:{study.settings.pruner},max_epochs:{EPOCHS}"
    return f"sweep.trial={{{about}}}"


@pytest.fixture
def alone(train):
    """A run that takes part in no study: its folder and its losses by epoch."""
    result, folder = train(f"trainer.max_epochs={EPOCHS}", name="alone")
    assert result.status == "completed"
    return folder, losses_of(folder)


@pytest.mark.parametrize(("difference", "epochs"), first(1, [(0.01, 1), (-0.01, EPOCHS)]))
def test_a_search_by_accuracy_ends_runs_whose_best_is_below_the_median(difference, epochs, alone, train, tmp_path):
    folder, _ = alone
    accuracies = [float(row["val/acc"]) for row in read_rows(folder / "metrics.csv")]
    study = Study(tmp_path, SPACE, Settings(6, "random", 1, "median", EPOCHS, "val/acc", METRICS["val/acc"]))
    for trial in study.next(5):
        report(study, trial, [max(accuracies[: i + 1]) + difference for i in range(EPOCHS)])
        study.tell(trial, outcome("completed", {"val_acc": 0.5, "val_loss": 1.0}))
    (trial,) = study.next(1)
    result, _ = train(f"trainer.max_epochs={EPOCHS}", as_trial(study, trial), "sweep.objective=val/acc")
    assert result.metrics["epochs"] == epochs
    assert study.running()[0].intermediate_values == dict(enumerate(accuracies[:epochs], 1))


@pytest.mark.parametrize(
    "better_by, epochs",
    [
        pytest.param((-1, -1, -1), 3, marks=pytest.mark.slow),  # never worse than the median
        ((0, 0, 0), 3),  # as good as the median is good enough
        pytest.param((0.5, -9, -9), 1, marks=pytest.mark.slow),
        ((-1, 0.5, -9), 2),
        pytest.param((-1, -1, 0.5), 3, marks=pytest.mark.slow),  # after the last epoch there is nothing to spare
    ],
)
def test_a_run_ends_where_its_best_loss_is_above_the_median(better_by, epochs, alone, train, tmp_path):
    _, losses = alone
    lowest = [min(losses[: i + 1]) for i in range(EPOCHS)]
    others = [low - better for low, better in zip(lowest, better_by, strict=True)]
    study, trial = study_with(tmp_path, others)
    result, folder = train(f"trainer.max_epochs={EPOCHS}", as_trial(study, trial))
    status = "completed" if epochs == EPOCHS else "pruned"
    assert (result.status, result.metrics["epochs"]) == (status, epochs)
    assert losses_of(folder) == losses[:epochs]
    assert result.metrics["val_loss"] == lowest[epochs - 1]
    assert result.metrics["stop_reason"] == ("max_epochs" if epochs == EPOCHS else "pruned")
    assert ("test_loss" in result.metrics) == (epochs == EPOCHS)  # the test set is not read
    assert result.error is None
    reported = study.running()[0].intermediate_values
    assert reported == dict(enumerate(losses[:epochs], 1))


def pruned_after_two(alone, train, tmp_path):
    _, losses = alone
    study, trial = study_with(tmp_path, [9.0, min(losses[:2]) - 0.5, 0.0])
    setting = as_trial(study, trial)
    result, folder = train(f"trainer.max_epochs={EPOCHS}", setting)
    assert (result.status, result.metrics["epochs"]) == ("pruned", 2)
    return result, folder, setting


def test_a_pruned_run_stays_as_it_is_in_its_study(alone, train, tmp_path):
    result, folder, setting = pruned_after_two(alone, train, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")}
    again, _ = train(f"trainer.max_epochs={EPOCHS}", setting)
    assert again == result
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")} == before


def test_a_pruned_solo_run_resumes_to_the_bit(alone, train, tmp_path):
    _, folder, _ = pruned_after_two(alone, train, tmp_path)
    whole, _ = alone
    result, _ = train(f"trainer.max_epochs={EPOCHS}")
    assert result.metrics == Result.read(whole).metrics
    ours, theirs = (load_checkpoint(path / "checkpoints" / "last.ckpt")["state_dict"] for path in (folder, whole))
    assert ours.keys() == theirs.keys()
    assert all((ours[key] == theirs[key]).all() for key in ours)


def test_a_run_that_was_killed_after_it_was_pruned_makes_no_epoch_more(alone, train, tmp_path):
    result, folder, setting = pruned_after_two(alone, train, tmp_path)
    killed = Result.read(folder)
    killed.status = "running"
    killed.write(folder)
    again, _ = train(f"trainer.max_epochs={EPOCHS}", setting)
    assert (again.status, again.metrics) == ("pruned", result.metrics)


@pytest.mark.slow
def test_a_run_that_is_interrupted_is_judged_by_the_epoch_that_it_ends_with(alone, train, tmp_path):
    _, losses = alone
    study, trial = study_with(tmp_path, [9.0, min(losses[:2]) - 0.5, 0.0])
    setting = as_trial(study, trial)
    with pytest.raises(Interrupted):
        train(f"trainer.max_epochs={EPOCHS}", setting, callbacks=(PressCtrlC(1),))
    result, _ = train(f"trainer.max_epochs={EPOCHS}", setting)
    assert (result.status, result.metrics["epochs"]) == ("pruned", 2)


@pytest.mark.slow
def test_a_run_that_was_killed_before_it_saved_the_epoch_makes_that_one_again(alone, train, tmp_path):
    _, losses = alone
    study, trial = study_with(tmp_path, [0.0, 0.0, 0.0])
    report(study, trial, losses[:1])
    study._storage.set_trial_user_attr(trial._trial_id, "pruned_after", 1)
    result, _ = train(f"trainer.max_epochs={EPOCHS}", as_trial(study, trial))
    assert (result.status, result.metrics["epochs"]) == ("pruned", 1)
    assert study.running()[0].intermediate_values == {1: losses[0]}


def test_a_run_that_another_process_has_taken_over_reports_nothing_more(train, tmp_path):
    study, trial = study_with(tmp_path, [9.0, 9.0, 9.0])
    folder = tmp_path / "run"

    class TakeOver(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == 1:
                assert take(folder, OF_RUN, lease_of(folder / "result.json").number + 1)

    with pytest.raises(LeaseLost):
        train(f"trainer.max_epochs={EPOCHS}", as_trial(study, trial), callbacks=(TakeOver(),))
    assert study.running()[0].intermediate_values.keys() == {1}


@pytest.mark.slow
def test_epochs_that_must_be_made_are_made(alone, train, tmp_path):
    study, trial = study_with(tmp_path, [0.0, 0.0, 0.0])
    result, _ = train(f"trainer.max_epochs={EPOCHS}", "trainer.min_epochs=2", as_trial(study, trial))
    assert (result.status, result.metrics["epochs"]) == ("pruned", 2)


@pytest.mark.slow
def test_early_stopping_comes_before_pruning(alone, train, tmp_path):
    study, trial = study_with(tmp_path, [9.0, 0.0, 0.0])
    early = ("callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=9")
    result, _ = train(f"trainer.max_epochs={EPOCHS}", *early, as_trial(study, trial))
    assert (result.status, result.metrics["stop_reason"]) == ("completed", "early stopping")


@pytest.mark.slow
def test_nothing_is_pruned_before_five_trials_are_completed(alone, train, tmp_path):
    study = Study(tmp_path, SPACE, Settings(6, "random", 1, "median", EPOCHS))
    for trial in study.next(4):
        report(study, trial, [0.0, 0.0, 0.0])
        study.tell(trial, outcome("completed", {"val_loss": 0.0}))
    (trial,) = study.next(1)
    result, _ = train(f"trainer.max_epochs={EPOCHS}", as_trial(study, trial))
    assert result.status == "completed"


class Known(Callback):
    """Puts a loss in the place of every epoch's."""

    def __init__(self, loss):
        self.loss = loss

    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.val_metrics = {**pl_module.val_metrics, "val/loss": self.loss}


@pytest.mark.slow
def test_hyperband_ends_who_is_not_among_the_best_third_of_a_rung(train, tmp_path):
    """Of three epochs it makes two brackets: of rungs after one and after three epochs, and of one after three alone.

    The first has 3 of 5 places, the second 2 (the arithmetic of `HyperbandPruner`). Here each trial is worse than those
    before, so that of the first bracket the first alone goes on.
    """
    study = Study(tmp_path, SPACE, Settings(9, "random", 1, "hyperband", EPOCHS))
    first_bracket = [n for n in range(9) if zlib.crc32(f"{STUDY}_{n}".encode()) % 5 < 3]
    assert 1 < len(first_bracket) < 9
    for trial in study.next(9):
        known = (Known(1.0 + trial.number),)
        settings = (f"trainer.max_epochs={EPOCHS}", as_trial(study, trial))
        result, _ = train(*settings, name=f"trial{trial.number}", callbacks=known)
        ended = trial.number in first_bracket[1:]
        assert (result.status, result.metrics["epochs"]) == (("pruned", 1) if ended else ("completed", EPOCHS))
