"""A run with `max_steps` that is continued, from an epoch's end or from inside one, is one that was not cut short."""

import pytest

from conftest import STEPS, first
from faults import PowerCut, PressCtrlC
from same_runs import NADAM, assert_same, rows
from trainlab.run import Interrupted
from trainlab.runs.checkpoints import load_checkpoint
from trainlab.runs.result import Result

WHOLE = 2 * STEPS + 8
CASES = {
    "plain": NADAM,
    "no limit of epochs": [*NADAM, "trainer.max_epochs=-1"],
    "plateau": [*NADAM, "scheduler=plateau", "scheduler.patience=0", "scheduler.threshold=0.5"],
    "augmentation and dropout": ["model=alpha_dropout", "optim=sgd", "optim.lr=0.01", "data.flip=true"],
    "steps of two batches": [*NADAM, "trainer.accumulate_grad_batches=2"],
    "every second epoch validated": [*NADAM, "+trainer.check_val_every_n_epoch=2"],
}


def assert_same_end(ours, theirs):
    """Rows, metrics and checkpoints of two folders, but for times."""
    assert rows(ours) == rows(theirs)
    assert Result.read(ours).metrics == Result.read(theirs).metrics
    for name in ("best.ckpt", "last.ckpt"):
        checkpoints = [load_checkpoint(folder / "checkpoints" / name) for folder in (ours, theirs)]
        for key in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
            assert_same(*(checkpoint[key] for checkpoint in checkpoints), f"{name} {key}")


@pytest.mark.parametrize(("stop", "epoch"), first(1, [(PressCtrlC, 0), (PowerCut, 1)]))
def test_an_interrupted_run_resumes_with_the_next_epoch(stop, epoch, train):
    settings = [*NADAM, "trainer.max_epochs=9", f"trainer.max_steps={WHOLE}"]
    _, whole = train(*settings, name="whole")
    assert len(rows(whole)) == 3
    with pytest.raises((Interrupted, RuntimeError)):
        train(*settings, name="cut", callbacks=(stop(epoch + (stop is PowerCut)),))
    assert len(rows(whole.parent / "cut")) == epoch + 1
    _, cut = train(*settings, name="cut")
    assert_same_end(cut, whole)


@pytest.mark.parametrize(
    ("case", "first"),
    [
        ("plain", 4),
        *[pytest.param("plain", first, marks=pytest.mark.slow) for first in (STEPS, STEPS + 6)],
        *[pytest.param(case, STEPS + 6, marks=pytest.mark.slow) for case in CASES if case != "plain"],
        pytest.param("plateau", 4, marks=pytest.mark.slow),
        pytest.param("steps of two batches", STEPS - 1, marks=pytest.mark.slow),
    ],
)
def test_more_steps_continue_a_run_inside_its_epoch(case, first, train):
    accumulate = 2 if "two batches" in case else 1
    settings = [*CASES[case], *([] if "no limit" in case else ["trainer.max_epochs=9"])]
    _, whole = train(*settings, f"trainer.max_steps={WHOLE // accumulate}", name="whole")
    result, _ = train(*settings, f"trainer.max_steps={first // accumulate}", name="longer")
    assert result.metrics["stop_reason"] == "max_steps"
    assert result.metrics["val_loss"] > 0, "a training that ends inside its first epoch is validated there"
    _, longer = train(*settings, f"trainer.max_steps={WHOLE // accumulate}", "ckpt_path=last", name="longer")
    assert_same_end(longer, whole)


@pytest.mark.slow
def test_without_a_limit_of_steps_the_epoch_is_made_whole(train):
    """The epoch's figures are of all its batches, those before the checkpoint among them."""
    train(*NADAM, "trainer.max_steps=7", name="a")
    _, folder = train(*NADAM, "trainer.max_steps=-1", "trainer.max_epochs=1", "ckpt_path=last", name="a")
    _, whole = train(*NADAM, "trainer.max_epochs=1", name="whole")
    assert rows(folder) == rows(whole)
    assert Result.read(folder).metrics["epochs"] == 1


@pytest.mark.parametrize(
    ("change", "rule"),
    first(
        1,
        [
            ("data.batch_size=8", "data.batch_size: 16, now 8"),
            ("trainer.limit_train_batches=12", "trainer.limit_train_batches: 1.0, now 12"),
            ("trainer.accumulate_grad_batches=2", "trainer.accumulate_grad_batches: 1, now 2"),
        ],
    ),
)
def test_an_epoch_is_not_continued_with_other_batches(change, rule, train):
    train(*NADAM, "trainer.max_steps=7", name="a")
    with pytest.raises(ValueError, match=f"inside an epoch, after batch 7, .*{rule}"):
        train(*NADAM, "trainer.max_steps=30", change, "ckpt_path=last", name="a")
