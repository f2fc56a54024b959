"""The checkpoints of the k best epochs."""

import pytest

from conftest import cases
from faults import PowerCut
from same_runs import NADAM, assert_same_run
from trainlab.callbacks import BestAndLast
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.training.module import TaskModule

LOSSES = [5.0, 3.0, 4.0, 2.0, 6.0, 1.0]
TOP_3 = (*NADAM, "callbacks.checkpoint.save_top_k=3", f"trainer.max_epochs={len(LOSSES)}")


@pytest.fixture(autouse=True)
def _given_losses(monkeypatch):
    """Validation losses by epoch are ``LOSSES``."""
    end = TaskModule.on_validation_epoch_end

    def replaced(self):
        end(self)
        self.val_metrics["val/loss"] = LOSSES[self.current_epoch]

    monkeypatch.setattr(TaskModule, "on_validation_epoch_end", replaced)


def epochs(folder):
    """Epoch of each checkpoint, counted from one, by the name of its file."""
    return {path.name: load_checkpoint(path)["epoch"] + 1 for path in (folder / "checkpoints").iterdir()}


def test_the_best_epochs_are_kept_and_the_others_removed(train):
    by_default, folder = train(*TOP_3[:-2], TOP_3[-1], name="default")
    assert epochs(folder) == {"best.ckpt": 6, "last.ckpt": 6}
    three, folder = train(*TOP_3)
    assert epochs(folder) == {"best.ckpt": 6, "epoch_4.ckpt": 4, "epoch_2.ckpt": 2, "last.ckpt": 6}
    assert (three.fingerprint, three.metrics) == (by_default.fingerprint, by_default.metrics)
    with pytest.raises(
        ValueError, match=r"^save_top_k must be at least 1, got 0; set callbacks\.checkpoint\.save_top_k"
    ):
        train("callbacks.checkpoint.save_top_k=0", name="zero")


class Killed(BaseException):
    """The end of the process."""


@pytest.mark.parametrize("saved", cases(range(10), 5))
def test_a_run_killed_after_any_checkpoint_ends_with_the_same_ones(saved, train, monkeypatch):
    _, whole = train(*TOP_3, name="whole")
    count = iter(range(100))
    write, remove = BestAndLast._keep_best_so_far, BestAndLast._remove_others

    def counted(function):
        def run(*arguments):
            function(*arguments)
            if next(count) == saved:
                raise Killed

        return run

    with monkeypatch.context() as patch:
        patch.setattr(BestAndLast, "_keep_best_so_far", counted(write))
        patch.setattr(BestAndLast, "_remove_others", counted(remove))
        with pytest.raises(Killed):
            train(*TOP_3, name="cut")
    _, cut = train(*TOP_3, name="cut")
    assert epochs(cut) == epochs(whole)
    assert_same_run(cut, whole)


@pytest.mark.slow
def test_a_run_killed_between_the_best_and_the_last_checkpoint_ends_with_the_same_ones(train, monkeypatch):
    _, whole = train(*TOP_3, name="whole")
    save = BestAndLast._keep_if_good

    def killed(self, trainer, epoch, whole):
        is_best = save(self, trainer, epoch, whole)
        if trainer.current_epoch == 3:
            raise Killed
        return is_best

    with monkeypatch.context() as patch:
        patch.setattr(BestAndLast, "_keep_if_good", killed)
        with pytest.raises(Killed):
            train(*TOP_3, name="cut")
    assert epochs(whole.parent / "cut") == {"best.ckpt": 4, "epoch_2.ckpt": 2, "epoch_3.ckpt": 3, "last.ckpt": 3} | {
        "epoch_1.ckpt": 1
    }
    _, cut = train(*TOP_3, name="cut")
    assert epochs(cut) == epochs(whole)
    assert_same_run(cut, whole)


@pytest.mark.slow
def test_a_run_killed_before_its_last_removal_ends_with_the_same_ones(train, monkeypatch):
    _, whole = train(*TOP_3, name="whole")
    remove = BestAndLast._remove_others

    def killed(self):
        if self.best and self.best["epoch"] == len(LOSSES) - 1:
            raise Killed
        remove(self)

    with monkeypatch.context() as patch:
        patch.setattr(BestAndLast, "_remove_others", killed)
        with pytest.raises(Killed):
            train(*TOP_3, name="cut")
    assert "epoch_3.ckpt" in epochs(whole.parent / "cut")
    _, cut = train(*TOP_3, name="cut")
    assert epochs(cut) == epochs(whole)


@pytest.mark.slow
def test_a_longer_continuation_has_the_best_epochs_of_all(train):
    _, whole = train(*TOP_3, name="whole")
    train(*TOP_3[:-1], "trainer.max_epochs=3", name="longer")
    assert epochs(whole.parent / "longer") == {"best.ckpt": 2, "epoch_3.ckpt": 3, "epoch_1.ckpt": 1, "last.ckpt": 3}
    _, longer = train(*TOP_3, "ckpt_path=last", name="longer")
    assert epochs(longer) == epochs(whole)


@pytest.mark.slow
def test_a_run_that_failed_ends_with_the_same_checkpoints(train):
    _, whole = train(*TOP_3, name="whole")
    with pytest.raises(RuntimeError, match="power cut"):
        train(*TOP_3, name="cut", callbacks=(PowerCut(4),))
    _, cut = train(*TOP_3, name="cut")
    assert epochs(cut) == epochs(whole)
