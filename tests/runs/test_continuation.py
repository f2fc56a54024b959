"""What a result says was trained; a completed run outlives the failure of its continuation."""

import shutil

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from conftest import first
from faults import PowerCut, PressCtrlC
from same_runs import NADAM, assert_same_run, rows
from trainlab.data.shapes import Shapes
from trainlab.report.runs import find_runs
from trainlab.run import Interrupted
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.result import CONTINUATION, Result

LONGER = [*NADAM, "trainer.max_epochs=4"]
OTHER = ["task.label_smoothing=0.3", "ckpt_path=last"]


def content(folder):
    """All files of a run but its log."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "train.log"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("settings", "rule"),
    first(
        1,
        [
            (
                ["seed=7", "task.label_smoothing=0.3"],
                r"nothing left to train: .*last.ckpt has 2 epochs and max_epochs is 2",
            ),
            (["trainer.max_epochs=1"], "has 2 epochs and max_epochs is 1; set trainer.max_epochs above 2"),
            (
                ["trainer.max_steps=38", "trainer.max_epochs=9"],
                "has 38 steps and max_steps is 38; set",
            ),
        ],
    ),
)
def test_nothing_left_to_train_is_an_error_and_changes_nothing(settings, rule, train):
    _, folder = train(*NADAM, name="a")
    before = content(folder)
    with pytest.raises(ValueError, match=rule):
        train(*NADAM, *settings, "ckpt_path=last", name="a")
    assert content(folder) == before


def test_nothing_left_of_another_folder_leaves_no_folder(train):
    _, first = train(*NADAM, name="first")
    with pytest.raises(ValueError, match="nothing left to train"):
        train(*NADAM, f"ckpt_path={first / 'checkpoints' / 'last.ckpt'}", name="second")
    assert not (first.parent / "second").exists()


def test_a_run_that_was_stopped_early_has_nothing_left(train):
    stopped = [*LONGER, "callbacks.early_stopping.min_delta=10", "callbacks.early_stopping.patience=1"]
    train(*stopped, name="a")
    with pytest.raises(ValueError, match=r"early stopping has ended .* after 2 epochs; set callbacks\.early_stopping"):
        train(*stopped, *OTHER, name="a")


def test_a_continuation_with_other_settings_says_so_and_counts_nowhere(train):
    old, folder = train(*NADAM, name="a")
    result, _ = train(*LONGER, *OTHER, name="a")
    (part,) = result.provenance["continued_from"]
    assert part == {
        **{"path": str(folder / "checkpoints" / "last.ckpt"), "epochs": 2, "steps": 38, "fingerprint": old.fingerprint},
        **{"changes": ["task.label_smoothing: 0.0, now 0.3", "trainer.max_epochs: 2, now 4"], "as_in_one_go": False},
    }
    assert Result.read(folder) == result
    assert load_checkpoint(folder / "checkpoints" / "last.ckpt")["epoch"] == 3
    assert len(rows(folder)) == 4
    assert not (folder / CONTINUATION).exists()
    (run,) = find_runs([folder])
    assert not run.is_completed
    assert "continues" in run.reason
    assert "task.label_smoothing: 0.0, now 0.3" in run.reason
    # Longer once more: its first epochs had other settings all the same.
    result, _ = train(*LONGER, *OTHER, "trainer.max_epochs=5", name="a")
    assert [part["as_in_one_go"] for part in result.provenance["continued_from"]] == [False, True]
    assert not find_runs([folder])[0].is_completed


@pytest.mark.slow
def test_a_run_that_is_only_longer_counts(train):
    train(*NADAM, name="a")
    result, folder = train(*LONGER, "ckpt_path=last", name="a")
    assert [part["as_in_one_go"] for part in result.provenance["continued_from"]] == [True]
    assert find_runs([folder])[0].is_completed


@pytest.mark.parametrize("stop", [PressCtrlC(2), pytest.param(PowerCut(3), marks=pytest.mark.slow)])
def test_a_completed_run_stays_as_it_is_while_its_continuation_fails(stop, train):
    _, whole = train(*LONGER, name="whole")
    _, folder = train(*NADAM, name="a")
    before = content(folder)
    with pytest.raises((Interrupted, RuntimeError)):
        train(*LONGER, "ckpt_path=last", name="a", callbacks=(stop,))
    after = content(folder)
    assert {key: after[key] for key in before} == before
    assert Result.read(folder).status == "completed"
    assert Result.read(folder / CONTINUATION).status in ("interrupted", "failed")
    _, folder = train(*LONGER, "ckpt_path=last", name="a")
    assert_same_run(folder, whole)
    assert not (folder / CONTINUATION).exists()


@pytest.fixture
def other_images(monkeypatch):
    """Has the source of the images return others from now on, until it is undone."""
    draw = Shapes._draw

    def inverted(self, part, count):
        images, labels = draw(self, part, count)
        return 255 - images, labels

    def change():
        monkeypatch.setattr(Shapes, "_draw", inverted)
        return monkeypatch

    return change


def test_a_run_does_not_continue_on_other_images(train, other_images, tmp_path):
    _, whole = train(*LONGER, name="whole")
    folder = tmp_path / "a"
    interrupted(train)
    before = content(folder)
    changed = other_images()
    with pytest.raises(
        ValueError, match=r"the images have changed since .*last\.ckpt .*; remove .*a to train anew, or"
    ):
        train(*LONGER, name="a")
    assert content(folder) == before
    changed.undo()
    train(*LONGER, name="a")
    assert_same_run(folder, whole)


@pytest.mark.slow
def test_a_completed_run_is_not_made_longer_on_other_images(train, other_images):
    _, folder = train(*NADAM, name="a")
    before = content(folder)
    other_images()
    with pytest.raises(ValueError, match="the images have changed"):
        train(*LONGER, "ckpt_path=last", name="a")
    assert content(folder) == before
    assert not (folder / CONTINUATION).exists()


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_trained_on_other_images_and_the_result_says_so(train, other_images):
    first, folder = train(*NADAM, name="first")
    other_images()
    result, _ = train(*LONGER, f"ckpt_path={folder / 'checkpoints' / 'last.ckpt'}", name="second")
    (part,) = result.provenance["continued_from"]
    old, new = (found.provenance["data_digest"] for found in (first, result))
    assert old != new
    assert part["changes"] == ["trainer.max_epochs: 2, now 4", f"data digest: {old}, now {new}"]
    assert not part["as_in_one_go"]


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_not_continued_in_the_folder_of_a_run(train):
    _, first = train(*NADAM, name="first")
    _, second = train(*NADAM, "seed=2", name="second")
    before = content(second)
    with pytest.raises(ValueError, match="holds a run with other settings"):
        train(*LONGER, f"ckpt_path={first / 'checkpoints' / 'last.ckpt'}", name="second")
    assert content(second) == before


@pytest.mark.slow
def test_a_continuation_that_was_begun_is_not_the_start_of_another(train):
    _, folder = train(*NADAM, name="a")
    with pytest.raises(Interrupted):
        train(*LONGER, "ckpt_path=last", name="a", callbacks=(PressCtrlC(2),))
    before = content(folder)
    begun = f"ckpt_path={folder / CONTINUATION / 'checkpoints' / 'last.ckpt'}"
    with pytest.raises(ValueError, match=r"holds a run with other settings .* or ckpt_path=last to continue that run"):
        train(*LONGER, "trainer.max_epochs=5", begun, name="a")
    assert content(folder) == before


def interrupted(train):
    with pytest.raises(Interrupted):
        train(*LONGER, name="a", callbacks=(PressCtrlC(1),))


@pytest.mark.slow
def test_an_interrupted_run_is_not_completed_without_its_best_checkpoint(train, tmp_path):
    interrupted(train)
    best = tmp_path / "a" / "checkpoints" / "best.ckpt"
    kept = best.read_bytes()
    best.unlink()
    with pytest.raises(ValueError, match=r"best\.ckpt is missing, .* \(epoch 2\) so far; remove .*a to train anew"):
        train(*LONGER, name="a")
    best.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"best\.ckpt cannot be read .*; remove .*a to train anew"):
        train(*LONGER, name="a")
    checkpoint = torch.load(tmp_path / "a" / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save(checkpoint | {"epoch": 0}, best)
    with pytest.raises(ValueError, match=r"is of epoch 1, and the best one was epoch 2"):
        train(*LONGER, name="a")
    best.write_bytes(kept)
    assert train(*LONGER, name="a")[0].status == "completed"


class ReplaceBest(Callback):
    """Has another epoch in the place of the best one, as a process that writes in the same folder would."""

    def on_train_end(self, trainer, pl_module):
        path = trainer.checkpoint_callback.best_path
        torch.save(torch.load(path, weights_only=True) | {"epoch": 0}, path)


def test_a_best_checkpoint_of_another_epoch_is_not_tested(train):
    with pytest.raises(ValueError, match=r"best\.ckpt is of epoch 1, and the best one was epoch 2: another process"):
        train(*NADAM, name="a", callbacks=(ReplaceBest(),))


class CopyFolder(Callback):
    """Copies the folder of a run as it is in the middle of an epoch, which is what a killed process leaves."""

    def __init__(self, epoch, place):
        self.epoch, self.place = epoch, place

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == self.epoch and batch_idx == 5:
            shutil.copytree(trainer.checkpoint_callback.best_path.parents[1], self.place)


@pytest.mark.slow
def test_the_time_of_the_epochs_before_a_run_was_killed_counts(train, tmp_path):
    _, whole = train(*LONGER, name="whole", callbacks=(CopyFolder(2, tmp_path / "a"),))
    assert Result.read(tmp_path / "a").status == "running"
    last = tmp_path / "a" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["callbacks"]["EpochLog"]["epoch_s"] = [100.0, 200.0]
    torch.save(checkpoint, last)
    result, folder = train(*LONGER, name="a", callbacks=(CopyFolder(3, tmp_path / "b"),))
    assert 300 < result.time["total_s"] < 400
    assert_same_run(folder, whole)
    # Killed once more, before its last epoch.
    assert Result.read(tmp_path / "b").time["total_s"] == 300
    result, _ = train(*LONGER, name="b")
    assert 300 < result.time["total_s"] < 400
    # And made longer when it was completed.
    result, _ = train(*LONGER, "trainer.max_epochs=5", "ckpt_path=last", name="b")
    assert 300 < result.time["total_s"] < 400


@pytest.mark.slow
def test_a_damaged_last_checkpoint_is_to_be_removed_and_the_run_starts_again(train, tmp_path):
    _, whole = train(*LONGER, name="whole")
    interrupted(train)
    last = tmp_path / "a" / "checkpoints" / "last.ckpt"
    last.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"last\.ckpt cannot be read .*; remove it, and the run is trained"):
        train(*LONGER, name="a")
    last.unlink()
    _, folder = train(*LONGER, name="a")
    assert_same_run(folder, whole)
