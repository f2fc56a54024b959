"""Members whose loss is not finite: on record like solo runs, and nothing to the others."""

import json
import math

import pytest
import torch
from members import BITWISE, STEPS, alone, assert_same_run, rows, together

from conftest import cases
from trainlab.population.batch_streams import BatchStreams
from trainlab.runs.errors import Diverged
from trainlab.runs.result import Result
from trainlab.training.module import TaskModule

SGD = ["optim=sgd", "optim.momentum=0", "trainer.max_epochs=3"]
HARMLESS = 1e-3
# Weights after the first step are the rate times a gradient; products of six layers of them are beyond the largest
# number, 3e38 or 2e308.
HUGE = {"32-true": 1e30, "64-true": 1e200}


@pytest.fixture(params=cases([1, 10], 1))
def checked(request, monkeypatch):
    """Steps between two checks: 1 as on a CPU, more as on a GPU."""
    for module in ("training.module", "population.stack"):
        monkeypatch.setattr(f"trainlab.{module}.checks_loss", lambda steps, *_: steps % request.param == 0)
    return request.param


def members(precision, lr):
    """Overrides of four runs, the third of them with the rate ``lr``."""
    common = [*SGD, *BITWISE, f"trainer.precision={precision}"]
    rates = (HARMLESS, 2e-3, lr, 5e-3)
    return [[*common, f"optim.lr={rate}", f"seed={1 + i % 2}"] for i, rate in enumerate(rates)]


def record(folder):
    """`result.json` without times, places and the versions of things."""
    found = json.loads((folder / "result.json").read_text())
    error = {k: v for k, v in (found["error"] or {}).items() if k != "traceback"}
    return {k: found[k] for k in ("status", "metrics", "fingerprint", "overrides")} | {"error": error}


@pytest.mark.slow
@pytest.mark.parametrize("precision", cases(HUGE, "64-true"))
def test_it_is_on_record_like_a_solo_run_and_the_others_are_what_they_would_have_been(precision, tmp_path):
    works = members(precision, HUGE[precision])
    results = together({tmp_path / "with" / str(i): work for i, work in enumerate(works)})
    harmless = together({tmp_path / "without" / str(i): w for i, w in enumerate(members(precision, HARMLESS))})
    assert not any(isinstance(result, BaseException) for result in harmless)
    solo = alone(tmp_path / "alone" / "2", *works[2])
    assert isinstance(solo, Diverged) and isinstance(results[2], Diverged)
    assert str(results[2]) == str(solo)
    assert "not finite at step 2 (epoch 1, batch 2, learning rate 1e+" in str(solo)
    assert record(tmp_path / "with" / "2") == record(tmp_path / "alone" / "2")
    assert "not finite at step 2" in (tmp_path / "with" / "2" / "traceback.txt").read_text()
    assert rows(tmp_path / "with" / "2") == rows(tmp_path / "alone" / "2") == []
    for i in (0, 1, 3):
        ours, theirs = tmp_path / "with" / str(i), tmp_path / "without" / str(i)
        assert rows(ours)[0] == rows(theirs)[0], "while it was there"
        assert_same_run(ours, theirs, tolerance=0.0)
    if precision == "64-true":
        for i in (0, 1, 3):
            assert not isinstance(alone(tmp_path / "alone" / str(i), *works[i]), BaseException)
            assert_same_run(tmp_path / "with" / str(i), tmp_path / "alone" / str(i))


@pytest.mark.slow
@pytest.mark.parametrize("precision", cases(HUGE, "32-true"))
def test_it_would_diverge_again(precision, tmp_path):
    works = {tmp_path / str(i): work for i, work in enumerate(members(precision, HUGE[precision])[1:3])}
    together(works)
    before = (tmp_path / "1" / "result.json").read_bytes()
    again = together(works)
    assert isinstance(again[0], Result) and again[0].status == "completed"
    assert isinstance(again[1], Diverged) and "diverged before: the loss is not finite at step 2 " in str(again[1])
    assert (tmp_path / "1" / "result.json").read_bytes() == before


@pytest.fixture
def updates(monkeypatch):
    """Weights of each member after each of its updates."""
    made = {}
    update = TaskModule.update

    def noted(self, gradient):
        update(self, gradient)
        made.setdefault(self, []).append(self.flat.parameter.detach().clone())

    monkeypatch.setattr(TaskModule, "update", noted)
    return made


def test_its_weights_stay_what_they_are_when_its_loss_is_found_not_to_be_finite(updates, checked, tmp_path):
    made_by_it = max(2, checked)  # the loss of the second step is not finite
    together({tmp_path / str(i): [*w, "trainer.max_epochs=1"] for i, w in enumerate(members("32-true", 1e30))})
    assert sorted(len(made) for made in updates.values()) == [made_by_it, *[STEPS] * 3]
    ((module, made),) = [(module, made) for module, made in updates.items() if len(made) == made_by_it]
    now = module.flat.parameter.detach()
    assert torch.equal(now.view(torch.int32), made[-1].view(torch.int32))  # NaN, too


def test_an_epoch_in_which_all_diverge_ends_early(tmp_path, checked, monkeypatch):
    drawn, batch = [], BatchStreams.batch

    def counted(self, number):
        drawn.append(number)
        return batch(self, number)

    monkeypatch.setattr(BatchStreams, "batch", counted)
    works = [[*SGD, "trainer.precision=32-true", f"optim.lr={lr}"] for lr in (1e30, 1e29)]
    results = together({tmp_path / str(i): work for i, work in enumerate(works)})
    assert drawn == list(range(max(2, checked)))
    assert all(isinstance(result, Diverged) for result in results)
    assert [str(result) for result in results] == [str(alone(tmp_path / f"alone_{i}", *w)) for i, w in enumerate(works)]


@pytest.mark.slow
def test_it_diverges_in_a_later_epoch_by_its_schedule_as_it_does_alone(tmp_path):
    """The rate is in the message: that of the check, on a CPU of the step."""
    common = ["optim=sgd", "optim.momentum=0", "scheduler=one_cycle", "scheduler.cycle_momentum=false"]
    # From 1e-3 at the first step to 1e36 at the tenth of 200.
    works = [
        [*common, "optim.lr=1e-3"],
        [*common, "optim.lr=1e36", "scheduler.div_factor=1e39", "scheduler.pct_start=0.4"],
    ]
    results = together({tmp_path / str(i): work for i, work in enumerate(works)})
    solo = alone(tmp_path / "alone", *works[1])
    assert isinstance(solo, Diverged) and str(results[1]) == str(solo)
    assert not isinstance(results[0], BaseException)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_only_in_validation_is_found_as_alone(tmp_path):
    # One batch an epoch: its loss is that of the initial weights.
    one = [*SGD, "trainer.precision=32-true", "data.batch_size=799"]
    works = [[*one, "optim.lr=1e30"], [*one, f"optim.lr={HARMLESS}"]]
    results = together({tmp_path / str(i): work for i, work in enumerate(works)})
    solo = alone(tmp_path / "alone", *works[0])
    assert isinstance(solo, Diverged) and "the validation loss is not finite after epoch 1" in str(solo)
    assert str(results[0]) == str(solo)
    assert math.isfinite(results[1].metrics["val_loss"])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["bn", "alpha_dropout"])
def test_at_full_size_the_others_come_to_the_same_bits(model, tmp_path):
    """20 layers of 100 units, 3 x 32 x 32 pixels, batches of 32 and a last one of 8, as those of CIFAR-10 are."""
    full = [f"model={model}", "model.depth=20", "model.width=100", "data.image_size=32", "trainer.max_epochs=3"]
    batches = ["data.num_train=300", "data.val_size=100", "data.batch_size=32", "trainer.precision=32-true"]
    rates = (1e-4, 5e-4, 1e30, 1e-3)

    def train(folder, rates):
        works = {folder / str(i): [*full, *batches, f"optim.lr={r}", f"seed={i % 3}"] for i, r in enumerate(rates)}
        return together(works)

    results = train(tmp_path / "with", rates)
    assert [isinstance(result, Diverged) for result in results] == [False, False, True, False]
    train(tmp_path / "without", [1e-4 if rate > 1 else rate for rate in rates])
    for i in (0, 1, 3):
        assert_same_run(tmp_path / "with" / str(i), tmp_path / "without" / str(i), tolerance=0.0)
